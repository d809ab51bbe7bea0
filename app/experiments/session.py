"""A session: the experiments that were requested together, and the cells that they share.

Cells with the same plan are one cell with the entries of all of them, so that a trial is measured once and
counts for every claim that needs it. The A/A pair of the session is a cell like any other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.experiments.claim import Cell, Claim, Entry, Need, Ratio
from app.experiments.evidence import Evidence, blocked_key
from app.load.protocol.plan import Plan
from app.rounds.schedule import Round, RoundSchedule
from app.schemas.experiment import Calibration, ExperimentRound, ExperimentView
from app.statistics.decision import ROUNDS, ROUNDS_MAX, is_decided

OVERHEAD_S = 1.3  # to start and stop engine and load generator; an estimate until the first trial has ended
QUICK_COUNT_TRIALS = 1


@dataclass(eq=False)
class ActiveExperiment:
    """An experiment that is queued or in progress.

    plans: the plan of each cell that can be measured. blocked: what cannot be measured, as in `Evidence`.
    """

    view: ExperimentView
    claim: Claim
    plans: Mapping[str, Plan]
    blocked: Mapping[str, str] = field(default_factory=dict)
    rounds: list[ExperimentRound] = field(default_factory=list)
    gather_facts: Callable[[], dict[str, Any]] = dict  # called once, before it is answered
    lost_rounds: list[str] = field(default_factory=list)  # rounds that were lost with a host, in sentences
    is_calibration: bool = False  # of its session: neither stored nor reported
    stop_requested: bool = False
    closing: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)
    session: Session | None = None  # None until it has one

    @property
    def reads_answers(self) -> bool:
        """Whether its check reads the answers of other experiments."""
        return "answers" in self.claim.facts

    @property
    def is_ended(self) -> bool:
        """Whether it needs no further trials: it was stopped, or has its answer."""
        return self.stop_requested or self.closing

    @property
    def needs_calibration(self) -> bool:
        """Whether its answer rests on ratios that can be measured."""
        return any(not self.is_blocked(ratio) for ratio in self.claim.ratios)

    @property
    def evidence(self) -> Evidence:
        """What the check reads."""
        return Evidence(self.rounds, self.view.rounds_wanted, self.view.facts, self.blocked)

    def is_blocked(self, need: Need) -> bool:
        """Return whether an entry of a need cannot be measured."""
        keys = (need.cell, *(blocked_key(need.cell, entry) for entry in need.entries))
        return any(key in self.blocked for key in keys)

    def selects(self, need: Need) -> bool:
        """Return whether what was measured so far selects a need for further rounds."""
        return self.claim.selects is None or need in self.claim.selects(self.evidence)

    @property
    def to_trace(self) -> tuple[Cell, tuple[Entry, ...]] | None:
        """The cell and the entries of its first need, which are traced at the end; None: nothing to trace."""
        if not self.view.wants_trace:
            return None
        need = next((need for need in self.claim.needs if not self.is_blocked(need)), None)
        if need is None:
            return None
        cell = self.claim.cell(need.cell)
        return cell, tuple(_entry(cell, name) for name in need.entries)

    def ratios(self, need: Ratio) -> list[float]:
        """Return the ratios of a need that count so far."""
        return self.evidence.ratios(need.cell, need.a, need.b, need.figure)


@dataclass(frozen=True, slots=True)
class CellNeed:
    """What a claim needs of a cell: its entries by index in the cell."""

    experiment: ActiveExperiment
    need: Need
    entries: tuple[int, ...]


@dataclass(eq=False)
class SessionCell:
    """A cell that is measured, with the entries and needs of all claims that have it."""

    plan: Mapping[str, Any]
    seconds: float  # of one trial by the plan
    entries: list[Entry] = field(default_factory=list)
    needs: list[CellNeed] = field(default_factory=list)
    used_by: list[tuple[ActiveExperiment, Cell]] = field(default_factory=list)
    measuring: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while it is measured
    schedule: RoundSchedule = field(init=False)

    @property
    def is_needed(self) -> bool:
        """Whether an experiment needs further trials of this cell."""
        return any(not experiment.is_ended for experiment, _ in self.used_by)

    def add(self, experiment: ActiveExperiment, cell: Cell, needs: Sequence[Need]) -> None:
        """Add the entries and needs of a claim's cell."""
        self.used_by.append((experiment, cell))
        for need in needs:
            indexes = tuple(self._index(_entry(cell, name)) for name in need.entries)
            self.needs.append(CellNeed(experiment, need, indexes))

    def _index(self, entry: Entry) -> int:
        for index, each in enumerate(self.entries):
            if each.identity == entry.identity:
                return index
        self.entries.append(entry)
        return len(self.entries) - 1

    def has_complete_need(self, experiment: ActiveExperiment, order: Sequence[int]) -> bool:
        """Return whether a round of these entries has all entries of a need of an experiment."""
        return any(need.experiment is experiment and set(need.entries) <= set(order) for need in self.needs)

    def names(self, cell: Cell) -> dict[int, str]:
        """Return the names that a claim's cell has for entries, by index."""
        identities = {entry.identity: entry.name for entry in cell.entries}
        return {
            index: identities[entry.identity]
            for index, entry in enumerate(self.entries)
            if entry.identity in identities
        }

    def plan_rounds(self, seed: int) -> None:
        """Create the schedule, with the rounds that resumed experiments have already."""
        entries = [need.entries for need in self.needs]
        self.schedule = RoundSchedule(entries, self._wanted, seed)
        for experiment, cell in self.used_by:
            for each in experiment.rounds:
                if each.cell == cell.key:
                    self._record_past(experiment, cell, each)

    def _record_past(self, experiment: ActiveExperiment, cell: Cell, past: ExperimentRound) -> None:
        indexes = {name: index for index, name in self.names(cell).items()}
        order = [indexes[trial.entry] for trial in past.trials if trial.entry in indexes]
        self.schedule.ended.append(Round(tuple(order), tuple(map(frozenset, self.void({experiment: past})))))

    def void(self, rounds: Mapping[ActiveExperiment, ExperimentRound]) -> list[set[int]]:
        """Return for each need the entries whose trial does not count.

        `rounds`: the round as each experiment has it.
        """
        return [set(self._void(need, rounds.get(need.experiment))) for need in self.needs]

    def _void(self, of: CellNeed, measured: ExperimentRound | None) -> Iterator[int]:
        trials = {trial.entry: trial for trial in measured.trials} if measured else {}
        for index, name in zip(of.entries, of.need.entries, strict=True):
            if name in trials and any(figure in trials[name].void for figure in of.need.figures):
                yield index

    def _wanted(self, index: int) -> int:
        of = self.needs[index]
        if of.experiment.is_ended:
            return 0
        if not isinstance(of.need, Ratio):
            return QUICK_COUNT_TRIALS if of.experiment.view.quick else of.need.trials
        wanted = of.experiment.view.rounds_wanted
        if not of.experiment.selects(of.need):
            return 1
        if wanted < ROUNDS:
            return wanted
        ratios = of.experiment.ratios(of.need)
        undecided = len(ratios) >= wanted and not is_decided(ratios, of.need.criterion)
        return ROUNDS_MAX if undecided else wanted


def _entry(cell: Cell, name: str) -> Entry:
    return next(entry for entry in cell.entries if entry.name == name)


@dataclass(eq=False)
class Session:
    """Experiments that were requested together, in order, with their cells.

    calibrating: the A/A pair, and the one that repeats it; () if no experiment needs ratios.
    """

    experiments: list[ActiveExperiment]
    calibrating: tuple[ActiveExperiment, ...]
    seed: int
    cells: list[SessionCell] = field(default_factory=list)
    repeated_calibration: SessionCell | None = None
    calibration: Calibration | None = None
    traced: dict[str, int] = field(default_factory=dict)  # ids of traced runs, by plan and entry
    began_s: float = 0.0  # CLOCK_MONOTONIC; 0 while queued
    trials_ended: int = 0
    trial_seconds: float = 0.0  # of all ended trials
    planned_seconds: float = 0.0  # of the same trials by their plans
    host_names: set[str] = field(default_factory=set)  # of the hosts that measured rounds
    closing: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while experiments are answered
    recording: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while a round is added

    @property
    def is_stopped(self) -> bool:
        """Whether no experiment needs further trials."""
        return all(each.is_ended for each in self.experiments)

    @property
    def needs_calibration(self) -> bool:
        """Whether an experiment that has not ended compares ratios."""
        return any(not each.is_ended and any(each.claim.ratios) for each in self.experiments)

    @property
    def pair_cell(self) -> SessionCell | None:
        """The cell with the A/A pair."""
        pairs = (cell for cell in self.cells if any(each.is_calibration for each, _ in cell.used_by))
        return next(pairs, None)

    @property
    def awaits_pair(self) -> bool:
        """Whether an A/A pair is still to be measured: the first one, or the one that repeats it."""
        return bool(self.calibrating) and (self.calibration is None or self.must_repeat_pair)

    @property
    def must_repeat_pair(self) -> bool:
        """Whether the first A/A pair showed a difference, and the one that repeats it was not measured."""
        found = self.calibration
        return bool(found and found.noisy and found.pairs == 1 and self.repeated_calibration)

    @property
    def overhead_s(self) -> float:
        """The mean time of a trial beyond its plan, in seconds."""
        if not self.trials_ended:
            return OVERHEAD_S
        return (self.trial_seconds - self.planned_seconds) / self.trials_ended

    def add_trials(self, count: int, seconds: float, planned_seconds: float) -> None:
        """Count trials that have ended; both times are of one trial."""
        self.trials_ended += count
        self.trial_seconds += count * seconds
        self.planned_seconds += count * planned_seconds

    def drop_needless_pairs(self) -> None:
        """Stop the A/A pairs if no experiment that has not ended compares ratios."""
        if not self.needs_calibration:
            for pair in self.calibrating:
                pair.stop_requested = True

    def left_s(self, until: ActiveExperiment | None = None) -> float:
        """Return the estimated time in seconds until an experiment ends; None: until the last one ends."""
        seconds = 0.0
        last = self._last_cell(until) if until else len(self.cells)
        for cell in self.cells[: last + 1]:
            seconds += cell.schedule.remaining_trials * (cell.seconds + self.overhead_s)
        return seconds / max(1, len(self.host_names))

    def _last_cell(self, experiment: ActiveExperiment) -> int:
        used = [i for i, cell in enumerate(self.cells) for each, _ in cell.used_by if each is experiment]
        return max(used, default=-1)

    def remaining_trials(self, experiment: ActiveExperiment) -> int:
        """Estimate the trials that are left in the cells of an experiment, shared ones included."""
        cells = {id(cell): cell for cell in self.cells for each, _ in cell.used_by if each is experiment}
        return sum(cell.schedule.remaining_trials for cell in cells.values())

    def is_measured(self, experiment: ActiveExperiment) -> bool:
        """Return whether every cell of an experiment is complete or given up.

        One that reads the answers of the others waits for them.
        """
        others = (each for each in self.experiments if not each.reads_answers)
        if experiment.reads_answers and not all(each.closing for each in others):
            return False
        return all(
            of.experiment is not experiment or cell.schedule.is_complete(index)
            for cell in self.cells
            for index, of in enumerate(cell.needs)
        )


def merge_cells(experiments: Sequence[ActiveExperiment], seed: int) -> list[SessionCell]:
    """Return the cells that these experiments need, those with the same plan merged."""
    by_plan: dict[str, SessionCell] = {}
    for experiment in experiments:
        for cell in experiment.claim.cells:
            needs = [
                need
                for need in experiment.claim.needs
                if need.cell == cell.key and not experiment.is_blocked(need)
            ]
            if not needs:
                continue
            plan = experiment.plans[cell.key]
            key = json.dumps(plan.to_json(), sort_keys=True)
            if key not in by_plan:
                by_plan[key] = SessionCell(plan.to_json(), plan.total_s)
            by_plan[key].add(experiment, cell, needs)
    cells = list(by_plan.values())
    for number, each in enumerate(cells):
        each.plan_rounds(_mixed(seed, number))
    return cells


def _mixed(seed: int, number: int) -> int:
    """Return a different seed for each cell."""
    return (seed + 7919 * number) % 2**32
