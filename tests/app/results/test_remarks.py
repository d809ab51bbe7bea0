"""What is said of a trial beside its numbers, in sentences."""

from __future__ import annotations

from dataclasses import replace

from app.load.protocol import histogram
from app.load.protocol.outcome import KindOutcome, Outcome
from app.load.protocol.plan import Plan, Stage
from app.results.remarks import notes
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


def said(plan: Plan, outcome: Outcome, stalled_ns: int = 0) -> list[str]:
    return list(notes(plan, outcome, summarise(outcome), stalled_ns))


def test_nothing_is_said_of_a_calm_trial() -> None:
    assert said(PLAN, CALM) == []


def test_connections_that_were_not_there_are_told_in_numbers_of_the_whole_load() -> None:
    assert said(
        PLAN, replace(CALM, missing=3, idle_missing=12, background_closed=1400, time_wait=28_000)
    ) == [
        "3 of 8 connections were not there when the load began; they are tried again 20 times a second.",
        "12 of 30 idle connections were not served when the load began.",
        "The server closed 1,400 slow connections; each comes again after a second.",
        "When the load ended, 28,000 connections of this machine were in TIME_WAIT.",
    ]


def test_a_closed_load_shows_as_much_of_a_stall_as_it_has_connections_at_its_peak() -> None:
    ramp = Plan("ramping-vus", vus=8, stages=(Stage(1.0, 50),), pipeline=2, stall_ms=100)
    assert any("at most 100 of them show the stall" in note for note in said(ramp, CALM, 100_000_000))


def test_an_outcome_that_an_older_version_has_kept_is_read() -> None:
    kept = {**CALM.to_json(), "notes": ["of 4 connections 3 were there"]}
    for newer in ("missing", "idle_missing"):
        del kept[newer]
    assert Outcome.from_json(kept).requests == 100
