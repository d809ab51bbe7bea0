"""An application of the user, from the shell only: under a model and under a WSGI server."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.fleet.readiness import RESPONSE_TIMEOUT_S
from app.servers.application import user_application
from app.servers.definition import ServerDefinition, command_of
from tests.app.driver import Command, LabProcess, assert_problem
from tests.app.in_process_lab import InProcessLab
from tests.app.stored_runs import keep

FOLDER = str(Path(__file__).parents[2] / "engines/wsgi/frameworks")
SHOP = ("--app", "flask_shop:application", "--app-dir", FOLDER)
TUNING = ("--knob", "backlog=64,128", "--objective", "p(99)<50ms")
LIGHT = ("--executor", "constant-arrival-rate", "--rate", "50", "--warmup", "0", "--timeout", "60")


@pytest.mark.parametrize("name", ["reactor", "gunicorn"])
def test_it_is_loaded_as_the_work_kind_app(command: Command, name: str) -> None:
    load = ("--path", "/items/7?field=a", "--header", "X-Mine: 1", "--duration", "1", *LIGHT)
    done = command("run", name, *SHOP, *load, "--json", "-")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert run["summary"]["requests"] == 50 and run["summary"]["errors"] == {}
    assert [each["kind"] for each in run["plan"]["work"]] == ["app"]
    assert run["environment"]["application"] == f"flask_shop:application in {FOLDER}"


def test_a_mix_has_its_own_figures_and_an_unexpected_status_is_an_error(command: Command) -> None:
    mix = "50% app GET /items/1, 50% app GET /fails"
    done = command("run", "prefork", *SHOP, "--work", mix, "--duration", "1", *LIGHT, "--json", "-")
    run = json.loads(done.stdout)
    assert run["summary"]["errors"] == {"status_500": 25}
    assert any("RuntimeError: the shop is on fire" in note for note in run["notes"])
    kinds = {each["label"]: (each["requests"], each["errors"]) for each in run["summary"]["by_kind"]}
    assert kinds == {"app GET /items/1": (25, 0), "app GET /fails": (0, 25)}


APP = """
import os
def app(environ, start):
    start(os.environ["ANSWER"], [])
    return [b"x"]
"""


@pytest.mark.parametrize("name", ["blocking", "gunicorn"])
def test_its_directory_may_be_the_working_directory_and_have_names_of_the_lab(
    command: Command, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "engines.py").touch()
    (tmp_path / "gunicorn.conf.py").write_text("bind = 'unix:/no/such/directory/socket'; workers = 9")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANSWER", "201 Created")
    options = ("--path", "/", "--expect-status", "201", "--duration", "1", *LIGHT)
    done = command("run", name, "--app", "app:app", "--app-env", "ANSWER", *options, "--json", "-")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert run["summary"]["requests"] == 50 and run["summary"]["errors"] == {}
    assert run["environment"]["application"] == f"app:app in {tmp_path}"


@pytest.mark.full
@pytest.mark.parametrize("shop", ["flask_shop", "django_shop"])
def test_all_models_and_wsgi_servers_serve_it_without_errors(command: Command, shop: str) -> None:
    names = ("blocking", "reactor", "reactor-pool", "main-sub", "proactor", "prefork")
    servers = ("gunicorn", "gunicorn:worker_class=gthread,threads=4", "granian", "waitress")
    application = ("--app", f"{shop}:application", "--app-dir", FOLDER, "--path", "/items/7?field=a")
    rounds = ("--rounds", "1", "--duration", "1", *LIGHT, "--json", "-")
    done = command("compare", *names, *servers, *application, *rounds)
    comparison = json.loads(done.stdout)
    assert [each["state"] for each in comparison["runs"]] == ["finished"] * 10
    assert not {"Error rate too high", "Degraded"} & {each["verdict"] for each in comparison["runs"]}
    assert comparison["environment"]["application"] == f"{shop}:application in {FOLDER}"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("run", "reactor", "--app", "shop"), "write MODULE:CALLABLE"),
        (("run", "reactor", "--app", "shop:a-b"), "write MODULE:CALLABLE"),
        (("run", "reactor", "--app", "shop:app", "--app-dir", "/no/such"), "is not a directory"),
        (("run", "reactor", *SHOP, "--server", "http://127.0.0.1:9"), "combined with --server"),
        (("compare", *SHOP, "--server", "http://127.0.0.1:9"), "combined with --server"),
        (("run", "reactor", *SHOP, "--app-env", "NO_SUCH_VARIABLE"), "that this shell has exported"),
        (("run", "reactor", *SHOP, "--app-env", "PYTHONPATH=/x"), "are set by the lab"),
        (("run", "--command", "a {port}", *SHOP), "are two servers"),
        (("run", "reactor", "--app-dir", FOLDER), "--app-dir needs --app"),
        (("tune", "reactor", *TUNING, "--app-env", "A=1"), "--app-env needs --app"),
        (("run", "reactor", *SHOP, "--work", "sleep 5ms"), "it serves app"),
        (("run", "reactor", *SHOP, "--scenario", "slow-handler"), "by --path or --work, not by a scenario"),
        (("run", "nginx", *SHOP), "all models can, and gunicorn, granian, waitress"),
        (("run", "uvicorn", *SHOP), "uvicorn cannot serve a WSGI application"),
        (("run", "reactor", "--app", ""), "write MODULE:CALLABLE"),
        (("run", "reactor", "--app", "shop.py:app"), "write shop:app, the name of a module"),
        (("run", "reactor", "--work", "app GET /"), "from a shell only"),
    ],
)
def test_what_cannot_be_served_is_refused(command: Command, args: tuple[str, ...], words: str) -> None:
    done = command(*args)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("name", ["reactor", "prefork", "gunicorn"])
def test_one_that_cannot_be_imported_says_why(command: Command, name: str) -> None:
    done = command("run", name, "--app", "nowhere:application", "--app-dir", FOLDER)
    assert done.returncode == 1 and "No module named 'nowhere'" in done.stdout + done.stderr


@pytest.mark.parametrize("target", [{"model": "reactor"}, {"model": "gunicorn"}])
def test_the_api_cannot_load_one(lab: LabProcess, target: dict[str, Any]) -> None:
    plan = {"work": [{"kind": "app", "params": {"path": "/"}}]}
    detail = assert_problem(lab.post("/runs", {**target, "plan": plan}), 422, "/plan/work")
    assert "from a shell only" in detail


def test_the_value_of_a_variable_is_not_searched_for_placeholders() -> None:
    application = user_application("shop:app", FOLDER, ["A={host}:{port}"], "/")
    made = application.served_by(ServerDefinition("own", "Own", ("serve", "{wsgi}", "{port}")))
    command = command_of(made, {"host": "::1", "port": 8101, "directory": "/x"}, {"B": "2"})
    assert command.argv == ("serve", "shop:app", "8101")
    assert command.environment == {"A": "{host}:{port}", "B": "2"}


STARTS = """
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "left behind"])
def app(environ, start):
    if os.fork():
        start("200 OK", [])
        return [b"x"]
    os.setsid()
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", "left behind"])
"""


@pytest.mark.parametrize("name", ["reactor", "prefork"])
def test_processes_that_it_starts_end_with_the_run(command: Command, name: str, tmp_path: Path) -> None:
    (tmp_path / "starts.py").write_text(STARTS)
    options = ("--app", "starts:app", "--app-dir", str(tmp_path), "--duration", "1", *LIGHT[:2])
    done = command("run", name, *options, "--rate", "2", "--warmup", "0", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["summary"]["requests"] == 2
    assert [pid for pid, line in command_lines() if "left behind" in line and "sleep" in line] == []


def command_lines() -> Iterator[tuple[str, str]]:
    """Yield pid and command line of every process that this user can see."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                yield entry.name, (entry / "cmdline").read_text(errors="replace")


SLOW = f"""
import time
def app(environ, start):
    time.sleep({RESPONSE_TIMEOUT_S + 0.5})
    start("200 OK", [])
    return [b"x"]
"""


@pytest.mark.full
@pytest.mark.parametrize("name", ["reactor", "gunicorn"])
def test_a_slow_response_is_waited_for(command: Command, name: str, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    options = ("--executor", "constant-vus", "--vus", "1", "--duration", "1", "--timeout", "60")
    done = command("run", name, "--app", "slow:app", "--app-dir", str(tmp_path), *options, "--json", "-")
    assert done.returncode == 0, done.stderr


def test_the_page_of_a_run_of_user_code_does_not_offer_to_repeat_it(tmp_path: Path) -> None:
    keep(tmp_path, {}, {"environment": {"application": "shop:app in /x"}}, {"model": "command-2"})
    with closing(InProcessLab(tmp_path)) as lab:
        pages = [lab.http.get(f"/runs/{id}").text for id in (1, 2, 3)]
    for button in ("Run again", "Edit and rerun"):
        assert [button in page for page in pages] == [True, False, False]
    assert all("Delete" in page for page in pages)
