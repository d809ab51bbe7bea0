"""Carries out the rounds of a comparison on the hosts of a cluster.

Tunings have no such module: they compare rates of different rounds, which must be those of one machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from app.rounds.kinds import differ, noted, with_round
from app.rounds.on_hosts import RoundHosts
from app.rounds.schedule import OpenRound
from app.rounds.series import Series, SeriesWorker
from app.runs.request import RunRequest
from app.schemas.comparison import ComparisonTrial, ComparisonView
from app.schemas.host import HostView
from app.schemas.run import RunView
from app.schemas.states import JobState
from app.statistics.decision import BAND, geometric_mean


@dataclass(frozen=True, slots=True)
class ComparisonsOnHosts:
    """Carries out comparisons on hosts, if there are some that can. Event loop only."""

    hosts: RoundHosts
    worker: SeriesWorker[ComparisonView]

    async def carry_out(self, series: Series[ComparisonView]) -> bool:
        """Measure a comparison on hosts; return False if none can."""
        view = series.view
        engines = [entry.model for entry in view.entries]
        if not self.hosts.are_used_for(engines, view.plan["placement"]):
            return False
        series.view = replace(view, state=JobState.RUNNING)
        await self.hosts.carry_out(_Rounds(self.worker, series), engines)
        return True


@dataclass(eq=False)
class _Rounds:
    """The rounds of one comparison. Satisfies `HostedRounds`. kinds: of the host of each run, by its id."""

    worker: SeriesWorker[ComparisonView]
    series: Series[ComparisonView]
    kinds: dict[int, str] = field(default_factory=dict)

    @property
    def is_stopped(self) -> bool:
        return self.series.stop_requested

    @property
    def has_more(self) -> bool:
        return self.series.schedule.next_order() is not None

    def begin(self) -> OpenRound | None:
        return self.series.schedule.begin()

    def title(self, round: OpenRound) -> str:
        return f"comparison {self.series.view.id}, {self.series.view.round_text(round.number)}"

    def requests(self, round: OpenRound) -> Sequence[RunRequest]:
        series = self.series
        return [series.items.request(series.view, item, round.number) for item in round.order]

    async def record(self, round: OpenRound, runs: Sequence[RunView], host: HostView) -> None:
        series = self.series
        series.view = replace(series.view, hosts=with_round(series.view.hosts, host))
        for item, run in zip(round.order, runs, strict=True):
            self.kinds[run.id] = host.kind
            await asyncio.to_thread(self.worker.record, series, item, round.number, run)
        series.ended_s = time.monotonic()
        void = series.items.to_repeat(series.view, round.order)
        series.schedule.record(round.order, [void] * len(series.schedule.needs))
        notes = noted(series.view.host_notes, kind_note(series.view, self.kinds))
        series.view = replace(series.view, host_notes=notes)
        await asyncio.to_thread(series.items.save, series.view)
        self.worker.report(series, f"{series.name}: round {round.number} ended on {host.name}")

    def on_progress(self, ended_runs: int) -> None:
        self.series.ended_in_round = ended_runs

    def note(self, sentence: str) -> None:
        view = self.series.view
        self.series.view = replace(view, host_notes=(*view.host_notes, sentence))


def kind_note(view: ComparisonView, kinds: Mapping[int, str]) -> str | None:
    """Return the note of the first two entries whose order depends on the kind of host; None: none does.

    `kinds`: the kind of the host of each run, by its id.
    """
    for a, b in combinations(range(len(view.entries)), 2):
        ratios = {kind: _ratio(view, kinds, kind, a, b) for kind in dict.fromkeys(kinds.values())}
        known = {kind: ratio for kind, ratio in ratios.items() if ratio}
        if known and max(known.values()) > BAND and min(known.values()) < 1 / BAND:
            names = f"{view.entries[a].letter} / {view.entries[b].letter}"
            return differ({kind: f"{names} is ×{ratio:.2f}" for kind, ratio in known.items()})
    return None


def _ratio(view: ComparisonView, kinds: Mapping[int, str], kind: str, a: int, b: int) -> float | None:
    """Return the mean ratio of the compared figure within rounds on hosts of one kind; None: no round."""
    metric = view.result.metric if view.result else ""
    rounds: dict[int, dict[int, ComparisonTrial]] = {}
    for trial in view.runs:
        if kinds.get(trial.run) == kind and trial.why_not is None:
            rounds.setdefault(trial.trial, {})[trial.entry] = trial
    ratios = []
    for trials in rounds.values():
        of_a, of_b = (trials[i].value_of(metric) if i in trials else None for i in (a, b))
        if of_a and of_b:
            ratios.append(of_a / of_b)
    return geometric_mean(ratios) if ratios else None
