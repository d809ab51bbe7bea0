"""Measures with a lab in this process. Progress goes to stderr, results to the history."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app.cli.progress import available, bar, experiment_reporter, trial_reporter, tuning_reporter
from app.cli.stop_signals import STOP_SIGNALS
from app.cluster.pool import open_lab
from app.comparisons.comparisons import ComparisonRequest
from app.experiments.experiments import ExperimentRequest
from app.lab import Lab
from app.runs.request import RunRequest
from app.schemas.comparison import ComparisonView
from app.schemas.experiment import ClaimView, ExperimentView
from app.schemas.run import RunView
from app.schemas.tuning import TuningView
from app.servers.from_shell import NOTHING, FromShell
from app.settings import Settings
from app.tunings.request import TuningRequest

if TYPE_CHECKING:
    from app.report.export import Export

POLL_S = 0.25


class LocalLab:
    """A lab in this process. Its event loop runs while it measures. Main thread only, as it gets signals."""

    def __init__(self, lab: Lab, runner: asyncio.Runner) -> None:
        self._lab = lab
        self._runner = runner
        self._caught: list[int] | None = None  # stop signals; None: not handled yet

    @property
    def stopped_by(self) -> int | None:
        """The first signal that stopped a run or comparison early."""
        return next(iter(self._caught or ()), None)

    def available_models(self) -> list[str]:
        """Return the names of the available models. The others are named on stderr, with the reason."""
        return available({view.name: view.unavailable_reason for view in self._lab.models.views.values()})

    def run(self, spec: Mapping[str, Any]) -> RunView:
        """Submit a run, and return it when it has ended."""

        async def measured() -> RunView:
            view = await self._lab.runs.submit(RunRequest(**spec))
            self._handle_signals()
            return await follow_run(self._lab, view)

        return self._runner.run(measured())

    def compare(self, spec: Mapping[str, Any]) -> ComparisonView:
        """Submit a comparison, and return it when it has ended."""

        async def measured() -> ComparisonView:
            request = ComparisonRequest(**{**spec, "plan": spec.get("plan") or {}})
            view = await self._lab.comparisons.submit(request)
            self._handle_signals()
            return await follow_comparison(self._lab, view)

        return self._runner.run(measured())

    def experiment(self, spec: Mapping[str, Any]) -> list[ExperimentView]:
        """Submit experiments, and return them when all have ended."""

        async def measured() -> list[ExperimentView]:
            views = await self._lab.experiments.submit(ExperimentRequest(**spec))
            self._handle_signals()
            return await follow_experiments(self._lab, views)

        return self._runner.run(measured())

    def tune(self, spec: Mapping[str, Any]) -> TuningView:
        """Submit a tuning, and return it when it has ended."""

        async def measured() -> TuningView:
            view = await self._lab.tunings.submit(TuningRequest(**spec))
            self._handle_signals()
            return await follow_tuning(self._lab, view)

        return self._runner.run(measured())

    def resume_experiment(self, id: int) -> ExperimentView:
        """Continue an experiment, and return it when it has ended."""

        async def measured() -> ExperimentView:
            view = await self._lab.experiments.resume(id)
            self._handle_signals()
            return (await follow_experiments(self._lab, [view]))[0]

        return self._runner.run(measured())

    def claims(self) -> list[ClaimView]:
        """Return all claims with their last answers."""
        return self._lab.experiments.claims()

    def _handle_signals(self) -> None:
        """Let signals stop what has been submitted. Before, they end the command."""
        if self._caught is None:
            self._caught = stop_on_signals(self._lab)

    def get_run(self, id: int) -> RunView:
        """Return a run of the history."""
        return self._lab.runs.get(id)

    def export(self, export: Export, id: int) -> str:
        """Return an export of the run or comparison with this id."""
        return export.make(self._lab, id)


@contextlib.contextmanager
def opened(shell: FromShell = NOTHING, cluster: str | None = None) -> Iterator[LocalLab]:
    """Yield a lab that is open during the block. Raises LabError.

    `cluster`: the scheduler whose hosts it uses; None: as the environment says.
    """
    settings = Settings(cluster=cluster) if cluster else Settings()
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        lab = runner.run(stack.enter_async_context(open_lab(settings, shell)))
        try:
            yield LocalLab(lab, runner)
        finally:
            runner.run(stack.aclose())


def stop_on_signals(lab: Lab) -> list[int]:
    """Stop all jobs on INT, TERM and HUP; what they have measured is kept.

    Returns the list of the signals caught so far. Event loop of the main thread only.
    """
    loop = asyncio.get_running_loop()
    caught: list[int] = []

    def stop(number: int) -> None:
        caught.append(number)
        lab.experiments.stop_all()
        lab.comparisons.stop_all()
        lab.tunings.stop_all()
        lab.runs.stop_all()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop, number)
    return caught


async def follow_run(lab: Lab, view: RunView) -> RunView:
    """Show the progress of a run until it has ended, and return it."""
    ended = asyncio.create_task(lab.runs.finished(view.id))
    with bar() as drawn:
        while not ended.done():
            await asyncio.wait([ended], timeout=POLL_S)
            if now := lab.runs.progress():
                rate = "" if now.achieved_per_s is None else f" · {now.achieved_per_s:,.0f} req/s"
                status = f"{now.elapsed_s:.0f} of {now.total_s:.0f} s{rate}"
                drawn.update(view.model, now.progress, status)
    return ended.result()


async def follow_comparison(lab: Lab, view: ComparisonView) -> ComparisonView:
    """Show the progress of a comparison, a line for each trial, until it has ended, and return it."""
    ended = asyncio.create_task(lab.comparisons.finished(view.id))
    with bar() as drawn:
        report = trial_reporter(drawn)
        while not ended.done():
            await asyncio.wait([ended], timeout=POLL_S)
            report(lab.comparisons.get(view.id))
    return ended.result()


async def follow_tuning(lab: Lab, view: TuningView) -> TuningView:
    """Show the progress of a tuning, a line for each run, until it has ended, and return it."""
    ended = asyncio.create_task(lab.tunings.finished(view.id))
    with bar() as drawn:
        report = tuning_reporter(drawn)
        while not ended.done():
            report(lab.tunings.get(view.id))
            await asyncio.wait([ended], timeout=POLL_S)
        report(ended.result())
    return ended.result()


async def follow_experiments(lab: Lab, views: Sequence[ExperimentView]) -> list[ExperimentView]:
    """Show the progress of experiments, a line for each answer, until all have ended, and return them."""
    ended = asyncio.gather(*(lab.experiments.finished(view.id) for view in views))
    with bar() as drawn:
        report = experiment_reporter(drawn)
        while not ended.done():
            report([lab.experiments.get(view.id) for view in views])
            await asyncio.wait([ended], timeout=POLL_S)
        found = list(ended.result())
        report(found)
    return found
