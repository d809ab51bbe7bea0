"""Outcomes as JSON, in which they are stored."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.load.protocol.connection_requests import ConnectionRequests
from app.load.protocol.outcome import Outcome
from tests.load.outcomes import closed_outcome

OUTCOME = replace(
    closed_outcome([100], [200]), background_requests=4, background_closed=2, missing=0, idle_missing=0
)
WITH_CONNECTIONS = replace(OUTCOME, per_connection=ConnectionRequests.of([3, 0, 5]))


WITH_GROUPS = replace(OUTCOME, groups={"new": WITH_CONNECTIONS, "slow": OUTCOME})


@pytest.mark.parametrize(
    "outcome", [OUTCOME, WITH_CONNECTIONS, WITH_GROUPS], ids=["plain", "connections", "groups"]
)
def test_an_outcome_is_the_same_after_json(outcome: Outcome) -> None:
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome


def test_field_names_of_groups_are_those_of_outcomes() -> None:
    assert WITH_GROUPS.to_json()["groups"]["slow"] == OUTCOME.to_json()


def test_stored_outcomes_keep_the_field_names_of_older_versions() -> None:
    stored = OUTCOME.to_json()
    assert (stored["aside_requests"], stored["aside_cut_off"]) == (4, 2)
    assert not {"background_requests", "background_closed"} & stored.keys()


def test_an_outcome_that_an_older_version_has_stored_is_read() -> None:
    stored = {**OUTCOME.to_json(), "notes": ["3 of 4 connections were open"]}
    newer = (
        *("aside_requests", "aside_cut_off", "missing", "idle_missing", "run_queue_ns", "time_wait"),
        *("per_connection", "groups"),
    )
    for name in newer:
        del stored[name]
    assert Outcome.from_json(stored) == replace(OUTCOME, background_requests=0, background_closed=0)


@pytest.mark.parametrize("name", ["requests", "kinds"])
def test_data_that_is_no_outcome_is_refused(name: str) -> None:
    with pytest.raises((KeyError, TypeError)):
        Outcome.from_json({key: value for key, value in OUTCOME.to_json().items() if key != name})
