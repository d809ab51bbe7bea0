"""A lab in a thread of the test process, for tests that do not need a separate process.

It costs 0.2 s of CPU, and `threadlab serve` costs 1.5 s. It has a real socket, and a test can replace its
parts.
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import Thread
from typing import Any

import httpx

from app import addresses
from app.lab import Lab
from app.main import create_app
from app.settings import Settings
from app.store.comparisons import ComparisonStore
from app.store.experiments import ExperimentStore
from app.store.runs import RunStore
from app.store.tunings import TuningStore
from app.web.authentication import Authenticator
from app.web.connection_limit import CONNECTIONS_MAX
from app.web.server import Server, make_config
from tests.app.driver import LabProcess, has_ended, load_launchables, until
from tests.waiting import BOUND_S


class InProcessLab(LabProcess):
    """A lab with the methods of `LabProcess`. Its engines are child processes of the test process."""

    def __init__(self, data_dir: Path, max_connections: int = CONNECTIONS_MAX, **settings: Any) -> None:
        given = Settings(data_dir=data_dir, **settings)
        lab = Lab(
            given,
            load_launchables(given),
            RunStore(given.database, data_dir / "traces"),
            ComparisonStore(given.database),
            ExperimentStore(given.database),
            TuningStore(given.database),
        )
        self.lab, self.app = lab, create_app(lab, Authenticator(given.token))
        self.data_dir, self.pid, self.killed = data_dir, os.getpid(), False
        self._listener = addresses.listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.http = httpx.Client(base_url=self.url, timeout=BOUND_S)
        self._server = Server(make_config(self.app, max_connections, given.proxies, ws_ping_interval=None))
        self._thread = Thread(target=self._server.run, args=([self._listener],), daemon=True)
        self._thread.start()
        until(lambda: self._server.started or not self._thread.is_alive(), "the lab has started")
        assert self._server.started

    @property
    def connections(self) -> list[Any]:
        """The protocol objects of the open connections."""
        return list(self._server.server_state.connections)

    @property
    def event_loop_thread(self) -> int | None:
        """Id of the thread that must never block."""
        return self._thread.ident

    def child_pids(self) -> set[int]:
        """Return the live processes of its engines."""
        return {
            pid for engine in self.lab.fleet.engines.values() for pid in engine.pids if not has_ended(pid)
        }

    def close(self) -> None:
        """Shut the lab down and wait until its thread has ended."""
        self.http.close()
        self._server.should_exit = True
        self._thread.join(BOUND_S)
        self._listener.close()
        assert not self._thread.is_alive()
