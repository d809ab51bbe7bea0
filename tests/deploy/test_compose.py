"""docker-compose.yml: its schema and its security settings, without Docker. `make compose-check` starts it.

compose_spec.json is the schema of the Compose Specification from Debian's docker-compose 1.29.2-3 (Apache
License 2.0), the oldest version that must accept the file.
"""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import pytest

from app.addresses import WILDCARDS, cluster_address
from app.cluster.certificates import Role
from app.settings import Settings

from .files import DEPLOY, ROOT, Json, compose, defaults, dockerfile, read_json, read_settings, read_yaml

SERVICES = sorted(compose()["services"].items())
each_service = pytest.mark.parametrize(("name", "service"), SERVICES, ids=[name for name, _ in SERVICES])
MEMBERS = ["certificates", "scheduler", "worker"]
each_member = pytest.mark.parametrize("name", MEMBERS)
MOUNTS = {"scheduler": Role.SCHEDULER, "worker": Role.WORKER, "lab": Role.LAB}  # of certificates


def test_it_matches_the_compose_schema() -> None:
    schema = jsonschema_rs.validator_for(read_json(ROOT / "tests" / "deploy" / "compose_spec.json"))
    assert [(list(error.instance_path), error.message) for error in schema.iter_errors(compose())] == []


@each_service
def test_ports_are_published_on_loopback_only(name: str, service: Json) -> None:
    assert [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")] == []


@each_service
def test_every_service_is_confined(name: str, service: Json) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["init"] is True
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["pids_limit"] > 0 and service["mem_limit"]
    assert "user" not in service, "the user of the image, which is not root"
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
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
        "certificates": ["cluster"],
        "grafana": ["observability"],
        "lab": None,
        "prometheus": ["observability"],
        "scheduler": ["cluster"],
        "worker": ["cluster"],
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


def image_settings() -> dict[str, str]:
    """Return the settings of the lab in the environment of the image."""
    return dict(pair.split("=") for pair in dict(dockerfile())["ENV"].split() if "THREADLAB" in pair)


def test_the_ports_of_engines_are_published() -> None:
    settings = image_settings()
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


@each_member
def test_a_member_of_the_cluster_publishes_nothing_and_keeps_nothing(name: str) -> None:
    member = compose()["services"][name]
    assert "ports" not in member
    assert {mount.partition(":")[0] for mount in member["tmpfs"]} == {"/tmp", "/data"}
    assert "THREADLAB_TOKEN" not in member.get("environment", {})


@each_member
def test_a_member_of_the_cluster_has_the_seccomp_profile_of_the_lab(name: str) -> None:
    services = compose()["services"]
    assert services[name]["security_opt"] == services["lab"]["security_opt"]


def test_a_worker_has_the_limits_of_the_lab() -> None:
    services = compose()["services"]
    for limit in ("mem_limit", "pids_limit", "ulimits"):
        assert services["worker"][limit] == services["lab"][limit]


def test_two_workers_join_under_names_of_their_own() -> None:
    worker = compose()["services"]["worker"]
    assert worker["deploy"]["replicas"] == 2
    assert not {"hostname", "container_name"} & set(worker) and "--name" not in worker["entrypoint"]


def test_the_members_listen_and_connect_with_tls() -> None:
    services = compose()["services"]
    listen = cluster_address(argument(services["scheduler"], "--listen"))
    joined = cluster_address(services["worker"]["entrypoint"][2])
    used = cluster_address(read_settings(DEPLOY / "cluster.env")["THREADLAB_CLUSTER"])
    assert listen.host in WILDCARDS and listen.is_encrypted
    assert joined == used and used.host in services and used.is_encrypted
    assert listen.port == used.port
    assert argument(services["scheduler"], "--workers") == "0"


def argument(service: Json, option: str) -> str:
    words: list[str] = service["entrypoint"]
    return words[words.index(option) + 1]


@pytest.mark.parametrize(("name", "role"), MOUNTS.items())
def test_a_member_can_only_read_its_certificates_and_has_no_other_key(name: str, role: Role) -> None:
    service = compose()["services"][name]
    mounts = [volume for volume in service["volumes"] if "certificates" in volume]
    folder = f"/certificates/{role}"
    assert mounts == [f"{role}-certificates:{folder}:ro"]
    used = (
        service["environment"]["THREADLAB_CLUSTER_CERTS"] if name == "lab" else argument(service, "--certs")
    )
    assert used == folder


def test_the_key_of_the_authority_is_in_no_volume() -> None:
    service = compose()["services"]["certificates"]
    script = service["entrypoint"][2]
    assert "umask 077" in script
    made = re.findall(r"threadlab cluster certs (\S+)", script)
    assert len(made) == 1 and made[0].startswith("/tmp/"), "a tmpfs, which ends with the container"
    assert "ca-key" not in script and "*" not in script
    assert re.findall(r"for role in (.*?);", script) == [" ".join(Role)]
    assert service["volumes"] == [f"{role}-certificates:/certificates/{role}" for role in Role]


def test_the_image_has_the_mount_points_of_the_certificates_for_its_user() -> None:
    """A new volume gets the owner of the directory of the image on which it is mounted."""
    steps = [rest for word, rest in dockerfile() if word == "RUN"]
    made = next(step for step in steps if "install --directory --owner=threadlab" in step)
    assert {f"/certificates/{role}" for role in Role} <= set(made.split())


def test_members_start_after_what_they_need() -> None:
    services = compose()["services"]
    made = {"certificates": {"condition": "service_completed_successfully"}}
    assert services["scheduler"]["depends_on"] == made
    assert services["worker"]["depends_on"] == {**made, "scheduler": {"condition": "service_started"}}
    assert "depends_on" not in services["lab"], "it could not start without the profile"


def test_a_worker_needs_no_token() -> None:
    """Its image listens on all addresses, which a lab may not do without a token."""
    worker: Json = compose()["services"]["worker"]
    names = {name.removeprefix("THREADLAB_").lower() for name in worker["environment"]}
    assert names == {name for name, value in image_hosts().items() if value in WILDCARDS}
    Settings(**{name: worker["environment"][f"THREADLAB_{name.upper()}"] for name in names})


def image_hosts() -> dict[str, str]:
    """Return the addresses on which the lab of the image listens, by the name of the setting."""
    found = {name.removeprefix("THREADLAB_").lower(): value for name, value in image_settings().items()}
    return {name: found[name] for name in ("host", "engine_host")}


def test_the_settings_of_the_cluster_are_those_of_the_profile() -> None:
    """Without them the lab has no cluster, listens on all addresses, and has an image without Dask."""
    given = read_settings(DEPLOY / "cluster.env")
    services = compose()["services"]
    lab = services["lab"]
    variables = {**lab["environment"], "THREADLAB_LOCK": lab["build"]["args"]["LOCK"]}
    assert set(given) - {"COMPOSE_PROFILES"} == {
        "THREADLAB_LOCK",
        "THREADLAB_CLUSTER",
        "THREADLAB_ENGINE_HOST",
    }
    for name in set(given) - {"COMPOSE_PROFILES"}:
        assert variables[name].startswith(f"${{{name}:-")
    assert defaults(variables["THREADLAB_CLUSTER"]) == ""
    assert defaults(variables["THREADLAB_ENGINE_HOST"]) == image_settings()["THREADLAB_ENGINE_HOST"]
    assert defaults(variables["THREADLAB_LOCK"]) == "requirements.lock"
    assert given["COMPOSE_PROFILES"] == services["worker"]["profiles"][0]
    assert given["THREADLAB_LOCK"] == services["worker"]["build"]["args"]["LOCK"]
    assert given["THREADLAB_ENGINE_HOST"] == "lab", "the address of the lab's container, which has this name"
