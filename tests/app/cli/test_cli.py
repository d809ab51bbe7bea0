"""The command line: results on stdout, progress on stderr, and exit codes that programs can rely on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from pydantic import TypeAdapter

from app.cli import demo
from app.cli.labs import MeasuringLab
from app.comparisons.aggregate import compute_result, measured_trial
from app.load.protocol import histogram
from app.schemas.comparison import ComparisonEntry, ComparisonView
from app.schemas.run import RunView
from engines.common.contract import COMMON_KNOBS
from tests.app.driver import (
    MARK,
    THREADLAB,
    Command,
    LabProcess,
    generators,
    has_ended,
    marked_pids,
    read_meter,
    threadlab,
    until,
)
from tests.app.stored_runs import LEDGER, VIEW, stored_run, verdict
from tests.waiting import BOUND_S

MODELS = ("blocking", "reactor", "reactor-pool", "main-sub", "proactor", "prefork")
LIGHT = (
    "--executor",
    "constant-arrival-rate",
    "--rate",
    "100",
    "--vus",
    "4",
    "--duration",
    "0.5",
    "--warmup",
    "0",
)


@pytest.fixture
def data(tmp_path: Path) -> dict[str, str]:
    return {"THREADLAB_DATA_DIR": str(tmp_path)}


def test_models_are_listed_with_their_knobs(command: Command) -> None:
    done = command("models")
    assert done.returncode == 0
    for model in MODELS:
        assert re.search(rf"^{model} ", done.stdout, re.MULTILINE)
    assert "workers=4" in done.stdout
    assert re.search(r"^reactor  .*\n +none$", done.stdout, re.MULTILINE), "it has only the common knobs"


def test_the_knobs_that_all_models_have_are_listed_once_with_bounds_and_help(command: Command) -> None:
    text = command("models").stdout
    for knob in COMMON_KNOBS:
        row = rf"^{knob.name} +{knob.default}  {re.escape(knob.bounds)} +{re.escape(knob.help)}$"
        assert len(re.findall(row, text, re.MULTILINE)) == 1, text


def test_models_are_printed_as_json_as_the_api_has_them(lab: LabProcess, command: Command) -> None:
    done = command("models", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, lab.get("/models"))


def test_doctor_shows_the_machine(command: Command) -> None:
    facts = json.loads(command("doctor", "--json").stdout)
    assert facts["cores"] == len(os.sched_getaffinity(0))
    assert facts["kernel"].startswith("Linux") and isinstance(facts["warnings"], list)
    words = command("doctor")
    assert words.returncode == 0
    assert all(warning in words.stdout for warning in facts["warnings"])
    assert f"GIL {'on' if facts['gil'] else 'off'}" in words.stdout
    assert f"{facts['memory_bytes'] / 2**30:.1f} GiB" in words.stdout
    assert not re.search(r"True|None|\(\d", words.stdout), "a value of Python"


def test_a_run_is_printed_as_text_and_as_json_and_is_saved_and_a_breached_threshold_is_exit_code_3(
    data: dict[str, str], tmp_path: Path, command: Command
) -> None:
    file = tmp_path / "run.json"
    thresholds = ("--threshold", "p(50)<60s", "--threshold", "rate>99999999", "--threshold", "errors<1%")
    knobs = ("--set", "workers=2", "--label", "x")
    done = threadlab("run", "reactor-pool", *LIGHT, *knobs, *thresholds, "--json", str(file), env=data)
    assert done.returncode == 3, done.stderr
    assert "Verdict:" in done.stdout and "requests/s; 50 scheduled: 50 answered, 0 failed" in done.stdout
    assert "✓ p(50)<60s" in done.stdout and "✗ rate>99999999" in done.stdout and "✓ errors<1%" in done.stdout
    run = json.loads(file.read_text())
    assert (run["id"], run["state"], run["model"]) == (1, "finished", "reactor-pool")
    assert (run["knobs"]["workers"], run["label"]) == (2, "x")
    assert run["summary"]["requests"] == 50 and run["verdict"]["because"]

    done = command("run", "reactor", *LIGHT, "--threshold", "errors<1%", "--json", "-")
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)  # and nothing else is on stdout
    assert again.keys() == run.keys() >= {"summary", "ledger", "verdict", "thresholds"}
    assert (again["id"], again["state"]) == (2, "finished"), "the history of the data directory continues"


BAD_ARGUMENTS = [
    (("run", "nope"), "nope"),
    (("run", "reactor", "--vus", "0"), "threadlab: --vus must be a whole number from 1"),
    (("run", "reactor", "--duration", "0"), "threadlab: --duration must be a number from 0.5"),
    (("run", "reactor", "--idle", "-1"), "threadlab: --idle must be a whole number from 0"),
    (("run", "reactor", "--executor", "ramping-vus"), "threadlab: --stage: ramping-vus needs 1 to 50"),
    (
        ("run", "reactor", "--executor", "ramping-vus", "--stage", "0s:8"),
        "threadlab: --stage: duration must be a number from 0.1",
    ),
    (("run", "reactor", "--objective", "p(99)<1ms"), "threadlab: --objective is only for find-capacity"),
    (("run", "reactor", "--executor", "constant-arrival-rate"), "threadlab: --rate must be a number"),
    (("compare", "reactor", "--duration", "0"), "threadlab: --duration must be a number from 0.5"),
    (("run", "reactor", "--set", "workers=2"), "workers"),
    (("run", "reactor", "--set", "idle_s"), "threadlab: --set: write KNOB=VALUE, not 'idle_s'."),
    (("run", "reactor", "--set", "=3"), "threadlab: --set: write KNOB=VALUE, not '=3'."),
    (("compare", "reactor:idle_s"), "threadlab: reactor:idle_s: write MODEL:KNOB=VALUE, not 'idle_s'."),
    (("run", "reactor", "--threshold", "p99<1"), "p99<1"),
    (("demo", "--seconds", "0"), "threadlab: --seconds must be a number from 0.5 to 600 s (given: 0.0)."),
    (("demo", "--seconds", "x"), "threadlab: --seconds must be a number. See threadlab demo --help."),
    (("run", "reactor", "--vus", "x"), "threadlab: --vus must be a whole number."),
    (("run", "reactor", "--executor", "ramping"), "ramping"),
    (("run", "reactor", "--scenario", "nope"), "nope"),
    (("run", "reactor", "--work", "5% nonsense 3"), "nonsense"),
    (("run", "reactor", "--work", "nonsense"), "threadlab: --work: kind must be one of plaintext, "),
    (("run", "reactor", "--work", "plaintext, 5% sleep 4ms"), "--work: 'plaintext' has no share."),
    (("run",), "MODEL"),
    (("nope",), "nope"),
]


@pytest.mark.parametrize(("args", "word"), BAD_ARGUMENTS)
def test_bad_arguments_are_exit_code_2_and_a_sentence(
    args: tuple[str, ...], word: str, command: Command
) -> None:
    done = command(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert word in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("run", "reactor"), ("compare", "reactor")], ids=lambda words: words[0])
def test_a_field_that_a_remote_lab_refuses_is_named_by_its_flag(
    words: tuple[str, ...], lab: LabProcess, command: Command
) -> None:
    done = command(*words, "--duration", "0", "--server", lab.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("threadlab: --duration must be a number from 0.5")


@pytest.mark.parametrize("work", ["plaintext", "sleep 1ms"])
def test_a_single_request_kind_needs_no_share_and_an_empty_label_is_none(work: str, command: Command) -> None:
    done = command("run", "reactor", *LIGHT, "--work", work, "--label", "", "--json", "-")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert (run["label"], [each["kind"] for each in run["plan"]["work"]]) == (None, work.split()[:1])


@pytest.mark.full
def test_an_empty_label_of_a_comparison_is_none(command: Command) -> None:
    done = command("compare", "reactor", *LIGHT, "--label", "", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["label"] is None


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("engine", "nope"), "nope"),
        pytest.param(("engine", "reactor", "--set", "idle_s=0"), "idle_s", marks=pytest.mark.full),
    ],
)
def test_bad_arguments_of_an_engine_are_exit_code_2_of_its_process(
    args: tuple[str, ...], word: str, data: dict[str, str]
) -> None:
    done = threadlab(*args, env=data)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert word in done.stderr and "Traceback" not in done.stderr


def test_the_help_of_an_engine_has_the_name_of_the_command_and_the_knobs_of_its_model() -> None:
    done = threadlab("engine", "main-sub", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: threadlab engine main-sub [-h] [--host HOST]")
    assert "reactors=2  (1 to 64 threads)" in done.stdout and "idle_s=15  (1 to 86,400 s)" in done.stdout
    assert "Workers of each sub-reactor" in done.stdout
    others = ("python -m engines", "--describe", "--calibrate", "--command", "max_threads", "processes")
    assert [each for each in others if each in done.stdout] == []


@pytest.mark.parametrize("args", [("nope",), ("reactor", "--nope"), ("reactor", "--set", "x")])
def test_an_error_of_an_engine_has_the_name_of_the_command(args: tuple[str, ...]) -> None:
    done = threadlab("engine", *args)
    name = "MODEL" if args == ("nope",) else "reactor"
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"threadlab engine {name}: error: ")
    assert "python -m engines" not in done.stderr


def test_without_a_command_all_commands_are_listed(command: Command) -> None:
    done = command()
    assert done.returncode == 2
    assert all(name in done.stdout for name in ("serve", "models", "doctor", "run", "demo", "engine"))


@contextmanager
def started(*args: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that is running; ended if the test does not."""
    mark = os.urandom(8).hex()
    process = subprocess.Popen(
        [THREADLAB, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, MARK: mark, **env},
    )
    with process:
        try:
            yield process, mark
        finally:
            process.kill()


def interrupted(number: signal.Signals, *args: str, **env: str) -> tuple[int, str, str, str]:
    with started("run", "reactor", *LIGHT, "--duration", "590", *args, **env) as (process, mark):

        def measures() -> bool:
            meters = [read_meter(pid) for pid in generators(marked_pids(mark))]
            return any(meter and meter.measured_from_ns and meter.completed >= 10 for meter in meters)

        until(measures, "something is measured", every_s=0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=BOUND_S)
        return process.returncode, out, err, mark


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGHUP, 129), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.full)],
)
def test_an_interrupted_run_reports_what_it_has(
    number: signal.Signals, code: int, data: dict[str, str]
) -> None:
    returned, out, err, mark = interrupted(number, "--json", "-", **data)
    assert returned == code, err
    run = json.loads(out)
    assert run["state"] == "stopped"
    assert run["summary"]["requests"] >= 10 and run["summary"]["duration_s"] < 590
    until(lambda: all(has_ended(pid) for pid in marked_pids(mark)), "nothing is left")


def test_a_run_that_is_interrupted_in_its_warm_up_reports_that_nothing_was_measured(
    data: dict[str, str],
) -> None:
    with started("run", "reactor", *LIGHT, "--warmup", "580", **data) as (process, mark):
        until(
            lambda: any(
                (meter := read_meter(pid)) and meter.started_ns for pid in generators(marked_pids(mark))
            ),
            "it warms up",
        )
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=BOUND_S)
    assert process.returncode == 130, err
    assert "Stopped during warm-up: no data was collected." in out and "Verdict" not in out


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGHUP, 129, marks=pytest.mark.full)]
)
@pytest.mark.parametrize(
    "words", [("run", "reactor"), ("compare", "reactor", "blocking")], ids=lambda words: words[0]
)
def test_an_interrupted_command_stops_its_run_on_the_remote_lab(
    number: signal.Signals, code: int, words: tuple[str, ...], lab: LabProcess
) -> None:
    args = (*words, *LIGHT, "--duration", "590", "--json", "-", "--server", lab.url)
    with started(*args) as (process, _):
        until(lambda: any(meter.completed for meter in lab.meters()), "it is measured", every_s=0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=BOUND_S)
    assert process.returncode == code, err
    assert json.loads(out)["state"] == "stopped"
    noun = "comparisons" if words[0] == "compare" else "runs"
    assert lab.get(f"/{noun}?limit=1")[0]["state"] == "stopped"


def test_a_signal_before_the_remote_lab_has_responded_stops_the_run() -> None:
    asked: list[str] = []
    may_answer = threading.Event()
    run = TypeAdapter(RunView).dump_json(stored_run(id=7, state="running"))

    class SlowLab(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            may_answer.wait(BOUND_S)
            self.send_response(201)
            self.send_header("Content-Length", str(len(run)))
            self.end_headers()
            self.wfile.write(run)

        do_GET = do_POST

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), SlowLab) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with started("run", "reactor", *LIGHT, "--server", f"http://127.0.0.1:{server.server_port}") as (
            process,
            _,
        ):
            until(lambda: asked, "it is submitted")
            process.send_signal(signal.SIGINT)
            may_answer.set()
            until(lambda: "/api/v1/runs/7/stop" in asked, "it is stopped there")
            process.send_signal(signal.SIGINT)  # for this lab never says that the run has ended
            _, err = process.communicate(timeout=BOUND_S)
        server.shutdown()
    assert process.returncode == 1 and "It continues at" in err


def test_each_command_has_help_and_there_is_a_version(command: Command) -> None:
    assert command("--version").stdout == f"threadlab {version('threadlab')}\n"
    for name in ("serve", "models", "doctor", "run", "compare", "import", "demo", "engine"):
        done = command(name, "--help")
        assert done.returncode == 0 and f"threadlab {name}" in done.stdout


def test_engine_is_one_engine_in_the_foreground() -> None:
    with started("engine", "reactor", "--port", "0", "--set", "idle_s=30") as (process, _):
        assert process.stdout
        ready: dict[str, Any] = json.loads(process.stdout.readline())
        assert httpx.get(f"http://127.0.0.1:{ready['port']}/").text == "Hello, World!"
        process.send_signal(signal.SIGTERM)
        assert process.wait(BOUND_S) == 0


@dataclass
class DemoLab:
    """A lab that has measured before: each model has its rate, its CPU per request and its verdict."""

    models: Mapping[str, tuple[float, float, Any]]
    changes: Mapping[str, Any] = field(default_factory=dict)  # of every run
    specs: list[dict[str, Any]] = field(default_factory=list)
    runs: dict[int, RunView] = field(default_factory=dict)

    def available_models(self) -> list[str]:
        return list(self.models)

    def get_run(self, id: int) -> RunView:
        return self.runs[id]

    def compare(self, spec: Mapping[str, Any]) -> ComparisonView:
        self.specs.append(dict(spec))
        metric = {"ceiling": "achieved_per_s", "equal-rate": "cpu_us"}[spec["view"]]
        entries = tuple(
            ComparisonEntry(letter, name, name, {})
            for letter, name in zip("ABCDEF", spec["models"], strict=False)
        )
        times = histogram.from_counts([(100, 1000)])
        trials = [
            replace(measured_trial(metric, i, 1, self._run(spec, entry), None), service=times, response=times)
            for i, entry in enumerate(entries)
        ]
        return comparison(
            id=len(self.specs),
            view=spec["view"],
            state=self.changes.get("state", "finished"),
            entries=entries,
            runs=tuple(each.trial for each in trials),
            result=compute_result(metric, entries, trials),
            plan_text=f"{spec['plan'].get('rate_per_s', 'no')} rate",
        )

    def _run(self, spec: Mapping[str, Any], entry: ComparisonEntry) -> RunView:
        rate, cpu_us, judged = self.models[entry.model]
        achieved = spec["plan"].get("rate_per_s", rate)
        view: dict[str, Any] = {
            "id": len(self.runs) + 1,
            "model": entry.model,
            "plan": spec["plan"],
            "verdict": judged,
            "ledger": {**LEDGER, "cpu_us": cpu_us},
            "summary": {**VIEW["summary"], "achieved_per_s": achieved},
        }
        run = self.runs[len(self.runs) + 1] = stored_run(**{**view, **self.changes})
        return run

    def demo(self, json_file: Path) -> int:
        lab = cast(MeasuringLab, self)  # the part of it that the demo needs
        comparisons = demo.measure(lab, 3.0)
        return demo.report(demo.Shown(comparisons, demo.runs_of(lab, comparisons)), str(json_file))


def comparison(**changes: Any) -> ComparisonView:
    nothing = {each.name: None for each in fields(ComparisonView)}
    return ComparisonView(**{**nothing, "label": None, "trials": 1, "thresholds": (), **changes})


def fit(name: str = "unsaturated") -> dict[str, Any]:
    return {**verdict(name, rankable=True), "fitness": {"cpu_us": None, "achieved_per_s": None}}


BOTH = {
    "reactor": (9_000.0, 30.0, fit()),
    "blocking": (1_730.0, 10.0, fit()),
    "main-sub": (4_000.0, 31.0, fit()),
    "prefork": (5_000.0, 5.0, verdict("client_bound")),
}


def rows(table: str) -> list[str]:
    return [line for line in table.splitlines() if re.match(r"^(\d\.|–) ", line)]


def test_demo_compares_by_throughput_and_then_at_half_of_the_lowest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = DemoLab(BOTH)
    assert lab.demo(tmp_path / "demo.json") == 0
    ceiling, equal = lab.specs
    assert (ceiling["view"], equal["view"]) == ("ceiling", "equal-rate")
    assert ceiling["models"] == equal["models"] == list(BOTH)
    assert (ceiling["plan"]["executor"], equal["plan"]["executor"]) == (
        "constant-vus",
        "constant-arrival-rate",
    )
    assert equal["plan"]["rate_per_s"] == 800  # half of 1,730, in whole hundreds
    assert {(spec["plan"]["duration_s"], spec["plan"]["vus"]) for spec in lab.specs} == {(3.0, 64)}
    written = json.loads((tmp_path / "demo.json").read_text())
    assert [run["id"] for run in written["ceiling"]] == [1, 2, 3, 4]
    assert [run["id"] for run in written["equal_rate"]] == [5, 6, 7, 8]


def test_demo_sorts_by_cpu_per_request_at_the_fixed_rate_and_only_what_is_valid_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    DemoLab(BOTH).demo(tmp_path / "demo.json")
    ceiling, equal = capsys.readouterr().out.split("CPU per request at a fixed rate")
    assert [row[3:].split()[1:4] for row in rows(ceiling)] == [
        ["reactor", "30.0", "9,000"],
        ["main-sub", "31.0", "4,000"],
        ["blocking", "10.0", "1,730"],
        ["prefork", "5.0", "5,000"],
    ]
    assert [row[:14].split() for row in rows(equal)] == [
        ["–", "B", "blocking"],
        ["–", "A", "reactor"],
        ["–", "C", "main-sub"],
        ["–", "D", "prefork"],
    ]
    assert [row.split()[-1] for row in rows(equal)] == ["unsaturated"] * 3 + ["client_bound"]
    assert "No places: a ranking needs 7 valid rounds." in equal
    assert "reactor: 30.0 µs, 3.00 times that of blocking (one round): leans to worse." in equal
    assert "prefork: 1 of 1 trials not valid." in equal


@pytest.mark.parametrize("survivors", [0, 1])
def test_a_demo_with_fewer_than_two_valid_runs_has_no_winner(
    survivors: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = verdict("client_bound")
    models = {"reactor": (9_000.0, 30.0, bad), "blocking": (1_730.0, 35.9, fit() if survivors else bad)}
    DemoLab(models).demo(tmp_path / "demo.json")
    _, equal = capsys.readouterr().out.split("CPU per request at a fixed rate")
    assert not re.search(r"^\d\.", equal, re.MULTILINE)
    assert "No winner: " in equal


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"state": "stopped"}, "The demo was stopped, or nothing was measured."),
        (
            {"state": "failed", "summary": None, "verdict": None, "failure": "It ended."},
            "nothing was measured.",
        ),
        ({"summary": {**VIEW["summary"], "errors": {"timeout": 1}}}, ""),
    ],
)
def test_a_demo_without_a_whole_result_is_exit_code_1(
    changes: dict[str, Any], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert DemoLab(BOTH, changes).demo(tmp_path / "demo.json") == 1
    assert text in capsys.readouterr().err
    assert len(json.loads((tmp_path / "demo.json").read_text())["ceiling"]) == len(BOTH)


@pytest.mark.full
def test_demo_runs_all_models_and_prints_what_it_measured(data: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    done = threadlab("demo", "--seconds", "0.5", "--json", str(file), timeout_s=10 * BOUND_S, env=data)
    assert done.returncode == 0, done.stdout + done.stderr
    ceiling, equal = done.stdout.split("CPU per request at a fixed rate")
    written = json.loads(file.read_text())
    models = {model for model in MODELS if f"{model} skipped" not in done.stderr}
    for runs, table in ((written["ceiling"], ceiling), (written["equal_rate"], equal)):
        assert {run["model"] for run in runs} == models
        for run in runs:
            assert (
                run["summary"]["requests"] > 0 and run["summary"]["errors"] == {} and run["verdict"]["name"]
            )
            rate, title = f"{run['summary']['achieved_per_s']:,.0f}", run["verdict"]["title"].lower()
            row = rf"^(\d\.|–) +[A-F] {run['model_title']} .* {rate} .*{title}$"
            assert re.search(row, table, re.MULTILINE), table
    assert len({run["plan"]["rate_per_s"] for run in written["equal_rate"]}) == 1
    assert not re.search(r"^\d\. ", equal, re.MULTILINE), "one round gives no places"
