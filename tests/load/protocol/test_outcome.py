"""Outcomes as JSON, in which they are stored."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.load.protocol.outcome import KindOutcome, Outcome, Second

OUTCOME = Outcome(
    started_at="2026-01-01T00:00:00.000Z",
    measured_from_ns=1,
    measured_to_ns=2,
    duration_s=1.0,
    stopped=False,
    requests=10,
    errors={"timeout": 1},
    intended=None,
    sent=11,
    dropped=0,
    late=0,
    waited=0,
    reconnects=0,
    bytes_in=0,
    bytes_out=0,
    connections_peak=1,
    idle_connections_held=0,
    cpu_user_s=0.0,
    cpu_system_s=0.0,
    wall_s=1.0,
    send_jitter_p99_us=None,
    in_flight_ns=0,
    kinds=(KindOutcome("plaintext", "plaintext", 10, {"timeout": 1}, "", ""),),
    seconds=(Second(0.0, 1.0, "measure", None, 11, 10, 1, 0, "", ""),),
    background_requests=4,
    background_closed=2,
)


def test_an_outcome_is_the_same_after_json() -> None:
    assert Outcome.from_json(json.loads(json.dumps(OUTCOME.to_json()))) == OUTCOME


def test_stored_outcomes_keep_the_field_names_of_older_versions() -> None:
    stored = OUTCOME.to_json()
    assert (stored["aside_requests"], stored["aside_cut_off"]) == (4, 2)
    assert not {"background_requests", "background_closed"} & stored.keys()


def test_an_outcome_that_an_older_version_has_stored_is_read() -> None:
    stored = {**OUTCOME.to_json(), "notes": ["3 of 4 connections were open"]}
    newer = ("aside_requests", "aside_cut_off", "missing", "idle_missing", "run_queue_ns", "time_wait")
    for name in newer:
        del stored[name]
    assert Outcome.from_json(stored) == replace(OUTCOME, background_requests=0, background_closed=0)


@pytest.mark.parametrize("name", ["requests", "kinds"])
def test_data_that_is_no_outcome_is_refused(name: str) -> None:
    with pytest.raises((KeyError, TypeError)):
        Outcome.from_json({key: value for key, value in OUTCOME.to_json().items() if key != name})
