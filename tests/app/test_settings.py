"""Settings by flag and environment; any address other than loopback requires a token."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.addresses import is_loopback
from app.cli.main import main
from app.settings import Settings
from app.store.runs import RunStore
from app.web.authentication import new_token
from tests.app.driver import LabProcess
from tests.app.stored_runs import stored_run

METAVARS = {
    "host": "HOST",
    "port": "PORT",
    "token-file": "FILE",
    "allowed-hosts": "HOST,…",
    "data-dir": "DIR",
    "models": "DIR",
    "engine-ports": "FROM-TO",
    "database-url": "URL",
    "max-engines": "N",
    "max-rate": "N",
    "max-duration-s": "S",
    "sample-interval-ms": "MS",
    "load-priority": "auto|normal",
}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_addresses_need_no_token(host: str) -> None:
    assert is_loopback(host)
    assert Settings(host=host).host == host


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "", "127.0.0.1.example.org", "2130706433"]
)
def test_other_addresses_need_a_token(host: str) -> None:
    assert not is_loopback(host)
    for name in ("host", "engine_host"):
        with pytest.raises(ValidationError, match="not a loopback address"):
            Settings(**{name: host})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["tls://10.0.0.5", "tls://10.0.0.5:8786"])
def test_the_address_of_a_cluster_has_a_port(text: str) -> None:
    assert Settings(cluster=text).cluster == "tls://10.0.0.5:8786"
    assert Settings(cluster="").cluster == ""


def test_serve_refuses_a_cluster_without_certificates_beyond_the_loopback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["serve", "--cluster", "tcp://10.0.0.5:8786", "--port", "0"]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("threadlab: --cluster: 10.0.0.5 is not a loopback address: use tls://")
    assert (output.err.count("\n"), output.out) == (1, "")


@pytest.mark.parametrize("flag", ["--host", "--engine-host"])
def test_serve_refuses_another_host(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", flag, "0.0.0.0", "--port", "0"]) == 2
    output = capsys.readouterr()
    assert "0.0.0.0 is not a loopback address" in output.err and output.out == ""


@pytest.mark.parametrize(
    ("flag", "value", "problem"),
    [
        ("--port", "70000", "must be at most 65535"),
        ("--port", "x", "must be a whole number"),
        ("--max-rate", "x", "must be a number"),
        ("--max-rate", "0", "must be greater than 0"),
        ("--max-engines", "0", "must be at least 1"),
        ("--sample-interval-ms", "1", "must be at least 50"),
        ("--load-priority", "x", "must be 'auto' or 'normal'"),
    ],
)
def test_serve_refuses_an_invalid_value_and_names_the_flag(
    flag: str, value: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", flag, value]) == 2
    assert capsys.readouterr().err == f"threadlab: {flag} {problem}.\n"


@pytest.mark.parametrize("name", ["THREADLAB_PORT", "threadlab_port"])
@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_an_invalid_environment_variable_is_named(
    name: str, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")
    assert main([command]) == 2
    assert capsys.readouterr().err == "threadlab: THREADLAB_PORT must be a whole number.\n"


def test_a_port_in_use_is_reported(lab: LabProcess, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", str(lab.port), "--data-dir", str(lab.data_dir)]) == 1
    output = capsys.readouterr()
    assert output.err == (
        f"threadlab: cannot listen on 127.0.0.1:{lab.port}: address already in use. "
        "Choose another port: threadlab serve --port 9000\n"
    )
    assert output.out == ""


def test_an_address_that_cannot_be_listened_on_is_reported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THREADLAB_TOKEN", new_token())
    assert main(["serve", "--host", "192.0.2.1"]) == 1
    error = capsys.readouterr().err
    assert error == "threadlab: cannot listen on 192.0.2.1:8000: cannot assign requested address\n"


def test_a_missing_engine_python_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["serve", "--port", "0", "--engine-python", "/nowhere/python", "--data-dir", str(tmp_path)]) == 1
    )
    output = capsys.readouterr()
    assert "/nowhere/python" in output.err and output.out == ""


def test_a_flag_overrides_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("THREADLAB_MAX_ENGINES", "1")
    monkeypatch.setenv("THREADLAB_DATA_DIR", str(tmp_path / "not here"))
    with closing(LabProcess(tmp_path / "here")) as lab:
        lab.start("reactor")
        assert lab.post("/engines", {"model": "reactor"}).status_code == 503
    assert (tmp_path / "here").is_dir() and not (tmp_path / "not here").exists()


def test_help_lists_every_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--help"]) == 0
    help_text = " ".join(capsys.readouterr().out.split())
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in help_text and f"THREADLAB_{name.upper()}" in help_text
    assert "8000" in help_text and "15000" in help_text
    assert [name for name, metavar in METAVARS.items() if f"--{name} {metavar} " not in help_text] == []
    assert "VALUE" not in help_text
    assert "folder" not in help_text.lower()


@pytest.mark.parametrize("name", ["50%", "why?", "a#b", "ü ä", "x;y=z&w"])
def test_the_name_of_the_data_directory_may_have_special_characters(name: str, tmp_path: Path) -> None:
    data_dir = tmp_path / name
    data_dir.mkdir()
    with closing(RunStore(Settings(data_dir=data_dir).database)) as store:
        store.add(stored_run())
    assert (data_dir / "threadlab.sqlite3").stat().st_size > 0
    assert [path.name for path in tmp_path.iterdir()] == [name]
