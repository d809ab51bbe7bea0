"""What a comparison measures in its rounds: a run of each entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.comparisons.aggregate import (
    MeasuredTrial,
    compute_result,
    measured_trial,
    merged_histograms,
    usable_trials,
)
from app.events import Event
from app.load.protocol.outcome import Outcome
from app.results.summary import percentile_curve
from app.runs.request import RunRequest
from app.schemas.comparison import ComparisonView
from app.schemas.run import RunView
from app.store.comparisons import ComparisonStore
from app.store.runs import RunStore


@dataclass(frozen=True, slots=True)
class EntryRuns:
    """The entries of one comparison. Satisfies `SeriesItems`.

    `figure`: name of the compared figure. `knobs`: of each entry, as given. `plan`: the fields that were
    given. `trials`: what has been measured, with the distributions that a view lacks.
    """

    runs: RunStore
    store: ComparisonStore
    figure: str
    knobs: tuple[Mapping[str, Any], ...]
    plan: Mapping[str, Any]
    trials: list[MeasuredTrial] = field(default_factory=list)
    noun: str = "comparison"

    def request(self, view: ComparisonView, item: int, number: int) -> RunRequest:
        """Return the run of an entry in a round."""
        entry = view.entries[item]
        return RunRequest(
            model=entry.model,
            knobs=self.knobs[item],
            scenario=view.scenario,
            plan=self.plan,
            thresholds=view.thresholds,
            comparison=view.id,
            label=f"comparison {view.id}: {entry.letter}, {view.round_text(number)}",
        )

    def trial_name(self, view: ComparisonView, item: int, number: int) -> str:
        """Return entry and round in words."""
        return f"{view.entries[item].name}, {view.round_text(number)}"

    def add(self, view: ComparisonView, item: int, number: int, run: RunView) -> ComparisonView:
        """Return the view with a run that has ended, and with the result so far."""
        stored = self.runs.outcome(run.id)
        outcome = Outcome.from_json(stored) if stored else None
        self.trials.append(measured_trial(self.figure, item, number, run, outcome))
        result = compute_result(self.figure, view.entries, self.trials)
        return replace(view, runs=tuple(each.trial for each in self.trials), result=result)

    def save(self, view: ComparisonView) -> None:
        """Store the view with the latency curves of its entries."""
        self.store.save_result(view, {"entries": [self._curve(i) for i in range(len(view.entries))]})

    def to_repeat(self, view: ComparisonView, order: Sequence[int]) -> set[int]:
        """Return the entries of the last round whose run is to be repeated."""
        return {each.entry for each in view.runs[-len(order) :] if each.why_not}

    def summary(self, view: ComparisonView) -> str:
        """Return the first sentence of the result; empty: there is none."""
        return view.result.said[0] if view.result and view.result.said else ""

    def event(self, view: ComparisonView, text: str) -> Event:
        """Return an event of the comparison."""
        return Event(f"comparison.{view.state}", None, None, view.current, text, view.id)

    def _curve(self, entry: int) -> dict[str, Any] | None:
        trials = usable_trials(self.trials, entry)
        return percentile_curve(*merged_histograms(trials)) if trials else None
