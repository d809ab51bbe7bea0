"""The Dockerfile's promises, as far as its text can hold them."""

from __future__ import annotations

import re

from .files import ROOT, dockerfile


def last_stage() -> list[tuple[str, str]]:
    steps = dockerfile()
    return steps[max(n for n, (word, _) in enumerate(steps) if word == "FROM") :]


def test_the_base_can_be_replaced_and_is_the_same_in_both_stages() -> None:
    steps = dockerfile()
    assert steps[0] == ("ARG", "BASE=python:3.13-slim")
    assert [rest.split()[0] for word, rest in steps if word == "FROM"] == ["${BASE}", "${BASE}"]


def test_the_lab_runs_as_a_user_with_a_number_that_is_not_root() -> None:
    users = [rest for word, rest in last_stage() if word == "USER"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", users[-1]), (
        "a number, so that a cluster can check it is not root"
    )


def test_nothing_is_installed_in_the_last_stage() -> None:
    said = " ".join(rest for word, rest in last_stage() if word == "RUN")
    assert not re.search(r"\b(pip|apt|apt-get|apk|curl|wget)\b", said)
    assert [rest for word, rest in last_stage() if word == "COPY"] == [
        "--from=build /opt/threadlab /opt/threadlab"
    ]


def test_health_is_readiness_asked_by_python() -> None:
    (health,) = [rest for word, rest in last_stage() if word == "HEALTHCHECK"]
    assert "/readyz" in health and '"python3"' in health and "curl" not in health


def test_term_reaches_the_lab_and_not_a_shell() -> None:
    assert ("ENTRYPOINT", '["threadlab", "serve"]') in last_stage()


def test_no_token_is_built_in() -> None:
    assert not any("TOKEN" in rest for _, rest in dockerfile())


def test_whatever_is_copied_exists_and_reaches_the_builder() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = {
        source
        for word, rest in dockerfile()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.replace("${WHEELHOUSE}/", "deploy/wheelhouse").split()[:-1]
    }
    assert sources == let_in
    assert all((ROOT / source).exists() for source in sources)
