"""The schedule of rounds: random order from a seed, and void trials repeated with their partners."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from app.rounds.schedule import REPEATS_MAX, RoundSchedule

Need = tuple[int, ...]
PAIRS: list[Need] = list(combinations(range(3), 2))


def play(schedule: RoundSchedule, is_valid: Callable[[int, int], bool]) -> list[tuple[int, ...]]:
    """Carry out all rounds and return their orders. `is_valid(number, entry)`: whether that trial is."""
    orders = []
    while (order := schedule.next_order()) is not None:
        number = len(schedule.ended)
        void = [entry for entry in order if not is_valid(number, entry)]
        schedule.record(order, [void] * len(schedule.needs))
        orders.append(order)
    return orders


def schedule(needs: list[Need], rounds: int, seed: int = 1) -> RoundSchedule:
    return RoundSchedule(needs, lambda _: rounds, seed)


def test_each_round_has_every_entry_once_in_an_order_that_the_seed_repeats() -> None:
    orders = play(schedule(PAIRS, 7), lambda *_: True)
    assert len(orders) == 7 and all(sorted(order) == [0, 1, 2] for order in orders)
    assert len(set(orders)) > 1, "the order is random"
    assert orders == play(schedule(PAIRS, 7), lambda *_: True)
    assert orders != play(schedule(PAIRS, 7, seed=2), lambda *_: True)


def test_a_void_trial_is_repeated_with_its_partners_only() -> None:
    orders = play(schedule([(0, 1), (2, 3)], 7), lambda number, entry: (number, entry) != (4, 1))
    assert len(orders) == 8 and sorted(orders[7]) == [0, 1]


def test_an_entry_with_too_many_void_trials_is_given_up() -> None:
    orders = play(schedule([(0, 1), (2, 3)], 7), lambda number, entry: entry != 1 or number == 0)
    assert [sorted(order) for order in orders[: REPEATS_MAX + 2]] == [[0, 1, 2, 3]] * (REPEATS_MAX + 2)
    assert all(sorted(order) == [2, 3] for order in orders[REPEATS_MAX + 2 :]) and len(orders) == 7


def test_an_entry_without_a_valid_trial_is_not_repeated() -> None:
    assert len(play(schedule([(0, 1)], 1), lambda _, entry: entry == 0)) == 1
    assert len(play(schedule([(0, 1)], 3), lambda _, entry: entry == 0)) == 3


def test_a_need_may_want_more_rounds_once_the_first_ones_have_ended() -> None:
    extended = RoundSchedule([(0, 1), (1, 2)], lambda need: 9 if need == 0 else 7, 1)
    orders = play(extended, lambda *_: True)
    assert [sorted(order) for order in orders] == [[0, 1, 2]] * 7 + [[0, 1]] * 2


def test_a_single_entry_can_be_needed() -> None:
    assert play(schedule([(0,)], 3), lambda *_: True) == [(0,)] * 3


def test_the_remaining_trials_are_those_that_would_follow() -> None:
    under_test = schedule([(0, 1), (1, 2)], 7)
    assert under_test.remaining_trials == 21
    under_test.record((0, 1, 2), [[2], [2]])
    assert under_test.remaining_trials == 6 + 7 + 7


@given(st.integers(1, 9), st.sets(st.tuples(st.integers(0, 15), st.integers(0, 3)), max_size=40))
def test_a_schedule_ends_and_every_pair_is_complete_or_given_up(
    rounds: int, void: set[tuple[int, int]]
) -> None:
    under_test = schedule(list(combinations(range(4), 2)), rounds)
    orders = play(under_test, lambda number, entry: (number, entry) not in void)
    assert len(orders) <= 2 * rounds + 6 * (REPEATS_MAX + 1)
    for need in range(len(under_test.needs)):
        assert under_test.counted(need) >= rounds or under_test.is_exhausted(need)


def test_a_trial_may_count_for_one_need_and_not_for_another() -> None:
    """The same two entries by two figures: the throughput of the second round is void, its cost is not."""
    under_test = RoundSchedule([(0, 1), (0, 1)], lambda _: 3, 1)
    orders = []
    while (order := under_test.next_order()) is not None:
        number = len(under_test.ended)
        under_test.record(order, [[1] if number == 1 else [], []])
        orders.append(order)
    assert len(orders) == 4 and (under_test.counted(0), under_test.counted(1)) == (3, 4)
