"""An external server is ready when its own processes listen on the port and it has answered."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from app.errors import StartFailed
from app.fleet import external_backend
from app.fleet.fleet import Fleet
from app.lab import Lab
from app.servers.listening import owns_port
from tests.app.driver import run_in_lab
from tests.app.servers.tiny_catalogue import write_catalogue


def start_error(tmp_path: Path, server: str, port: int = 0) -> str:
    """Return why a server does not start. No process of it is left."""

    async def failed(lab: Lab) -> str:
        with pytest.raises(StartFailed) as caught:
            await lab.fleet.start(server, {}, port)
        (engine,) = lab.fleet.engines.values()
        assert engine.state == "failed" and engine.pids == ()
        return caught.value.detail

    return run_in_lab(tmp_path, failed, servers=write_catalogue(tmp_path))


@pytest.mark.parametrize(
    ("server", "words"), [("silent", "it did not listen on port"), ("failing", "503 Service Unavailable")]
)
def test_a_server_that_is_never_ready_fails_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, words: str
) -> None:
    monkeypatch.setattr(external_backend, "READY_TIMEOUT_S", 1.0)
    assert words in start_error(tmp_path, server)


def offer_ports(monkeypatch: pytest.MonkeyPatch, *first: int) -> None:
    """Let the fleet choose these ports first, which it has found free a moment ago."""
    ports, free_port = list(first), Fleet._free_port
    monkeypatch.setattr(
        Fleet, "_free_port", lambda fleet, port=0: ports.pop(0) if ports else free_port(fleet, port)
    )


def test_a_port_that_another_process_takes_is_exchanged_for_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        taken = [each.getsockname()[1] for each in (first, second)]
        offer_ports(monkeypatch, *taken)

        async def started(lab: Lab) -> int | None:
            view = await lab.fleet.start("serve", {})
            assert (view.state, view.id) == ("ready", "serve-1") and view.pid
            assert len(lab.fleet.engines) == 1
            return view.port

        port = run_in_lab(tmp_path, started, servers=write_catalogue(tmp_path))
    assert port not in taken


def test_it_gives_up_when_every_port_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        offer_ports(monkeypatch, *[stranger.getsockname()[1]] * 3)
        assert "another process listens on port" in start_error(tmp_path, "serve")


def test_a_requested_port_is_not_exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        offer_ports(monkeypatch, port)
        assert f"another process listens on port {port}" in start_error(tmp_path, "serve", port)


def test_a_port_belongs_to_a_server_only_if_all_its_listeners_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        assert owns_port([os.getpid()], port) is True
        assert owns_port([os.getppid()], port) is False
    assert owns_port([os.getpid()], port) is None
