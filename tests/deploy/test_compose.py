"""docker-compose.yml: its schema and its security settings, without Docker. `make compose-check` starts it.

compose_spec.json is the schema of the Compose Specification from Debian's docker-compose 1.29.2-3 (Apache
License 2.0), the oldest version that must accept the file.
"""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import pytest

from app.settings import Settings

from .files import DEPLOY, ROOT, Json, compose, defaults, dockerfile, read_json, read_yaml

SERVICES = sorted(compose()["services"].items())
each_service = pytest.mark.parametrize(("name", "service"), SERVICES, ids=[name for name, _ in SERVICES])


def test_it_matches_the_compose_schema() -> None:
    schema = jsonschema_rs.validator_for(read_json(ROOT / "tests" / "deploy" / "compose_spec.json"))
    assert [(list(error.instance_path), error.message) for error in schema.iter_errors(compose())] == []


@each_service
def test_ports_are_published_on_loopback_only(name: str, service: Json) -> None:
    assert [port for port in service["ports"] if not port.startswith("127.0.0.1:")] == []


@each_service
def test_every_service_is_confined(name: str, service: Json) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["init"] is True
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["pids_limit"] > 0 and service["mem_limit"]
    assert not {"privileged", "network_mode", "pid", "ipc", "cap_add", "devices"} & set(service)
    assert not any("docker.sock" in volume for volume in service["volumes"])


@each_service
def test_external_images_have_a_version(name: str, service: Json) -> None:
    if "build" not in service:
        assert re.search(r":v?\d+\.\d+\.\d+$", defaults(service["image"]))


@each_service
def test_every_mounted_file_exists(name: str, service: Json) -> None:
    for volume in service["volumes"]:
        source = volume.partition(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in compose()["volumes"]


def test_only_the_lab_starts_without_a_profile() -> None:
    assert {name: service.get("profiles") for name, service in SERVICES} == {
        "grafana": ["observability"],
        "lab": None,
        "prometheus": ["observability"],
    }


def test_the_token_has_no_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"\$\{THREADLAB_TOKEN[^}]*\}", text)) == {"${THREADLAB_TOKEN:?run make compose}"}


def test_env_files_are_excluded_from_git_and_from_the_image() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().split()
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    assert "*" in ignored and not any(line.startswith("!.") or line == "!deploy" for line in ignored)


def test_the_lab_may_use_io_uring_and_open_20_000_files() -> None:
    lab = compose()["services"]["lab"]
    (profile,) = [option for option in lab["security_opt"] if option.startswith("seccomp=")]
    assert defaults(profile) == "seccomp=deploy/seccomp.json"
    assert lab["ulimits"]["nofile"] >= 20_000
    assert lab["pids_limit"] > 12_000, "the limit includes the threads of `blocking`"


def test_the_stop_grace_period_exceeds_the_grace_of_the_lab() -> None:
    from app.web.server import GRACE_S

    grace: str = compose()["services"]["lab"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > GRACE_S


def test_every_setting_exists() -> None:
    given = set(re.findall(r"THREADLAB_[A-Z_]+(?==)", dict(dockerfile())["ENV"]))
    given |= {name for name in compose()["services"]["lab"]["environment"] if name.startswith("THREADLAB_")}
    assert {name.removeprefix("THREADLAB_").lower() for name in given} <= set(Settings.model_fields)


def test_the_ports_of_engines_are_published() -> None:
    settings = dict(pair.split("=") for pair in dict(dockerfile())["ENV"].split() if "THREADLAB" in pair)
    engines = settings["THREADLAB_ENGINE_PORTS"]
    ports = [defaults(port) for port in compose()["services"]["lab"]["ports"]]
    assert f"127.0.0.1:{engines}:{engines}" in ports
    assert f"127.0.0.1:8000:{settings['THREADLAB_PORT']}" in ports


def test_prometheus_scrapes_a_host_name_that_the_lab_allows() -> None:
    (job,) = read_yaml(DEPLOY / "prometheus.yml")["scrape_configs"]
    host, _, port = job["static_configs"][0]["targets"][0].partition(":")
    lab = compose()["services"]["lab"]
    assert host in compose()["services"] and host in lab["environment"]["THREADLAB_ALLOWED_HOSTS"].split(",")
    assert any(mapping.endswith(f":{port}") for mapping in lab["ports"])


def test_the_token_of_prometheus_is_in_a_tmpfs() -> None:
    (job,) = read_yaml(DEPLOY / "prometheus.yml")["scrape_configs"]
    prometheus: dict[str, Any] = compose()["services"]["prometheus"]
    folder, _, _file = job["authorization"]["credentials_file"].rpartition("/")
    assert job["authorization"]["credentials_file"] in prometheus["entrypoint"][2]
    assert any(mount.startswith(f"{folder}:") for mount in prometheus["tmpfs"])


def test_grafana_is_read_only() -> None:
    settings = compose()["services"]["grafana"]["environment"]
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert settings["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert settings["GF_AUTH_BASIC_ENABLED"] == "false"
