"""`threadlab compare`: a table on stdout, progress on stderr, and exit codes that programs can rely on."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest

from tests.app.driver import (
    MARK,
    THREADLAB,
    Command,
    LabProcess,
    generators,
    has_ended,
    marked_pids,
    read_meter,
    until,
)
from tests.waiting import BOUND_S

TINY = ("--rate", "100", "--vus", "4", "--duration", "0.5", "--warmup", "0")


def test_a_comparison_is_printed_as_text_and_written_to_files(command: Command, tmp_path: Path) -> None:
    to_json, to_junit = tmp_path / "c.json", tmp_path / "c.xml"
    done = command(
        "compare",
        "main-sub:reactors=1,workers=0",
        "--trials",
        "2",
        *TINY,
        "--threshold",
        "errors<100%",
        "--json",
        str(to_json),
        "--junit",
        str(to_junit),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    view = json.loads(to_json.read_text())
    assert (view["state"], view["trials"], len(view["runs"])) == ("finished", 2, 2)
    assert view["entries"][0]["knobs"] == {"reactors": 1, "workers": 0}
    assert view["rule"] in done.stdout and all(said in done.stdout for said in view["result"]["said"])
    rows = [line for line in done.stdout.splitlines() if re.search(r"\d of 2  ", line)]
    for row, entry in zip(rows, view["result"]["order"], strict=True):
        standing, name = view["result"]["standings"][entry], view["entries"][entry]["name"]
        cost = standing["figures"]["cpu_us"]
        assert row.startswith(f"{standing['place']}." if standing["place"] else "–") and name in row
        between = f" ({cost['minimum']:,.1f}–{cost['maximum']:,.1f})" if cost["n"] > 1 else ""
        assert f"{cost['median']:,.1f}{between}" in row
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [
        f"{view['entries'][run['entry']]['name']}, round {run['trial']} of 2" for run in view["runs"]
    ]
    assert len(xml.parse(to_junit).getroot().findall("testsuite")) == 1 + 2


def test_a_remote_lab_compares_and_a_breached_threshold_is_exit_code_3(
    lab: LabProcess, command: Command
) -> None:
    done = command(
        "compare",
        "reactor",
        "--rounds",
        "1",
        *TINY,
        "--threshold",
        "rate>9999999",
        "--csv",
        "-",
        "--server",
        lab.url,
    )
    assert done.returncode == 3, done.stderr
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    (kept,) = lab.get("/comparisons?limit=1")
    assert (row["entry"], row["model"], int(row["run"])) == ("A", "reactor", kept["runs"][0]["run"])
    assert float(row["achieved_per_s"]) == kept["runs"][0]["achieved_per_s"]
    assert (row["cpu_us"] and float(row["cpu_us"])) == (kept["runs"][0]["cpu_us"] or "")


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("reactor:workers=2",), "workers"),
        (("reactor", "--view", "ceiling", "--rate", "9", "--executor", "constant-arrival-rate"), "ceiling"),
    ],
)
def test_what_cannot_be_compared_is_exit_code_2(args: tuple[str, ...], word: str, command: Command) -> None:
    done = command("compare", *args)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert word in done.stderr and "Traceback" not in done.stderr


SLOW = (
    "--work",
    "100% sleep 50ms",
    "--executor",
    "constant-arrival-rate",
    "--rate",
    "200",
    "--vus",
    "1",
    "--duration",
    "0.5",
    "--warmup",
    "0",
    "--trials",
    "1",
)


def test_a_comparison_without_a_winner_is_exit_code_4_and_every_file_has_the_reason(
    command: Command, tmp_path: Path
) -> None:
    """One connection carries at most a tenth of the rate, so what it costs is the cost of another rate."""
    files = {name: tmp_path / name for name in ("json", "junit", "html")}
    flags = [text for name, file in files.items() for text in (f"--{name}", str(file))]
    done = command("compare", "reactor", "blocking", *SLOW, *flags)
    said = (
        "No winner: fewer than two valid models. No model has enough valid trials to compare CPU per request."
    )
    assert done.returncode == 4, done.stderr
    assert said in done.stdout and not re.search(r"^\d\.", done.stdout, re.MULTILINE)
    view = json.loads(files["json"].read_text())
    assert view["result"]["said"][0] == said
    assert [each["place"] for each in view["result"]["standings"]] == [None, None]
    assert said in files["html"].read_text()
    skipped = xml.parse(files["junit"]).getroot().find("testsuite/testcase/skipped")
    assert skipped is not None and skipped.get("message") == said


def test_an_interrupted_comparison_reports_what_it_has(tmp_path: Path) -> None:
    mark = os.urandom(8).hex()
    argv = [
        THREADLAB,
        "compare",
        "reactor",
        "blocking",
        "--vus",
        "4",
        "--rate",
        "100",
        "--duration",
        "590",
        "--warmup",
        "0",
        "--json",
        "-",
    ]
    env = {**os.environ, MARK: mark, "THREADLAB_DATA_DIR": str(tmp_path)}
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:

        def measures() -> bool:
            return any(
                (meter := read_meter(pid)) and meter.completed for pid in generators(marked_pids(mark))
            )

        try:
            until(measures, "something is measured", every_s=0.05)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=BOUND_S)
        finally:
            process.kill()
    assert process.returncode == 130, err
    view = json.loads(out)
    assert (view["state"], [run["state"] for run in view["runs"]]) == ("stopped", ["stopped"])
    until(lambda: all(has_ended(pid) for pid in marked_pids(mark)), "nothing is left")
