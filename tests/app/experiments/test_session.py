"""Sessions: cells with the same plan are measured once, and each need gets the rounds that it wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from app.experiments.claim import Cell, Claim, Count, Entry, Finding, Need, Ratio
from app.experiments.evidence import Evidence, blocked_key
from app.experiments.session import ActiveExperiment, Session, SessionCell, merge_cells
from app.load.protocol.plan import Plan
from app.schemas.experiment import ExperimentRound, ExperimentTrial, ExperimentView
from app.schemas.states import Answer
from app.statistics.decision import ROUNDS, ROUNDS_MAX

REACTOR, POOL, BLOCKING = Entry("reactor"), Entry("reactor-pool"), Entry("blocking")
POOL_RATIO = Ratio("a", "reactor-pool", "reactor", "cpu_us", 1.10)


def nothing(_: Evidence) -> Finding:
    return Finding(Answer.UNCLEAR, ())


def experiment(
    entries: Sequence[Entry], *needs: Need, plan: Plan | None = None, **view: Any
) -> ActiveExperiment:
    """Return an experiment with one cell `a`."""
    claim = Claim(
        "c", 1, "Text.", "how", nothing, cells=(Cell("a", "a", {}, tuple(entries)),), needs=tuple(needs)
    )
    given: dict[str, Any] = {field.name: None for field in fields(ExperimentView)}
    wanted = {"rounds_wanted": ROUNDS, "quick": False, "facts": {}, "runs": (), "rounds": ()}
    return ActiveExperiment(ExperimentView(**{**given, **wanted, **view}), claim, {"a": plan or Plan()})


def measure(cell: SessionCell, values: dict[str, list[float]], void: Sequence[tuple[int, str]] = ()) -> int:
    """Carry out all rounds of a cell with these values by entry and round, and return their number."""
    while (order := cell.schedule.next_order()) is not None:
        number, rounds = len(cell.schedule.ended), {}
        for each, claim_cell in cell.used_by:
            names = cell.names(claim_cell)
            trials = tuple(
                ExperimentTrial(
                    name := names[index],
                    number,
                    None,
                    {"cpu_us": values[name][min(number, len(values[name]) - 1)]},
                    {"cpu_us": "void"} if (number, name) in void else {},
                )
                for index in order
                if index in names
            )
            rounds[each] = ExperimentRound("a", number + 1, trials)
            each.rounds.append(rounds[each])
        cell.schedule.record(order, cell.void(rounds))
    return len(cell.schedule.ended)


def test_cells_with_the_same_plan_are_merged_and_others_are_not() -> None:
    one = experiment([REACTOR, POOL], POOL_RATIO)
    two = experiment([BLOCKING, REACTOR], Count("a", "blocking", ("cpu_us",)))
    other = experiment([REACTOR], Count("a", "reactor", ("cpu_us",)), plan=Plan(vus=1))
    shared, alone = merge_cells([one, two, other], seed=1)
    assert [entry.model for entry in shared.entries] == ["reactor-pool", "reactor", "blocking"]
    assert [need.entries for need in shared.needs] == [(0, 1), (2,)]
    assert [entry.model for entry in alone.entries] == ["reactor"]
    session = Session([one, two, other], (), 1, cells=[shared, alone])
    assert session.remaining_trials(one) == session.remaining_trials(two) == 2 * ROUNDS + 2
    assert session.remaining_trials(other) == 2


def test_equal_entries_with_other_knobs_or_another_copy_are_different() -> None:
    entries = [REACTOR, Entry("reactor", {"idle_s": 5}, "long"), Entry("reactor", key="again", copy=1)]
    needs = [Count("a", entry.name, ("cpu_us",)) for entry in entries]
    [cell] = merge_cells([experiment(entries, *needs)], seed=1)
    assert len(cell.entries) == 3


def test_a_ratio_that_seven_rounds_decide_has_seven_and_another_one_nine() -> None:
    clear = experiment([REACTOR, POOL], POOL_RATIO)
    assert measure(merge_cells([clear], 1)[0], {"reactor": [1.0], "reactor-pool": [1.5]}) == ROUNDS
    close = experiment([REACTOR, POOL], POOL_RATIO)
    values = {"reactor": [1.0], "reactor-pool": [1.05] * 3 + [1.2] * 9}
    assert measure(merge_cells([close], 1)[0], values) == ROUNDS_MAX


def test_a_need_that_is_not_selected_is_measured_once() -> None:
    count, other = Count("a", "reactor", ("cpu_us",)), Ratio("a", "blocking", "reactor", "cpu_us")
    one = experiment([REACTOR, POOL, BLOCKING], count, POOL_RATIO, other)

    def select(evidence: Evidence) -> tuple[Need, ...]:
        is_fast = evidence.values("a", "reactor", "cpu_us") == [1.0]
        return (count, other if is_fast else POOL_RATIO)

    one.claim = replace(one.claim, selects=select)
    [cell] = merge_cells([one], 1)
    assert cell.schedule.remaining_trials == 2 * ROUNDS + 1, "before it is known, the first one is selected"
    values = {"reactor": [1.0, 2.0], "reactor-pool": [1.5, 3.0], "blocking": [1.5, 3.0]}
    assert measure(cell, values) == 1 + 1 + (ROUNDS - 1), "both, then the other, then the first again"
    assert len(one.ratios(POOL_RATIO)) == ROUNDS and len(one.ratios(other)) == 2


def test_quick_experiments_have_three_rounds_and_one_trial_of_a_count() -> None:
    needs = (POOL_RATIO, Count("a", "reactor", ("cpu_us",), trials=9))
    quick = experiment([REACTOR, POOL], *needs, quick=True, rounds_wanted=3)
    assert measure(merge_cells([quick], 1)[0], {"reactor": [1.0], "reactor-pool": [1.5]}) == 3


def test_a_void_trial_is_repeated_with_its_partner() -> None:
    one = experiment([REACTOR, POOL], POOL_RATIO)
    [cell] = merge_cells([one], 1)
    assert measure(cell, {"reactor": [1.0], "reactor-pool": [1.5]}, [(2, "reactor")]) == ROUNDS + 1
    assert len(one.ratios(POOL_RATIO)) == ROUNDS


def test_a_blocked_entry_is_not_measured_and_the_others_are() -> None:
    one = experiment([REACTOR, POOL, BLOCKING], POOL_RATIO, Count("a", "blocking", ("cpu_us",)))
    one.blocked = {blocked_key("a", "reactor-pool"): "It is not available."}
    [cell] = merge_cells([one], 1)
    assert [entry.model for entry in cell.entries] == ["blocking"]
    assert one.evidence.reason("a", ("reactor-pool",), ("cpu_us",)) == "It is not available."


def test_a_stopped_experiment_wants_nothing_more() -> None:
    one = experiment([REACTOR, POOL], POOL_RATIO)
    two = experiment([REACTOR, BLOCKING], Ratio("a", "blocking", "reactor", "cpu_us"))
    [cell] = merge_cells([one, two], 1)
    one.stop_requested = True
    order = cell.schedule.next_order()
    assert order is not None and {cell.entries[index].model for index in order} == {"reactor", "blocking"}
    two.stop_requested = True
    assert cell.schedule.next_order() is None and not cell.is_needed


def test_the_rounds_of_a_resumed_experiment_count() -> None:
    first = experiment([REACTOR, POOL], POOL_RATIO)
    measure(merge_cells([first], 1)[0], {"reactor": [1.0], "reactor-pool": [1.5]})
    resumed = experiment([REACTOR, POOL], POOL_RATIO)
    resumed.rounds = first.rounds[:5]
    [cell] = merge_cells([resumed], 1)
    assert len(cell.schedule.ended) == 5 and cell.schedule.remaining_trials == 2 * (ROUNDS - 5)
