"""`threadlab tune`: table and answer on stdout, progress on stderr, and exit codes for programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli import tuning_report
from app.cli.exit_codes import FAILED, NO_ANSWER, OK
from app.cli.tune import tuned_knob
from app.errors import Invalid
from app.schemas.states import JobState
from tests.app.driver import MARK, THREADLAB, Command, LabMaker, has_ended, marked_pids, until
from tests.app.tunings.stored_tunings import VOID, tuning
from tests.waiting import BOUND_S

MAX_RATE = "50"
LIGHT = ("--rate", MAX_RATE, "--vus", "4", "--duration", "0.5", "--warmup", "0", "--timeout", "60")
ALWAYS = ("--objective", "max<600s")
KNOB = ("reactor-pool", "--knob", "workers=1,2")


@pytest.mark.full
def test_a_tuning_that_nothing_limits_is_exit_code_4_with_the_reason(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("THREADLAB_MAX_RATE", MAX_RATE)
    file = tmp_path / "t.json"
    done = command(
        "tune",
        *KNOB,
        *ALWAYS,
        *LIGHT,
        "--set",
        "queue=64",
        "--rounds",
        "1",
        "--seed",
        "7",
        "--json",
        str(file),
    )
    assert done.returncode == 4, done.stdout + done.stderr
    view = json.loads(file.read_text())
    assert (view["state"], view["values"], view["knobs"], view["seed"]) == (
        "finished",
        [1, 2],
        {"queue": 64},
        7,
    )
    assert (view["objective"], view["rounds"], view["plan"]["duration_s"]) == ("max<600s", 1, 0.5)
    assert all(sentence in done.stdout for sentence in view["result"]["sentences"])
    assert view["rule"] in done.stdout
    estimate, *lines = done.stderr.splitlines()
    assert estimate.startswith("2 values, 2 runs, about ")
    assert [line.split(":")[0] for line in lines] == [
        f"workers {view['values'][trial['value']]}, round 1 of 1" for trial in view["runs"]
    ]


@pytest.mark.full
def test_a_remote_lab_tunes(make_lab: LabMaker, command: Command) -> None:
    lab = make_lab("--max-rate", MAX_RATE)
    done = command(
        "tune",
        "reactor-pool",
        "--knob",
        "workers=1..2",
        *ALWAYS,
        *LIGHT,
        "--rounds",
        "1",
        "--json",
        "-",
        "--server",
        lab.url,
    )
    assert done.returncode == 4, done.stderr
    view = json.loads(done.stdout)
    assert view == lab.get(f"/tunings/{view['id']}")
    assert view["values"] == [1, 2]


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ((*KNOB,), "--objective is required"),
        ((*KNOB, "--objective", "errors<1%"), "--objective"),
        ((*KNOB, *ALWAYS, "--executor", "constant-vus"), "--executor must be find-capacity"),
        (("nope", "--knob", "workers=1,2", *ALWAYS), "There is no model"),
        (("reactor-pool", "--knob", "nope=1,2", *ALWAYS), "no knob"),
        (("reactor-pool", "--knob", "workers=", *ALWAYS), "--knob: write NAME=LO..HI"),
        (("reactor-pool", "--knob", "workers=1..x", *ALWAYS), "not a range"),
        (("reactor-pool", "--knob", "workers=4..1", *ALWAYS), "must go up"),
        (("reactor-pool", "--knob", "workers", *ALWAYS), "2 to 8 values"),
        ((*KNOB, *ALWAYS, "--set", "workers=2"), "no fixed value"),
        ((*KNOB, *ALWAYS, "--rounds", "10"), "rounds must be"),
        (("reactor-pool", *ALWAYS), "--knob"),
    ],
)
def test_what_cannot_be_tuned_is_exit_code_2(args: tuple[str, ...], word: str, command: Command) -> None:
    done = command("tune", *args)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert word in done.stderr and "Traceback" not in done.stderr


def test_a_knob_is_a_range_a_list_or_all_its_choices() -> None:
    assert tuned_knob("threads=1..32") == {"knob": "threads", "values": (), "low": 1, "high": 32}
    assert tuned_knob("reply=reactor,worker")["values"] == ("reactor", "worker")
    assert tuned_knob("reply") == {"knob": "reply", "values": (), "low": None, "high": None}
    for text in ("", "=1..2", "threads="):
        with pytest.raises(Invalid):
            tuned_knob(text)


def test_the_report_has_a_row_for_each_value_and_the_answer() -> None:
    view = tuning()
    assert view.result
    heading, _, table, _, *sentences, empty, rule = tuning_report.items(view)
    assert "workers for p(99)<50ms" in str(heading) and "queue 64" in str(heading)
    assert (tuple(sentences), empty, rule) == (view.result.sentences, "", f"Rule: {view.rule}")
    assert not isinstance(table, str)
    rows = {row[0]: tuple(row[1:]) for row in table.rows}
    assert list(rows) == [f"workers {value}" for value in view.values]
    assert rows["workers 16"] == ("735", "720–742", "3 of 3", "")
    assert rows["workers 4"] == ("190", "190–191", "2 of 3", VOID)


def test_the_exit_code_tells_whether_there_is_an_answer() -> None:
    view = tuning()
    assert tuning_report.exit_code(view, None) == OK
    assert tuning_report.exit_code(view, signal.SIGINT) == 130
    assert tuning_report.exit_code(tuning({1: (0.0,), 2: (0.0,)}), None) == NO_ANSWER
    assert tuning_report.exit_code(replace(view, state=JobState.FAILED, failure="x"), None) == FAILED
    assert tuning_report.exit_code(replace(view, runs=(), result=None), None) == NO_ANSWER


def test_an_interrupted_tuning_reports_what_it_has(tmp_path: Path) -> None:
    mark = os.urandom(8).hex()
    env = {**os.environ, MARK: mark, "THREADLAB_DATA_DIR": str(tmp_path), "THREADLAB_MAX_RATE": MAX_RATE}
    argv = [THREADLAB, "tune", *KNOB, *ALWAYS, *LIGHT, "--rounds", "9", "--json", "-"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stderr
        try:
            first, second = process.stderr.readline(), process.stderr.readline()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=BOUND_S)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert first.startswith("2 values, 18 runs") and "round 1 of 9" in second
    view = json.loads(out)
    assert view["state"] == "stopped" and 1 <= len(view["runs"]) < 18
    until(lambda: all(has_ended(pid) for pid in marked_pids(mark)), "nothing is left")
