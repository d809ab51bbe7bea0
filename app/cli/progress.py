"""Progress on stderr: a bar on a terminal, and a line for each trial that has ended or model left out."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from app.cli.console import can_draw
from app.streams import visible

if TYPE_CHECKING:
    from rich.progress import Progress

    from app.schemas.comparison import ComparisonView
    from app.schemas.experiment import ExperimentView
    from app.schemas.tuning import TuningView


class Bar:
    """A progress bar, invisible without a terminal."""

    def __init__(self, drawn: Progress | None) -> None:
        self._drawn = drawn
        self._task = drawn.add_task("", total=1.0, status="") if drawn else None

    def update(self, title: str, fraction: float, status: str) -> None:
        """Redraw the bar: `fraction` (0–1) of it filled, `title` before it and `status` after it."""
        if self._drawn and self._task is not None:
            self._drawn.update(
                self._task,
                description=visible(title),
                completed=fraction,
                status=visible(status),
                refresh=True,
            )

    def line(self, text: str) -> None:
        """Write a line above the bar."""
        if self._drawn:
            from app.cli import terminal

            self._drawn.console.print(terminal.text(text))
        else:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


@contextlib.contextmanager
def bar() -> Iterator[Bar]:
    """Yield a bar on stderr and erase it at the end of the block."""
    if not can_draw(sys.stderr):
        yield Bar(None)
        return
    from app.cli import terminal

    with terminal.progress() as drawn:
        yield Bar(drawn)


def trial_reporter(drawn: Bar) -> Callable[[ComparisonView], None]:
    """Return a function that shows what is new of a comparison each time that it is called with it."""
    shown = 0

    def report(view: ComparisonView) -> None:
        nonlocal shown
        for trial in view.runs[shown:]:
            name = view.entries[trial.entry].name
            drawn.line(f"{name}, {view.round_text(trial.trial)}: {trial.verdict or trial.state}")
        shown = len(view.runs)
        left = "" if view.left_s is None else f" · about {view.left_s:.0f} s left"
        drawn.update("Comparison", view.progress, f"{shown} of {max(shown, view.runs_total)} runs{left}")

    return report


def experiment_reporter(drawn: Bar) -> Callable[[Sequence[ExperimentView]], None]:
    """Return a function that shows what is new of experiments each time that it is called with them.

    The first call writes the estimate. An answer is a line.
    """
    from app.experiments.checks import WORDS
    from app.format import duration

    ended: set[int] = set()
    is_first = True

    def report(views: Sequence[ExperimentView]) -> None:
        nonlocal is_first
        left_s = max((view.left_s or 0.0 for view in views), default=0.0)
        if is_first:
            claims = "1 claim" if len(views) == 1 else f"{len(views)} claims"
            drawn.line(f"{claims}, about {duration(left_s)}")
            is_first = False
        for view in views:
            if not view.state.is_unfinished and view.id not in ended:
                ended.add(view.id)
                drawn.line(f"{view.claim}: {WORDS[view.answer] if view.answer else view.state}")
        share = sum(view.progress for view in views) / len(views)
        status = f"{len(ended)} of {len(views)} answered · about {duration(left_s)} left"
        drawn.update("Experiments" if len(views) > 1 else views[0].claim, share, status)

    return report


def tuning_reporter(drawn: Bar) -> Callable[[TuningView], None]:
    """Return a function that shows what is new of a tuning each time that it is called with it.

    The first call writes the estimate. A run that has ended is a line.
    """
    from app.format import duration, request_rate
    from app.tunings.values import value_name

    shown = -1

    def report(view: TuningView) -> None:
        nonlocal shown
        if shown < 0:
            shown = 0
            left = "" if view.left_s is None else f", about {duration(view.left_s)}"
            drawn.line(f"{len(view.values)} values, {view.runs_total} runs{left}")
        for trial in view.runs[shown:]:
            name = value_name(view.knob, view.unit, view.values[trial.value])
            rate = f"void: {trial.why_not}" if trial.why_not else request_rate(trial.rate_per_s)
            drawn.line(f"{name}, round {trial.round} of {view.rounds}: {rate}")
        shown = len(view.runs)
        left = "" if view.left_s is None else f" · about {duration(view.left_s)} left"
        drawn.update("Tuning", view.progress, f"{shown} of {view.runs_total} runs{left}")

    return report


def available(models: Mapping[str, str | None]) -> list[str]:
    """Return the names of the available models. The others are named on stderr, with the reason."""
    for name, reason in models.items():
        if reason is not None:
            sys.stderr.write(f"{name} skipped: {reason}\n")
    return [name for name, reason in models.items() if reason is None]
