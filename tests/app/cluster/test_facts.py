"""What the members of a cluster tell of themselves: software, which must be the same, and machine."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from app.cluster.facts import HostFacts, Software
from app.machine.system import read_system
from app.schemas.host import HostRole
from app.settings import Settings

OURS = Software("0.1.0", "0123456789abcdef", "3.11", "2026.8.0")
FACTS = HostFacts.here((HostRole.LOAD, HostRole.ROUNDS), read_system(None, Settings()), ("reactor",))
ENOUGH = replace(FACTS, cores=2, descriptor_limit=1024)


def test_the_same_software_does_not_differ() -> None:
    assert OURS.difference(OURS.to_json()) is None
    assert Software.here().difference(json.loads(json.dumps(Software.here().to_json()))) is None


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"threadlab": "0.2.0"}, "threadlab 0.2.0 instead of 0.1.0"),
        ({"python": "3.13"}, "Python 3.13 instead of 3.11"),
        ({"distributed": "2026.9.0"}, "distributed 2026.9.0 instead of 2026.8.0"),
        ({"sources": "fedcba9876543210"}, "other sources of threadlab 0.1.0"),
    ],
)
def test_another_software_is_named_with_ours(changed: dict[str, str], difference: str) -> None:
    assert OURS.difference({**OURS.to_json(), **changed}) == difference


@pytest.mark.parametrize("field", ["threadlab", "python", "distributed"])
def test_a_member_that_does_not_tell_its_version_differs(field: str) -> None:
    theirs = OURS.to_json()
    del theirs[field]
    assert "an unknown version instead of" in (OURS.difference(theirs) or "")


def test_a_member_that_tells_nothing_differs() -> None:
    assert OURS.difference({}) == "threadlab an unknown version instead of 0.1.0"


def test_facts_are_the_same_after_a_message() -> None:
    assert HostFacts.from_json(json.loads(json.dumps(FACTS.to_json()))) == FACTS


@pytest.mark.parametrize("field", FACTS.to_json())
def test_facts_of_another_version_are_none_of_ours(field: str) -> None:
    data = FACTS.to_json()
    del data[field]
    assert HostFacts.from_json(data) is None


@pytest.mark.parametrize("data", [None, "facts", [], {}])
def test_a_worker_of_dask_has_no_facts(data: Any) -> None:
    assert HostFacts.from_json(data) is None


def test_a_host_needs_descriptors_and_two_cpus_for_rounds() -> None:
    assert ENOUGH.shortage() is None
    assert "limit of this machine is 1,023; a host needs 1,024" in (
        replace(ENOUGH, descriptor_limit=1023).shortage() or ""
    )
    one = replace(ENOUGH, cores=1)
    assert "This machine has one CPU; rounds need two" in (one.shortage() or "")
    assert replace(one, roles=("load",)).shortage() is None
