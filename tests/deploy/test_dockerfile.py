"""Properties of the image that can be read from the Dockerfile."""

from __future__ import annotations

import re

from .files import ROOT, dockerfile


def last_stage() -> list[tuple[str, str]]:
    steps = dockerfile()
    return steps[max(n for n, (word, _) in enumerate(steps) if word == "FROM") :]


def test_both_stages_use_the_same_replaceable_base() -> None:
    steps = dockerfile()
    assert steps[0] == ("ARG", "BASE=python:3.14-slim")
    assert [rest.split()[0] for word, rest in steps if word == "FROM"] == ["${BASE}", "${BASE}"]


def test_the_lab_runs_as_a_numeric_user_other_than_root() -> None:
    users = [rest for word, rest in last_stage() if word == "USER"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", users[-1]), "a cluster can only check a numeric user"


def test_nothing_is_installed_in_the_last_stage() -> None:
    commands = " ".join(rest for word, rest in last_stage() if word == "RUN")
    assert not re.search(r"\b(pip|apt|apt-get|apk|curl|wget)\b", commands)
    assert [rest for word, rest in last_stage() if word == "COPY"] == [
        "--from=build /opt/threadlab /opt/threadlab"
    ]


def test_the_health_check_requests_readyz_with_python() -> None:
    (health,) = [rest for word, rest in last_stage() if word == "HEALTHCHECK"]
    assert "/readyz" in health and '"python3"' in health and "curl" not in health


def test_the_entrypoint_is_the_lab_without_a_shell() -> None:
    assert ("ENTRYPOINT", '["threadlab", "serve"]') in last_stage()


def test_the_image_contains_no_token() -> None:
    assert not any("TOKEN" in rest for _, rest in dockerfile())


def test_every_copied_file_exists_and_is_in_the_build_context() -> None:
    included = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    sources = {
        source
        for word, rest in dockerfile()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.replace("${WHEELHOUSE}/", "deploy/wheelhouse").split()[:-1]
    }
    assert sources == included
    assert all((ROOT / source).exists() for source in sources)
