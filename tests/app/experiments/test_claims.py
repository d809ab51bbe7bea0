"""Every check on rounds that confirm its claim, that refute it, and that cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from app.experiments.catalogue import catalogue
from app.experiments.claim import Claim, Ratio
from app.experiments.evidence import Evidence
from app.schemas.experiment import ExperimentRound, ExperimentTrial
from app.schemas.states import Answer
from app.statistics.decision import ROUNDS

Values = Mapping[str, Mapping[str, float]]  # by entry, then by figure; the same in every cell and round
POOL = {"occupied:worker": 0.6, "stalled:reactor": 0.05, "achieved_per_s": 1000.0}


def threads(connections: int, extra: int) -> dict[str, float]:
    return {"threads_peak": connections + extra}


def memory(per_connection: float, connections: int) -> dict[str, float]:
    return {
        "connection_memory_bytes": 50_000 + per_connection * connections,
        "connections": float(connections),
    }


def by_cell(**cells: Values) -> dict[str, Values]:
    return {key.replace("_", "-"): values for key, values in cells.items()}


def rate(**entries: float) -> Values:
    return {entry.replace("_", "-"): {"achieved_per_s": value} for entry, value in entries.items()}


def slow_share(pool: float) -> dict[str, Values]:
    values = {"reactor": {"achieved_per_s": 1000.0}, "reactor-pool workers=32": {"achieved_per_s": pool}}
    return {f"slow-{share}": values for share in (1, 2, 5)}


def sizes(half: float, formula: float, double: float) -> Values:
    rates = {"workers=1": 125.0, "workers=4": half, "workers=8": formula, "workers=16": double}
    return {entry: {"achieved_per_s": value, "cpu_us": 1000.0} for entry, value in rates.items()}


def knee(occupied: float, idle: float) -> dict[str, Values]:
    rates = {1: 500.0, 2: 900.0, 4: 920.0, 16: 930.0}
    return {
        f"hash-{connections}": {
            "reactor": {"occupied:reactor": occupied, "idlest_cpu": idle, "achieved_per_s": value}
        }
        for connections, value in rates.items()
    }


def every(claim: str, values: Values) -> dict[str, Values]:
    """Return the same values in every cell of a claim."""
    return {cell.key: values for cell in catalogue()[claim].cells}


def both(claim: str, figures: tuple[str, ...], **entries: float) -> dict[str, Values]:
    """Return values of entries for several figures."""
    named = {entry.replace("_", "-"): value for entry, value in entries.items()}
    return every(claim, {entry: dict.fromkeys(figures, value) for entry, value in named.items()})


# Claim → the values that confirm it, and those that refute it.
CASES: dict[str, tuple[dict[str, Values], dict[str, Values]]] = {
    "blocking-thread-per-connection": (
        {f"connections-{n}": {"blocking": threads(n, 1)} for n in (10, 100, 1000)},
        {f"connections-{n}": {"blocking": threads(min(n, 64), 1)} for n in (10, 100, 1000)},
    ),
    "blocking-idle-memory": (
        {f"idle-{n}": {"blocking": memory(20_000, n), "reactor": memory(700, n)} for n in (1000, 5000)},
        {f"idle-{n}": {"blocking": memory(900, n), "reactor": memory(700, n)} for n in (1000, 5000)},
    ),
    "blocking-idle-threads": (
        by_cell(idle={"blocking": {"waiting:connection": 0.99}}),
        by_cell(idle={"blocking": {"waiting:connection": 0.5}}),
    ),
    "reactor-constant-threads": (
        {f"connections-{n}": {"reactor": threads(0, 1)} for n in (1, 100, 5000)},
        {f"connections-{n}": {"reactor": threads(n, 1)} for n in (1, 100, 5000)},
    ),
    "reactor-one-core": (
        by_cell(
            hash={
                "reactor": {"achieved_per_s": 900, "cores_used": 1.0},
                "reactor-pool": {"achieved_per_s": 1700},
            }
        ),
        by_cell(
            hash={
                "reactor": {"achieved_per_s": 900, "cores_used": 1.9},
                "reactor-pool": {"achieved_per_s": 1700},
            }
        ),
    ),
    "reactor-stalls": (
        both("reactor-stalls", ("plaintext.p99_us",), reactor=48_000.0, reactor_pool=2_000.0),
        both("reactor-stalls", ("plaintext.p99_us",), reactor=2_100.0, reactor_pool=1_400.0),
    ),
    "reactor-saturates": (knee(0.99, 0.45), knee(0.99, 0.05)),
    "pool-uses-cores": (
        both("pool-uses-cores", ("cores_used",), reactor=1.0, reactor_pool=1.9),
        both("pool-uses-cores", ("cores_used",), reactor=1.0, reactor_pool=1.2),
    ),
    "pool-handoff-cost": (
        both("pool-handoff-cost", ("cpu_us",), reactor=40.0, reactor_pool=52.0),
        both("pool-handoff-cost", ("cpu_us",), reactor=40.0, reactor_pool=30.0),
    ),
    "pool-reactor-limit": (
        every(
            "pool-reactor-limit",
            {"reactor-pool": POOL | {"occupied:reactor": 0.95}},
        ),
        every(
            "pool-reactor-limit",
            {"reactor-pool": POOL | {"occupied:reactor": 0.5}},
        ),
    ),
    "mainsub-accept": (
        both("mainsub-accept", ("accept_queue_mean", "accept_wait_us"), reactor=5.0, main_sub=0.5),
        both("mainsub-accept", ("accept_queue_mean", "accept_wait_us"), reactor=5.0, main_sub=4.0),
    ),
    "mainsub-scales": (
        every("mainsub-scales", rate(main_sub=2000, reactor=1000, reactor_pool=1500)),
        every("mainsub-scales", rate(main_sub=1000, reactor=1000, reactor_pool=1500)),
    ),
    "proactor-calls": (
        both("proactor-calls", ("io_calls",), reactor=2.1, proactor=0.2),
        both("proactor-calls", ("io_calls",), reactor=2.1, proactor=1.9),
    ),
    "proactor-efficiency": (
        both("proactor-efficiency", ("cpu_us",), reactor=40.0, proactor=30.0),
        both("proactor-efficiency", ("cpu_us",), reactor=40.0, proactor=60.0),
    ),
    "proactor-memory": (
        {f"idle-{n}": {"proactor": memory(1400, n), "reactor": memory(700, n)} for n in (1000, 5000)},
        {f"idle-{n}": {"proactor": memory(700, n), "reactor": memory(700, n)} for n in (1000, 5000)},
    ),
    "gil-equalises": (
        every("gil-equalises", rate(reactor=200, reactor_pool=198, main_sub=201, blocking=195, prefork=390)),
        every("gil-equalises", rate(reactor=200, reactor_pool=390, main_sub=201, blocking=195, prefork=390)),
    ),
    "gil-released": (
        every(
            "gil-released", rate(reactor=900, reactor_pool=1700, main_sub=1750, blocking=1700, proactor=920)
        ),
        every("gil-released", rate(reactor=900, reactor_pool=910, main_sub=890, blocking=905, proactor=920)),
    ),
    "threads-equal-events": (
        every("threads-equal-events", rate(blocking=1000, reactor=1020)),
        every("threads-equal-events", rate(blocking=600, reactor=1000)),
    ),
    "pool-9x": (slow_share(9500.0), slow_share(2000.0)),
    "pool-size": (by_cell(mixed=sizes(500, 900, 950)), by_cell(mixed=sizes(500, 900, 1400))),
    "pool-starvation": (
        by_cell(crowd={"blocking max_threads=64": {"jain": 0.25}, "reactor": {"jain": 0.99}}),
        by_cell(crowd={"blocking max_threads=64": {"jain": 0.95}, "reactor": {"jain": 0.99}}),
    ),
    "switch-interval": (
        by_cell(mixed={"5 ms": {"plaintext.p99_us": 20_000}, "0.5 ms": {"plaintext.p99_us": 9_000}}),
        by_cell(mixed={"5 ms": {"plaintext.p99_us": 9_000}, "0.5 ms": {"plaintext.p99_us": 20_000}}),
    ),
    "accept-skew": (
        by_cell(accept={name: {"worker_fairness": 0.6} for name in ("shared", "exclusive", "reuseport")}),
        by_cell(accept={name: {"worker_fairness": 0.99} for name in ("shared", "exclusive", "reuseport")}),
    ),
}
REFUTED = {Answer.DOES_NOT_HOLD, Answer.NO_DIFFERENCE}
WITHOUT_TRIALS = ("proactor-complexity", "proactor-support", "linux-prefers-reactor")


def evidence(claim: Claim, cells: Mapping[str, Values], void: str = "", flip: bool = False) -> Evidence:
    """Return seven rounds of these values.

    `void`: the reason of every trial. `flip`: in every other round each entry has the values of the next.
    """
    rounds = []
    for cell in claim.cells:
        names = [entry.name for entry in cell.entries]
        for number in range(1, ROUNDS + 1):
            order = [*names[1:], names[0]] if flip and number % 2 else names
            trials = tuple(
                ExperimentTrial(
                    name,
                    number,
                    None,
                    {figure: cells[cell.key].get(source, {}).get(figure) for figure in claim.figures},
                    dict.fromkeys(claim.figures, void) if void else {},
                )
                for name, source in zip(names, order, strict=True)
            )
            rounds.append(ExperimentRound(cell.key, number, trials))
    return Evidence(rounds, ROUNDS)


@pytest.mark.parametrize("id", CASES)
def test_a_claim_is_confirmed(id: str) -> None:
    found = catalogue()[id].check(evidence(catalogue()[id], CASES[id][0]))
    assert found.answer is Answer.HOLDS, found.because
    assert found.because and all(sentence.endswith(".") for sentence in found.because)
    assert found.results and all(result.answer is Answer.HOLDS for result in found.results)


@pytest.mark.parametrize("id", CASES)
def test_a_claim_is_refuted(id: str) -> None:
    found = catalogue()[id].check(evidence(catalogue()[id], CASES[id][1]))
    assert found.answer in REFUTED, found.because


@pytest.mark.parametrize("id", CASES)
def test_a_claim_cannot_be_tested_if_no_trial_is_valid(id: str) -> None:
    reason = "The load generator was the limit."
    found = catalogue()[id].check(evidence(catalogue()[id], CASES[id][0], void=reason))
    assert found.answer is Answer.CANNOT_TEST and any(reason in sentence for sentence in found.because)


@pytest.mark.parametrize(
    "id",
    [id for id, claim in catalogue().items() if any(isinstance(need, Ratio) for need in claim.needs)],
)
def test_a_claim_is_not_confirmed_if_entries_change_places(id: str) -> None:
    found = catalogue()[id].check(evidence(catalogue()[id], CASES[id][0], flip=True))
    assert found.answer is not Answer.HOLDS or id == "threads-equal-events", found.because


def test_a_reactor_that_waits_for_the_gil_is_no_bottleneck() -> None:
    values = {"reactor-pool": POOL | {"occupied:reactor": 0.95, "stalled:reactor": 0.4}}
    claim = catalogue()["pool-reactor-limit"]
    found = claim.check(evidence(claim, every(claim.id, values)))
    assert found.answer is Answer.CANNOT_TEST and "40 %" in found.because[0]


def pool_of(size: float, **rates: float) -> Evidence:
    """Return evidence of pools whose formula gives `size`. `rates`: throughput of `workers_<n>`."""
    claim = catalogue()["pool-size"]
    one = {"achieved_per_s": 1e6 / (size * 1000.0), "cpu_us": 1000.0}
    return evidence(claim, {"mixed": {**rate(**rates), "workers=1": one}})


@pytest.mark.parametrize(("size", "pool"), [(3.3, 4), (4.6, 4), (5.1, 6), (6.8, 6), (7.1, 8), (9.9, 8)])
def test_the_pool_with_the_size_of_the_formula_is_compared(size: float, pool: int) -> None:
    rates = {f"workers={pool // 2}": 500.0, f"workers={pool}": 900.0, f"workers={2 * pool}": 950.0}
    found = catalogue()["pool-size"].check(pool_of(size, **rates))
    assert found.answer is Answer.HOLDS, found.because
    assert f"1 + W/C = {size}" in found.because[-1] and f"{pool} workers" in found.because[-1]


@pytest.mark.parametrize("size", [3.1, 10.1])
def test_a_size_for_which_there_is_no_pool_is_not_tested(size: float) -> None:
    found = catalogue()["pool-size"].check(pool_of(size))
    assert found.answer is Answer.CANNOT_TEST and f"1 + W/C = {size}" in found.because[0]


def test_a_trial_counts_for_the_size_of_a_pool_if_rate_and_cost_are_valid() -> None:
    claim = catalogue()["pool-size"]
    trial = ExperimentTrial(
        "workers=1", 1, None, {"achieved_per_s": 250.0, "cpu_us": None}, {"cpu_us": "void"}
    )
    found = claim.check(Evidence((ExperimentRound("mixed", 1, (trial,)),), ROUNDS))
    assert found.answer is Answer.CANNOT_TEST and "void" in found.because[0]


def facts(**more: Any) -> Evidence:
    return Evidence((), ROUNDS, more)


def test_claims_without_trials_show_facts() -> None:
    claims = catalogue()
    code = {"reactor": {"lines": 200, "branches": 30}, "proactor": {"lines": 500, "branches": 120}}
    complexity = claims["proactor-complexity"].check(facts(code=code))
    assert complexity.answer is Answer.NOT_JUDGED and "proactor 500 lines" in complexity.because[1]
    available = claims["proactor-support"].check(facts(models={"proactor": None}))
    blocked = claims["proactor-support"].check(facts(models={"proactor": "io_uring is blocked"}))
    assert available.answer is blocked.answer is Answer.HOLDS
    assert "io_uring works" in available.because[0] and "io_uring is blocked" in blocked.because[0]
    prefers = claims["linux-prefers-reactor"].check(facts(answers={"proactor-calls": "holds"}))
    assert prefers.answer is Answer.NOT_JUDGED and "proactor-calls holds" in prefers.because[1]


def test_hand_offs_are_shown_and_not_judged() -> None:
    claim = catalogue()["mainsub-data-exchange"]
    values = {"main-sub workers=0": {"handoffs": 0.0}, "reactor-pool": {"handoffs": 1.0}}
    found = claim.check(evidence(claim, every(claim.id, values)))
    assert found.answer is Answer.NOT_JUDGED and "reactor-pool 1" in found.because[1]


def test_every_claim_has_a_test_of_its_check() -> None:
    assert {*CASES, *WITHOUT_TRIALS, "mainsub-data-exchange"} == set(catalogue())


@pytest.mark.parametrize("id", catalogue())
def test_a_claim_is_complete(id: str) -> None:
    claim = catalogue()[id]
    assert claim.text.endswith(".") and claim.refute.endswith(".") and claim.tested_as
    assert claim.cannot_show and all(limit.endswith(".") for limit in claim.cannot_show)
    assert {need.cell for need in claim.needs} == {cell.key for cell in claim.cells}
    for need in claim.needs:
        names = {entry.name for entry in claim.cell(need.cell).entries}
        assert set(need.entries) <= names and len(names) == len(claim.cell(need.cell).entries)
