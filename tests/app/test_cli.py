"""The command line: results on stdout, progress on stderr, and exit codes that programs can rely on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli import main

from .driver import MARK, THREADLAB, command_line, gone, marked, threadlab, until

MODELS = ("blocking", "reactor", "reactor-pool", "main-sub", "proactor", "prefork")
SHORT = ("--vus", "4", "--duration", "0.5", "--warmup", "0.1")


@pytest.fixture
def data(tmp_path: Path) -> dict[str, str]:
    return {"THREADLAB_DATA_DIR": str(tmp_path)}


def test_models_are_listed_with_their_knobs() -> None:
    done = threadlab("models")
    assert done.returncode == 0
    for model in MODELS:
        assert re.search(rf"^{model} ", done.stdout, re.MULTILINE)
    assert "workers=4" in done.stdout


def test_doctor_says_what_the_machine_is() -> None:
    facts = json.loads(threadlab("doctor", "--json").stdout)
    assert facts["cores"] == len(os.sched_getaffinity(0))
    assert facts["kernel"].startswith("Linux") and isinstance(facts["warnings"], list)
    words = threadlab("doctor")
    assert words.returncode == 0
    assert all(warning in words.stdout for warning in facts["warnings"])


def test_a_run_prints_its_verdict_in_words(data: dict[str, str]) -> None:
    done = threadlab("run", "reactor", *SHORT, "--threshold", "p(99)<20s", env=data)
    assert done.returncode == 0, done.stderr
    assert "Verdict:" in done.stdout and "requests/s" in done.stdout and "✓ p(99)<20s" in done.stdout


def test_a_run_as_json_is_what_the_api_gives(data: dict[str, str]) -> None:
    done = threadlab("run", "reactor-pool", *SHORT, "--set", "workers=2", "--label", "x", "--json", "-", env=data)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert (run["state"], run["model"], run["knobs"]["workers"], run["label"]) == ("finished", "reactor-pool", 2, "x")
    assert run["summary"]["requests"] > 10 and run["verdict"]["because"] and run["ledger"]["cpu_us"] > 0


def test_a_run_from_the_shell_is_kept(data: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    for _ in range(2):
        assert threadlab("run", "reactor", *SHORT, "--json", str(file), env=data).returncode == 0
    assert json.loads(file.read_text())["id"] == 2


def test_a_breached_threshold_is_exit_code_3(data: dict[str, str]) -> None:
    done = threadlab("run", "reactor", *SHORT, "--threshold", "rate>99999999", "--threshold", "errors<1%", env=data)
    assert done.returncode == 3
    assert "✗ rate>99999999" in done.stdout and "✓ errors<1%" in done.stdout


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("run", "nope"), "nope"),
        (("run", "reactor", "--vus", "0"), "vus"),
        (("run", "reactor", "--executor", "constant-arrival-rate"), "rate_per_s"),
        (("run", "reactor", "--set", "workers=2"), "workers"),
        (("run", "reactor", "--set", "idle_s"), "idle_s"),
        (("run", "reactor", "--threshold", "p99<1"), "p99<1"),
        (("engine", "nope"), "nope"),
        (("engine", "reactor", "--set", "idle_s=0"), "idle_s"),
        (("demo", "--seconds", "0"), "0.5"),
    ],
)
def test_bad_arguments_are_exit_code_2_and_a_sentence(args: tuple[str, ...], word: str, data: dict[str, str]) -> None:
    done = threadlab(*args, env=data)
    assert done.returncode == 2, done.stderr
    assert word in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("run", "reactor", "--vus", "x"), "--vus"),
        (("run", "reactor", "--executor", "ramping"), "ramping"),
        (("run", "reactor", "--scenario", "nope"), "nope"),
        (("run", "reactor", "--work", "5% nonsense 3"), "nonsense"),
        (("run",), "model"),
        (("nope",), "nope"),
    ],
)
def test_arguments_that_cannot_be_read_end_before_anything_begins(
    args: tuple[str, ...], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = main(args)
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert word in said.err


def test_without_a_command_it_says_what_there_is() -> None:
    done = threadlab()
    assert done.returncode == 2
    assert all(command in done.stdout for command in ("serve", "models", "doctor", "run", "demo", "engine"))


@contextmanager
def started(*args: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that is running; ended if the test does not."""
    mark = os.urandom(8).hex()
    process = subprocess.Popen(
        [THREADLAB, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, MARK: mark, **env},
    )  # fmt: skip
    with process:
        try:
            yield process, mark
        finally:
            process.kill()


def interrupted(number: signal.Signals, *args: str, **env: str) -> tuple[int, str, str, str]:
    with started("run", "reactor", "--duration", "60", "--warmup", "0", "--vus", "4", *args, **env) as (process, mark):
        until(lambda: any("app.load" in command_line(pid) for pid in marked(mark)), "the generator runs")
        ends = time.monotonic() + 1.2  # something is measured
        until(lambda: time.monotonic() > ends, "a second of load")
        process.send_signal(number)
        out, err = process.communicate(timeout=15)
        return process.returncode, out, err, mark


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_reports_what_it_has(number: signal.Signals, code: int, data: dict[str, str]) -> None:
    returned, out, err, mark = interrupted(number, "--json", "-", **data)
    assert returned == code, err
    run = json.loads(out)
    assert run["state"] == "stopped"
    assert run["summary"]["requests"] > 0 and run["summary"]["duration_s"] < 30
    until(lambda: all(gone(pid) for pid in marked(mark)), "nothing is left", 3)


def test_engine_is_one_engine_in_the_foreground() -> None:
    with started("engine", "reactor", "--port", "0", "--set", "idle_s=30") as (process, _):
        assert process.stdout
        ready: dict[str, Any] = json.loads(process.stdout.readline())
        assert httpx.get(f"http://127.0.0.1:{ready['port']}/").text == "Hello, World!"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.alone
def test_demo_runs_all_models_and_ranks_them(data: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    done = threadlab("demo", "--seconds", "1", "--json", str(file), timeout_s=120, env=data)
    assert done.returncode == 0, done.stdout + done.stderr
    ceiling, equal = done.stdout.split("The same ")
    said = json.loads(file.read_text())
    models = {model for model in MODELS if f"{model} is left out" not in done.stderr}
    for runs, table in ((said["ceiling"], ceiling), (said["equal_rate"], equal)):
        assert {run["model"] for run in runs} == models
        for run in runs:
            assert run["summary"]["requests"] > 0 and run["summary"]["errors"] == {} and run["verdict"]["name"]
            rate, verdict = f"{run['summary']['achieved_per_s']:,.0f}", run["verdict"]["title"].lower()
            row = rf"^(\d\.| ) +{run['model']} +{rate} .*{verdict}$"
            assert re.search(row, table, re.MULTILINE), table
    assert len({run["plan"]["rate_per_s"] for run in said["equal_rate"]}) == 1
    ranked = [run for run in said["equal_rate"] if run["verdict"]["rankable"]]
    ranked.sort(key=lambda run: run["ledger"]["cpu_us"])
    places = re.findall(r"^(\d)\. +([a-z-]+)", equal, re.MULTILINE)
    assert places == [(str(i), run["model"]) for i, run in enumerate(ranked, 1)]
