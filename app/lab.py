"""The Lab: the one object that routes, pages and the shell talk to. It owns the fleet, the runs and their history."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from app.comparisons.comparisons import Comparisons
from app.errors import Busy
from app.events import Events
from app.fleet.fleet import Fleet
from app.fleet.models import Models
from app.history.history import History
from app.machine import scheduling, system
from app.runs.runs import Runs
from app.schemas.system import SystemView
from app.settings import Settings
from app.store.comparisons import ComparisonStore
from app.store.database import SAVE_ERRORS
from app.store.runs import RunStore

ENDED_WITHIN_S = 8.0  # the generator takes its answers for 1 s, engines have their grace
STOPPED = "The control plane stopped while this run was going."
COMPARISON_STOPPED = (
    "The control plane stopped while this comparison was going; trials that had ended are kept."
)


class Lab:
    """All of it. Made, used and left on the event loop of the main thread: `async with Lab.open(settings) as lab`."""

    def __init__(
        self, settings: Settings, models: Models, store: RunStore, comparisons: ComparisonStore
    ) -> None:
        self.settings = settings
        self.models = models
        self.store = store
        self.system: SystemView = system.read_system(models.views.get("proactor"), settings)
        self.events = Events()
        self.fleet = Fleet(settings, models, self.events)
        self.runs = Runs(settings, models, self.fleet, store, self.system, self.events)
        self.comparisons = Comparisons(models, self.runs, store, comparisons, self.system, self.events)
        self._kept_comparisons = comparisons
        self.history = History(store, self.runs)
        self._background: set[asyncio.Task[Any]] = set()

    @classmethod
    def open(cls, settings: Settings) -> Lab:
        """Ask for the models and open the history."""
        models, database = Models.load(settings.engine_python), settings.database
        return cls(
            settings, models, RunStore(database, settings.data_dir / "traces"), ComparisonStore(database)
        )

    async def __aenter__(self) -> Lab:
        scheduling.run_as_batch()
        await asyncio.to_thread(self._fail_unfinished, False)  # what a dead control plane left behind
        for job in (self.runs.run_queue(), self.comparisons.run_queue(), self.fleet.sample_all()):
            self.keep_going(job)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.comparisons.stop_all()
        self.runs.stop_all()
        await self._all_ended()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.fleet.stop_all()
        await self.runs.save_unsaved()
        await self.comparisons.save_unsaved()
        with contextlib.suppress(*SAVE_ERRORS):  # the next lab to open the history sees that we are gone
            await asyncio.to_thread(self._fail_unfinished, True)
        self.store.close()
        self._kept_comparisons.close()

    async def _all_ended(self) -> None:
        """Let what was stopped keep what it has measured; but not for longer than a shutdown may take."""
        done = [run.done for run in self.runs.active.values()]
        done += [going.done for going in self.comparisons.active.values()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ENDED_WITHIN_S):
                for each in done:
                    await each.wait()

    def keep_going(self, job: Coroutine[Any, Any, None]) -> None:
        """Let this go on in the background until the lab is left; if it ends before, the lab is not ready any more."""
        task = asyncio.create_task(job)
        self._background.add(task)
        task.add_done_callback(_must_not_end)

    def _fail_unfinished(self, ours: bool) -> None:
        self.store.fail_unfinished(STOPPED, ours)
        self._kept_comparisons.fail_unfinished(COMPARISON_STOPPED, ours)

    def require_ready(self) -> None:
        """Raise Busy unless an engine could be started and runs are being worked off."""
        if any(task.done() for task in self._background):
            raise Busy("A background job of the lab has ended; restart it.")
        if not any(view.available for view in self.models.views.values()):
            raise Busy("No model is available here.")


def _must_not_end(task: asyncio.Task[Any]) -> None:
    """Background work that ends by itself says so loudly."""
    if not task.cancelled() and (error := task.exception()):
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a job of the lab ended", "exception": error}
        )
