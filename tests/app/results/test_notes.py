"""Notes on a trial: missing connections, and what a server pause hides from a closed load."""

from __future__ import annotations

from dataclasses import replace

from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import LoadGroup, Plan, Stage
from app.results.notes import notes
from app.results.summary import summarise
from tests.load.outcomes import closed_outcome

CALM = replace(
    closed_outcome([1000] * 50, [1000] * 50), errors={}, missing=0, idle_missing=0, background_closed=0
)
PLAN = Plan(vus=8, idle_connections=30, slow_readers=5)


def notes_on(plan: Plan, outcome: Outcome, stalled_ns: int = 0) -> list[str]:
    return list(notes(plan, outcome, summarise(outcome), stalled_ns))


def test_an_undisturbed_trial_has_no_notes() -> None:
    assert notes_on(PLAN, CALM) == []


def test_missing_and_closed_connections_are_counted_over_all_shards() -> None:
    assert notes_on(
        PLAN, replace(CALM, missing=3, idle_missing=12, background_closed=1400, time_wait=28_000)
    ) == [
        "3 of 8 connections were not open when the load began; "
        "the load generator retried 20 times per second.",
        "12 of 30 idle connections were not accepted when the load began.",
        "The server closed 1,400 slow connections; each reconnected after 1 s.",
        "When the load ended, 28,000 connections of this machine were in TIME_WAIT.",
    ]


def test_missing_connections_and_results_of_groups_are_named() -> None:
    plan = replace(PLAN, groups=(LoadGroup("new", vus=6), LoadGroup("lost")))
    assert notes_on(plan, replace(CALM, groups={"new": replace(CALM, missing=2)})) == [
        "2 of 6 connections of load group new were not open when the load began.",
        "Load group lost has no result: its process ended early.",
    ]


def test_a_closed_load_shows_at_most_its_peak_connections_in_a_stall() -> None:
    ramp = Plan("ramping-vus", vus=8, stages=(Stage(1.0, 50),), pipeline=2, stall_ms=100)
    assert any("at most 100 requests show the stall" in note for note in notes_on(ramp, CALM, 100_000_000))


def test_an_outcome_stored_by_an_older_version_can_be_read() -> None:
    stored = {**CALM.to_json(), "notes": ["3 of 4 connections were open"]}
    for newer in ("missing", "idle_missing"):
        del stored[newer]
    assert Outcome.from_json(stored).requests == 100
