"""The lock files are complete, have hashes, match pyproject.toml, and are used for every installation."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from .files import ROOT, compose, defaults, dockerfile

RUNTIME, BUILD, DEV = "requirements.lock", "requirements-build.lock", "requirements-dev.lock"
CLUSTER = "requirements-cluster.lock"
DEPLOYED = [RUNTIME, CLUSTER, BUILD]
each_lock = pytest.mark.parametrize("name", [*DEPLOYED, DEV])
each_deployed = pytest.mark.parametrize("name", DEPLOYED)


def entries(name: str) -> list[str]:
    """Return one line per package of a lock, with its marker and hashes, without comments."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.lstrip().startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", "").splitlines() if line.strip()]


@cache
def locked(name: str) -> dict[str, list[Version]]:
    """Return package → versions. There are several if they depend on the platform or the Python version."""
    found: dict[str, list[Version]] = {}
    for entry in entries(name):
        package, _, rest = entry.partition("==")
        found.setdefault(canonicalize_name(package), []).append(Version(rest.split()[0]))
    return found


def required(name: str) -> list[Requirement]:
    """Return the requirements of pyproject.toml for a lock."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime: list[str] = document["project"]["dependencies"]
    build: list[str] = document["build-system"]["requires"]
    extras: dict[str, list[str]] = document["project"]["optional-dependencies"]
    cluster = runtime + extras["cluster"]
    every = runtime + build + [text for extra in extras.values() for text in extra]
    found = {RUNTIME: runtime, CLUSTER: cluster, BUILD: build, DEV: every}[name]
    return [Requirement(text) for text in found]


@each_lock
def test_every_entry_is_one_version_with_hashes_and_nothing_else(name: str) -> None:
    entry = re.compile(r"[a-z0-9._-]+==[\w.!+]+( ; [^\\]+?)?( +--hash=sha256:[0-9a-f]{64})+ *")
    assert entries(name)
    assert [line[:80] for line in entries(name) if not entry.fullmatch(line)] == []


@each_lock
def test_every_dependency_is_locked_at_a_version_within_its_bounds(name: str) -> None:
    versions = locked(name)
    for requirement in required(name):
        found = versions.get(canonicalize_name(requirement.name), [])
        assert found, f"{requirement} is not in {name}: make lock"
        assert all(requirement.specifier.contains(version, prereleases=True) for version in found), (
            f"{requirement} is {', '.join(map(str, found))} in {name}: make lock"
        )


@each_deployed
def test_deployed_versions_are_the_tested_ones(name: str) -> None:
    tested = locked(DEV)
    for package, versions in locked(name).items():
        assert set(versions) <= set(tested.get(package, [])), package


def test_the_image_has_no_build_or_test_packages() -> None:
    others = {"hatchling", "editables", "pytest", "ruff", "mypy", "uv"}
    assert not (others | {"distributed", "cryptography"}) & set(locked(RUNTIME))
    assert not others & set(locked(CLUSTER))


def test_the_lock_of_a_cluster_has_all_of_the_lab() -> None:
    """compose-check downloads the wheels of both images by this lock."""
    assert locked(RUNTIME).items() <= locked(CLUSTER).items()


def test_each_image_is_built_from_a_lock_of_its_own() -> None:
    services = compose()["services"]
    locks = {
        service["image"]: service["build"]["args"]["LOCK"]
        for service in services.values()
        if "build" in service
    }
    assert {image: defaults(lock) for image, lock in locks.items()} == {
        "threadlab": RUNTIME,
        "threadlab-cluster": CLUSTER,
    }
    assert ("ARG", f"LOCK={RUNTIME}") in dockerfile()


def test_every_dependency_has_a_lower_bound() -> None:
    for requirement in required(DEV):
        assert {"==", ">="} & {each.operator for each in requirement.specifier}, f"{requirement} has none"


@each_deployed
def test_every_deployed_dependency_has_an_upper_bound(name: str) -> None:
    for requirement in required(name):
        assert {"==", "<"} & {each.operator for each in requirement.specifier}, f"{requirement} has none"


def image_steps() -> list[str]:
    """Return the RUN steps of the plain image, with `"$@"` replaced by the arguments of the first `set`."""
    found = []
    for step in (rest for word, rest in dockerfile() if word == "RUN"):
        options = re.search(r"set -- ([^&]*)", step)
        found.append(step.replace('"$@"', options[1] if options else "").replace("${LOCK}", RUNTIME))
    return found


def installs() -> list[str]:
    """Return the pip calls of Makefile, Dockerfile and compose-check that install, build or download."""
    make = re.sub(r"^PIP_INSTALL = .*$", "", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    check = (ROOT / "deploy" / "compose-check").read_text().replace("\\\n", " ")
    texts = [make.replace("$(PIP_INSTALL)", "/pip install"), check, *image_steps()]
    pip = re.compile(r"(?:/|-m )pip (?:install|wheel|download)\b[^\n&|]*")
    return [call for text in texts for call in pip.findall(text)]


def test_every_installation_uses_hashes_or_installs_the_lab_without_dependencies() -> None:
    assert len(installs()) == 8
    for call in installs():
        files = [Path(file.strip('"')).name for file in re.findall(r"--requirement (\S+)", call)]
        assert set(files) <= {RUNTIME, CLUSTER, BUILD, DEV}
        assert ("--require-hashes" if files else "--no-deps") in call


def test_make_installs_again_when_a_lock_changes() -> None:
    rules = dict(re.findall(r"^\$\(VENV\)/\.(\w+): (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {RUNTIME, BUILD, "pyproject.toml"} <= set(rules["installed"].split())
    assert {DEV, "$(VENV)/.installed"} <= set(rules["dev"].split())
