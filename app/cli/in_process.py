"""Runs and comparisons by a lab in this process. Progress goes to stderr, results to the history."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Any

from app.cli.progress import Bar, bar
from app.cli.stop_signals import STOP_SIGNALS
from app.comparisons.comparisons import ComparisonRequest
from app.lab import Lab
from app.runs.request import RunRequest
from app.schemas.comparison import ComparisonView
from app.schemas.run import RunView
from app.settings import Settings

POLL_S = 0.25


Ended = Callable[[Lab, int], None]  # called with the lab and an id, while the lab is still open


def measure_run(spec: Mapping[str, Any], on_end: Ended) -> tuple[RunView, int | None]:
    """Submit a run (`spec`: the fields of a `RunRequest`) and block until it has ended.

    Returns the run, and the signal that stopped it early. Raises LabError.
    """

    async def measured() -> tuple[RunView, int | None]:
        async with Lab.open(Settings()) as lab:
            view = await lab.runs.submit(RunRequest(**spec))
            caught = stop_on_signals(lab)
            view = await follow_run(lab, view)
            on_end(lab, view.id)
            return view, next(iter(caught), None)

    return asyncio.run(measured())


def measure_comparison(spec: Mapping[str, Any], on_end: Ended) -> tuple[ComparisonView, int | None]:
    """Submit a comparison (`spec`: the fields of a `ComparisonRequest`), as `measure_run` does.

    Without models, it compares all that are available.
    """

    async def measured() -> tuple[ComparisonView, int | None]:
        async with Lab.open(Settings()) as lab:
            models = spec["models"] or available(models_of(lab))
            view = await lab.comparisons.submit(
                ComparisonRequest(**{**spec, "models": models, "plan": spec.get("plan") or {}})
            )
            caught = stop_on_signals(lab)
            view = await follow_comparison(lab, view)
            on_end(lab, view.id)
            return view, next(iter(caught), None)

    return asyncio.run(measured())


def stop_on_signals(lab: Lab) -> list[int]:
    """Stop all runs and comparisons on INT, TERM and HUP; what they have measured is kept.

    Returns the list of the signals caught so far. Event loop of the main thread only.
    """
    loop = asyncio.get_running_loop()
    caught: list[int] = []

    def stop(number: int) -> None:
        caught.append(number)
        lab.comparisons.stop_all()
        lab.runs.stop_all()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop, number)
    return caught


def available(models: Mapping[str, str | None]) -> list[str]:
    """Return the names of the available models. The others are named on stderr, with the reason."""
    for name, reason in models.items():
        if reason is not None:
            sys.stderr.write(f"{name} skipped: {reason}\n")
    return [name for name, reason in models.items() if reason is None]


def models_of(lab: Lab) -> dict[str, str | None]:
    """Return the lab's models by name, each with the reason why it is unavailable, or None."""
    return {view.name: view.unavailable_reason for view in lab.models.views.values()}


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


def trial_reporter(drawn: Bar) -> Callable[[ComparisonView], None]:
    """Return a function that shows what is new of a comparison each time that it is called with it."""
    shown = 0

    def report(view: ComparisonView) -> None:
        nonlocal shown
        for trial in view.runs[shown:]:
            name = view.entries[trial.entry].name
            drawn.line(f"{name}, trial {trial.trial} of {view.trials}: {trial.verdict or trial.state}")
        shown = len(view.runs)
        left = "" if view.left_s is None else f" · about {view.left_s:.0f} s left"
        drawn.update("Comparison", view.progress, f"{shown} of {view.runs_total} runs{left}")

    return report
