"""`threadlab experiment`: answers on stdout, progress on stderr, exit codes that programs can rely on."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest

from app.experiments.catalogue import catalogue
from app.experiments.reference import reference
from tests.app.driver import Command, LabProcess, threadlab
from tests.engines.denied import denied_python

PROBE = "proactor-support"  # needs no trial


def test_answers_are_printed_and_written_to_files(command: Command, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("json", "junit", "html", "csv")}
    flags = [text for name, file in files.items() for text in (f"--{name}", str(file))]
    done = command("experiment", PROBE, "proactor-complexity", *flags)
    assert done.returncode == 0, done.stderr
    views = json.loads(files["json"].read_text())["experiments"]
    assert [(view["claim"], view["answer"]) for view in views] == [
        (PROBE, "holds"),
        ("proactor-complexity", "not_judged"),
    ]
    for view in views:
        assert view["text"] in done.stdout and view["text"] in files["html"].read_text()
        assert all(sentence in done.stdout for sentence in view["because"])
    assert "1 holds, 1 not judged." in done.stdout
    assert done.stderr.splitlines()[0].startswith("2 claims, about ")
    assert f"{PROBE}: holds" in done.stderr
    cases = xml.parse(files["junit"]).getroot().findall("testsuite/testcase")
    assert [case.get("name") for case in cases] == [PROBE, "proactor-complexity"]
    assert len(list(csv.reader(io.StringIO(files["csv"].read_text())))) == 1, "no trials, only the heading"


def test_an_unmet_expectation_is_exit_code_3(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    done = command("experiment", PROBE, "--expect", "does_not_hold", "--junit", str(file))
    assert done.returncode == 3, done.stderr
    failure = xml.parse(file).getroot().find("testsuite/testcase/failure")
    assert failure is not None and failure.get("message") == "predicted: does not hold, found: holds"


def test_a_claim_that_cannot_be_tested_is_exit_code_4_with_the_reason(tmp_path: Path) -> None:
    python = denied_python(tmp_path / "python", "EPERM")
    env = {"THREADLAB_ENGINE_PYTHON": str(python), "THREADLAB_DATA_DIR": str(tmp_path)}
    done = threadlab("experiment", "proactor-calls", "--quick", env=env)
    assert done.returncode == 4, done.stderr
    assert "proactor is not available here" in done.stdout and "cannot test" in done.stdout


def test_without_claims_all_are_listed(command: Command) -> None:
    done = command("experiment")
    assert done.returncode == 2
    assert all(claim.id in done.stdout and claim.text in done.stdout for claim in catalogue().values())
    assert done.stdout.count("(reference)") == len(catalogue()), "none was tested here"
    noisy = sum(view.is_noisy for view in reference().experiments.values())
    assert done.stdout.count(", noisy machine (reference)") == noisy
    assert done.stderr == "threadlab: name claims to test, or use --article or --all.\n"


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("nope",), "There is no claim 'nope'"),
        ((PROBE, "--rounds", "10"), "--rounds must be a whole number from 1 to 9"),
        ((PROBE, "--seed", "-1"), "--seed must be"),
        ((PROBE, "--expect", "perhaps"), "--expect must be one of holds"),
        ((PROBE, "--all"), "either claims, --article, --all or --resume"),
        (("--resume", "77"), "There is no experiment 77"),
    ],
)
def test_what_cannot_be_tested_is_exit_code_2(args: tuple[str, ...], word: str, command: Command) -> None:
    done = command("experiment", *args)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert word in done.stderr and "Traceback" not in done.stderr


def test_a_remote_lab_tests_claims(lab: LabProcess, command: Command) -> None:
    done = command("experiment", PROBE, "proactor-complexity", "--json", "-", "--server", lab.url)
    assert done.returncode == 0, done.stderr
    views = json.loads(done.stdout)["experiments"]
    assert [lab.get(f"/experiments/{view['id']}") for view in views] == views
    listed = command("experiment", "--server", lab.url)
    assert listed.returncode == 2 and "holds" in listed.stdout
    for view in views:  # the history of this lab is that of other tests, too
        lab.http.delete(f"/api/v1/experiments/{view['id']}").raise_for_status()
