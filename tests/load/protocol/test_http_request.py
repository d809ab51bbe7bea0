"""Secret headers are masked in every plan but that of the generator."""

from __future__ import annotations

import json

import pytest

from app.load.protocol.http_request import MASKED, is_secret
from app.load.protocol.plan import LoadGroup, Plan, Work

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "PROXY-AUTHORIZATION",
        "Cookie",
        "X-Auth-Token",
        "x-csrftoken",
        "Client-Secret",
        "X-Api-Key",
        "apikey",
        "X-Password",
    ],
)
def test_a_header_with_a_credential_is_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["Accept", "Content-Type", "X-Request-Id", "Cookies-Allowed"])
def test_another_header_is_not_secret(name: str) -> None:
    assert not is_secret(name)


def test_only_the_job_of_the_generator_has_secrets() -> None:
    params = {"path": "/", "headers": {"Authorization": SECRET, "Accept": "a"}}
    work = (Work("http", params=params),)
    plan = Plan(work=work, groups=(LoadGroup("new", work=work),))
    shown = plan.to_json()
    assert SECRET not in json.dumps(shown)
    for each in (shown["work"], shown["groups"][0]["work"]):
        assert each[0]["params"]["headers"] == {"Authorization": MASKED, "Accept": "a"}
    assert Plan.from_json(json.loads(json.dumps(plan.to_job()))) == plan
    assert plan.work[0].params is params, "the plan itself is unchanged"
