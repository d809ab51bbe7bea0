"""Notes on a trial: missing connections, and what a server pause hides from a closed load."""

from __future__ import annotations

from dataclasses import replace

from app.load.protocol import histogram
from app.load.protocol.outcome import KindOutcome, Outcome
from app.load.protocol.plan import Plan, Stage
from app.results.notes import notes
from app.results.summary import summarise

NOTHING = histogram.encode(histogram.new())
CALM = Outcome(
    started_at="2026-01-01T00:00:00.000Z",
    measured_from_ns=10**9,
    measured_to_ns=2 * 10**9,
    duration_s=1.0,
    stopped=False,
    requests=100,
    errors={},
    intended=None,
    sent=100,
    dropped=0,
    late=0,
    waited=0,
    reconnects=0,
    bytes_in=0,
    bytes_out=0,
    connections_peak=4,
    idle_connections_held=0,
    cpu_user_s=0.1,
    cpu_system_s=0.1,
    wall_s=1.0,
    send_jitter_p99_us=None,
    in_flight_ns=0,
    kinds=(KindOutcome("plaintext", "plaintext", 100, {}, NOTHING, NOTHING),),
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


def test_a_closed_load_shows_at_most_its_peak_connections_in_a_stall() -> None:
    ramp = Plan("ramping-vus", vus=8, stages=(Stage(1.0, 50),), pipeline=2, stall_ms=100)
    assert any("at most 100 requests show the stall" in note for note in notes_on(ramp, CALM, 100_000_000))


def test_an_outcome_stored_by_an_older_version_can_be_read() -> None:
    stored = {**CALM.to_json(), "notes": ["3 of 4 connections were open"]}
    for newer in ("missing", "idle_missing"):
        del stored[newer]
    assert Outcome.from_json(stored).requests == 100
