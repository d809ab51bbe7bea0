"""What a tuning measures in its rounds: a capacity search with each value of the knob."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.events import Event
from app.results.fitness import invalid_reason
from app.runs.request import RunRequest
from app.schemas.run import RunView
from app.schemas.tuning import TuningView
from app.store.tunings import TuningStore
from app.tunings.answer import FIGURE, tuning_trial
from app.tunings.request import TunedKnob
from app.tunings.result import compute_result
from app.tunings.values import value_name

# An estimate until the first run has ended: the trials of a search with its probe, and what a trial and a run
# need besides. Measured: 12 trials in 54 s, of which those at low rates took longer than planned.
SEARCH_TRIALS, TRIAL_OVERHEAD_S, RUN_OVERHEAD_S = 12, 1.0, 1.5


def search_s(trial_s: float) -> float:
    """Return an estimate of the duration of a search whose trials last so long by their plan."""
    return SEARCH_TRIALS * (trial_s + TRIAL_OVERHEAD_S) + RUN_OVERHEAD_S


@dataclass(frozen=True, slots=True)
class ValueRuns:
    """The values of one tuning. Satisfies `SeriesItems`. `plan`: the fields that are given to each run."""

    store: TuningStore
    knob: TunedKnob
    plan: Mapping[str, Any]
    noun: str = "tuning"

    def request(self, view: TuningView, item: int, number: int) -> RunRequest:
        """Return the run of a value in a round."""
        rate = _start_rate(view, item)
        return RunRequest(
            model=view.model,
            knobs={**view.knobs, view.knob: view.values[item]},
            scenario=view.scenario,
            plan={**self.plan, "rate_per_s": rate} if rate else self.plan,
            tuning=view.id,
            label=f"tuning {view.id}: {self.trial_name(view, item, number)}",
        )

    def trial_name(self, view: TuningView, item: int, number: int) -> str:
        """Return value and round in words."""
        return f"{value_name(view.knob, view.unit, view.values[item])}, round {number} of {view.rounds}"

    def add(self, view: TuningView, item: int, number: int, run: RunView) -> TuningView:
        """Return the view with a run that has ended, and with the result so far."""
        void = invalid_reason(run.verdict, FIGURE) if run.verdict else run.failure
        view = replace(view, runs=(*view.runs, tuning_trial(item, number, run, void)))
        return replace(view, result=compute_result(view, self.knob.bounds, self.knob.knobs))

    def save(self, view: TuningView) -> None:
        """Store the view."""
        self.store.save(view)

    def to_repeat(self, view: TuningView, order: Sequence[int]) -> tuple[int, ...]:
        """Return nothing: a void run of a tuning is not repeated."""
        return ()

    def summary(self, view: TuningView) -> str:
        """Return the first sentence of the result; empty: there is none."""
        return view.result.sentences[0] if view.result else ""

    def event(self, view: TuningView, text: str) -> Event:
        """Return an event of the tuning."""
        return Event(f"tuning.{view.state}", None, None, view.current, text, tuning=view.id)


def _start_rate(view: TuningView, value: int) -> float | None:
    """Return the rate of the last round's result of a value, at which its next search begins."""
    rates = [trial.rate_per_s for trial in view.runs if trial.value == value and trial.rate_per_s]
    return rates[-1] if rates else None
