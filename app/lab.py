"""The Lab: the façade for routes, pages and commands. It owns fleet, jobs and history."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from app.comparisons.comparisons import Comparisons
from app.demonstration.demonstration import Demonstration
from app.errors import Busy
from app.events import Event, Events
from app.experiments.experiments import Experiments
from app.fleet.fleet import Fleet
from app.fleet.launchables import Launchables
from app.history.history import History
from app.hosts.local_host import LocalHost
from app.hosts.port import HostPool
from app.machine import system
from app.rounds.on_hosts import RoundHosts
from app.runs.runs import Runs
from app.schemas.system import SystemView
from app.servers.from_shell import NOTHING, FromShell
from app.settings import Settings
from app.store.comparisons import ComparisonStore
from app.store.database import SAVE_ERRORS
from app.store.experiments import ExperimentStore
from app.store.runs import RunStore
from app.store.tunings import TuningStore
from app.tunings.tunings import Tunings

END_TIMEOUT_S = 8.0  # the load generator drains for 1 s, and engines have a grace period
RUN_INTERRUPTED = "The control plane stopped during this run."
COMPARISON_INTERRUPTED = "The control plane stopped during this comparison. Finished trials were kept."
EXPERIMENT_INTERRUPTED = (
    "The control plane stopped during this experiment. Complete rounds were kept; resume it to continue."
)

TUNING_INTERRUPTED = "The control plane stopped during this tuning. Finished runs were kept."


class Lab:
    """The whole lab. Event loop of the main thread only: `async with Lab.open(settings) as lab`."""

    def __init__(
        self,
        settings: Settings,
        launchables: Launchables,
        store: RunStore,
        comparisons: ComparisonStore,
        experiments: ExperimentStore,
        tunings: TuningStore,
        hosts: Callable[[SystemView], HostPool] = LocalHost,
    ) -> None:
        """`hosts` returns those that share the work of the lab, for what is known of this machine."""
        self.settings = settings
        self.launchables = launchables
        self.models = models = launchables.models
        self.servers = launchables.servers
        self.store = store
        self.system: SystemView = system.read_system(models.views.get("proactor"), settings)
        self.events = Events()
        self.hosts = hosts(self.system)
        self.hosts.on_event = self._publish
        self.fleet = Fleet(settings, launchables, self.events)
        self.runs = Runs(settings, launchables, self.fleet, store, self.system, self.events, self.hosts)
        round_hosts = RoundHosts(self.hosts, self.runs, settings)
        self.comparisons = Comparisons(
            launchables, self.runs, store, comparisons, self.system, self.events, round_hosts
        )
        self.experiments = Experiments(models, self.runs, experiments, self.system, self.events, round_hosts)
        self.tunings = Tunings(launchables, self.runs, tunings, self.system, self.events)
        self._comparison_store = comparisons
        self._experiment_store = experiments
        self._tuning_store = tunings
        self.history = History(store, self.runs)
        self.demonstration = Demonstration(models, self.fleet, self.runs, self.events, self._is_measuring)
        self._background: set[asyncio.Task[Any]] = set()

    @classmethod
    def open(
        cls,
        settings: Settings,
        shell: FromShell = NOTHING,
        hosts: Callable[[SystemView], HostPool] = LocalHost,
    ) -> Lab:
        """Load models and servers, and open the history. Raises LabError."""
        launchables = Launchables.load(settings.servers, settings.engine_python).with_shell(shell)
        database = settings.database
        runs = RunStore(database, settings.data_dir / "traces")
        stores = ComparisonStore(database), ExperimentStore(database), TuningStore(database)
        return cls(settings, launchables, runs, *stores, hosts)

    async def __aenter__(self) -> Lab:
        await asyncio.to_thread(self._fail_unfinished, False)  # those of a control plane that was killed
        await self.hosts.open()
        for job in (
            self.runs.run_queue(),
            self.comparisons.run_queue(),
            self.experiments.run_queue(),
            self.tunings.run_queue(),
            self.fleet.sample_all(),
        ):
            self.run_in_background(job)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.experiments.stop_all()
        self.comparisons.stop_all()
        self.tunings.stop_all()
        self.runs.stop_all()
        await self._wait_ended()
        await self.hosts.close()
        await self.demonstration.close()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.fleet.stop_all()
        await self.runs.save_unsaved()
        await self.comparisons.save_unsaved()
        await self.experiments.save_unsaved()
        await self.tunings.save_unsaved()
        with contextlib.suppress(*SAVE_ERRORS):  # otherwise the next lab that opens the history does it
            await asyncio.to_thread(self._fail_unfinished, True)
        self.store.close()
        self._comparison_store.close()
        self._experiment_store.close()
        self._tuning_store.close()

    async def _wait_ended(self) -> None:
        """Wait until stopped jobs have saved their results, at most for END_TIMEOUT_S."""
        done = [run.done for run in self.runs.active.values()]
        done += [comparison.done for comparison in self.comparisons.active.values()]
        done += [experiment.done for experiment in self.experiments.active.values()]
        done += [tuning.done for tuning in self.tunings.active.values()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_TIMEOUT_S):
                for each in done:
                    await each.wait()

    def run_in_background(self, job: Coroutine[Any, Any, None]) -> None:
        """Run a job until the lab is closed. If it ends before, `require_ready` raises."""
        task = asyncio.create_task(job)
        self._background.add(task)
        task.add_done_callback(_report_end)

    def _fail_unfinished(self, ours: bool) -> None:
        self.store.fail_unfinished(RUN_INTERRUPTED, ours)
        self._comparison_store.fail_unfinished(COMPARISON_INTERRUPTED, ours)
        self._experiment_store.fail_unfinished(EXPERIMENT_INTERRUPTED, ours)
        self._tuning_store.fail_unfinished(TUNING_INTERRUPTED, ours)

    def _publish(self, name: str, text: str) -> None:
        self.events.publish(Event(name, None, None, None, text))

    def _is_measuring(self) -> bool:
        jobs = (self.runs, self.comparisons, self.experiments, self.tunings)
        return any(each.active for each in jobs)

    def require_ready(self) -> None:
        """Raise Busy if a background job has ended or no model is available."""
        if any(task.done() for task in self._background):
            raise Busy("A background job of the lab has ended. Restart the lab.")
        if not any(view.available for view in self.models.views.values()):
            raise Busy("No model is available on this machine.")


def _report_end(task: asyncio.Task[Any]) -> None:
    """Log the exception of a background job that ended by itself."""
    if not task.cancelled() and (error := task.exception()):
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a background job of the lab has ended", "exception": error}
        )
