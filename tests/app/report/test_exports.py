"""Exports of a run: each contains what the API returns, is self-contained, and treats all text as text."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as xml

import httpx
import pytest
from pydantic import TypeAdapter

from app.cli import output
from app.cli.main import main
from app.load.protocol import histogram
from app.report import chart, html, junit, series_csv
from app.report.run_exports import EXPORTS
from app.schemas.run import RunView
from app.schemas.states import RunState
from tests.app.driver import LabProcess, assert_problem, endless, light, threadlab
from tests.app.report.test_perfetto import check

EVIL = "</title><script>alert(1)</script><img src=x onerror=y> \" ' =cmd|' /C calc'!A0 \u202e {{7*7}}"
HELD, BREACHED = "errors<1%", "rate>10000000"
MEDIA_TYPES = {
    "csv": "text/csv",
    "junit": "application/xml",
    "report": "text/html",
    "bundle": "application/json",
    "perfetto": "application/json",
}
SHORT = (
    "--executor",
    "constant-arrival-rate",
    "--rate",
    "100",
    "--vus",
    "4",
    "--duration",
    "0.5",
    "--warmup",
    "0.1",
    "--timeout",
    "60",
)
COLUMNS = [
    "t_s",
    "phase",
    "offered_per_s",
    "achieved_per_s",
    "errors",
    "service_p50_us",
    "service_p99_us",
    "response_p50_us",
    "response_p99_us",
    "connections",
    "threads",
    "cpu_percent",
    "rss_bytes",
    "queue_depth",
    "service_max_us",
    "response_max_us",
]
EACH = pytest.mark.parametrize("name", MEDIA_TYPES)


@pytest.fixture(scope="module")
def run(shared_lab: LabProcess) -> int:
    """Return a stored open run whose label is an attack. Tests must not change it."""
    spec = {"plan": light(1.0, 0.5, rate_per_s=200), "thresholds": [HELD, BREACHED], "label": EVIL}
    return int(shared_lab.run(model="reactor-pool", **spec)["id"])


def export(lab: LabProcess, name: str, id: int) -> httpx.Response:
    return lab.http.get(f"/api/v1/runs/{id}/{name}")


def text_of(lab: LabProcess, name: str, id: int) -> str:
    answer = export(lab, name, id)
    assert answer.status_code == 200, answer.text
    return answer.text


class Tags(HTMLParser):
    """The elements and attributes of a document."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


# Over the API


def test_the_list_of_exports_has_each_of_them_once() -> None:
    assert {each.name: each.media_type for each in EXPORTS} == MEDIA_TYPES and len(EXPORTS) == len(
        MEDIA_TYPES
    )


@EACH
def test_an_export_is_an_attachment(lab: LabProcess, run: int, name: str) -> None:
    answer = export(lab, name, run)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].partition(";")[0] == MEDIA_TYPES[name]
    assert re.fullmatch(
        rf'attachment; filename="threadlab-run-{run}[.a-z]+"', answer.headers["content-disposition"]
    )
    assert answer.text == text_of(lab, name, run), "the same file each time"


@EACH
def test_an_unknown_run_has_no_export(lab: LabProcess, name: str) -> None:
    for id in ("0", "99999", "9" * 30):
        assert_problem(lab.http.get(f"/api/v1/runs/{id}/{name}"), 404)


def test_the_csv_has_the_numbers_of_the_series(lab: LabProcess, run: int) -> None:
    series = lab.get(f"/runs/{run}/series")
    header, *rows = csv.reader(io.StringIO(text_of(lab, "csv", run), newline=""))
    assert header == series["columns"] == COLUMNS
    assert len(rows) == len(series["rows"]) > 0
    for row, numbers in zip(rows, series["rows"], strict=True):
        for text, value in zip(row, numbers, strict=True):
            if value is None:
                assert text == ""
            else:
                assert text == value if isinstance(value, str) else float(text) == value
    assert "" in rows[0], "200 requests are too few for a p99"


def test_the_bundle_has_everything(lab: LabProcess, run: int) -> None:
    bundle = json.loads(text_of(lab, "bundle", run))
    assert (bundle["format"], bundle["schema"]) == ("threadlab-run", 2)
    assert bundle["run"] == lab.get(f"/runs/{run}")
    assert bundle["series"] == lab.get(f"/runs/{run}/series")
    assert bundle["percentiles"] == lab.get(f"/runs/{run}/percentiles")
    assert bundle["histogram_log"] == text_of(lab, "histogram", run)
    kinds = bundle["outcome"]["kinds"]
    counts = [
        histogram.decode(kind[clock]).total_count for kind in kinds for clock in ("service", "response")
    ]
    assert sum(counts) == 2 * bundle["run"]["summary"]["requests"]


def test_the_junit_file_has_breached_thresholds_as_failures(lab: LabProcess, run: int) -> None:
    root = xml.fromstring(text_of(lab, "junit", run))
    suite = root.find("testsuite")
    assert root.tag == "testsuites" and suite is not None
    assert [case.get("name") for case in suite.iter("testcase")] == [junit.HAS_A_RESULT, HELD, BREACHED]
    assert [case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None] == [
        BREACHED
    ]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0")
    view = lab.get(f"/runs/{run}")
    properties = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert properties["verdict"] == view["verdict"]["name"]
    assert properties["label"] == EVIL
    seen = next(each["seen"] for each in view["thresholds"] if each["breached"])
    failure = next(suite.iter("failure")).get("message")
    assert failure and BREACHED in failure and seen in failure


def test_the_report_is_self_contained_and_has_no_script(lab: LabProcess, run: int) -> None:
    document = text_of(lab, "report", run)
    found = Tags(document)
    assert not {"script", "link", "img", "iframe", "object", "base", "form", "a", "image", "use"} & set(
        found.tags
    )
    assert not [
        name for name, _ in found.attributes if name in ("src", "href", "style") or name.startswith("on")
    ]
    assert "url(" not in document and "@import" not in document
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in found.attributes
    assert "prefers-color-scheme: dark" in document


def test_the_report_shows_the_run(lab: LabProcess, run: int) -> None:
    document, view = text_of(lab, "report", run), lab.get(f"/runs/{run}")
    assert Tags(document).tags.count("figure") == 3
    assert len(re.findall(r'<path class="line [a-z ]+" d="M[^"]*L', document)) >= 4
    for text in (view["verdict"]["title"], view["environment"]["kernel"], BREACHED.replace(">", "&gt;")):
        assert text in document
    assert "&lt;script&gt;alert(1)" in document and "49" not in document.split("<h1>")[0].split("</style>")[1]


def test_only_finished_runs_are_exported_even_without_a_result(lab: LabProcess) -> None:
    first = lab.submit(model="reactor", plan=endless())["id"]
    id = lab.submit(model="reactor", plan=endless())["id"]
    for name in MEDIA_TYPES:
        for unfinished in (first, id):
            assert "ended" in assert_problem(export(lab, name, unfinished), 409)
    lab.post(f"/runs/{id}/stop")
    lab.stop(first)
    assert lab.wait_ended(id)["summary"] is None, "it was stopped while it was queued"
    assert "no series" in assert_problem(export(lab, "csv", id), 409)
    assert xml.fromstring(text_of(lab, "junit", id)).get("errors") == "1"
    assert "<figure" not in text_of(lab, "report", id)
    bundle = json.loads(text_of(lab, "bundle", id))
    assert (bundle["outcome"], bundle["histogram_log"], bundle["run"]["state"]) == (None, None, "stopped")
    links = re.findall(rf'href="(/api/v1/runs/{id}/[^"]*)"', lab.http.get(f"/runs/{id}").text)
    assert links and {lab.http.get(link).status_code for link in links} == {200}


def test_the_page_of_a_run_links_to_each_export(lab: LabProcess, run: int) -> None:
    page = lab.http.get(f"/runs/{run}").text
    links = set(re.findall(rf'href="(/api/v1/runs/{run}\b[^"]*)"', page))
    assert links >= {f"/api/v1/runs/{run}/{name}" for name in MEDIA_TYPES}
    assert {lab.http.get(link).status_code for link in links} == {200}


# From the command line


def test_the_run_command_writes_the_requested_files(tmp_path: Path) -> None:
    table, page, trace = tmp_path / "run.csv", tmp_path / "run.html", tmp_path / "run.json"
    done = threadlab(
        "run",
        "reactor",
        *SHORT,
        "--threshold",
        BREACHED,
        "--csv",
        str(table),
        "--html",
        str(page),
        "--junit",
        "-",
        "--perfetto",
        str(trace),
        env={"THREADLAB_DATA_DIR": str(tmp_path / "data")},
    )
    assert done.returncode == 3, done.stderr
    assert xml.fromstring(done.stdout).get("failures") == "1"
    assert table.read_bytes().startswith(b"t_s,phase,offered_per_s,") and table.read_bytes().endswith(b"\r\n")
    assert Tags(page.read_text()).tags.count("figure") == 3
    assert check(json.loads(trace.read_text()))


def test_the_run_command_writes_the_files_of_a_remote_lab(
    lab: LabProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = {flag: tmp_path / flag for flag in output.run_exports()}
    flags = [text for flag, file in wanted.items() for text in (f"--{flag}", str(file))]
    assert main(("run", "reactor", *SHORT, *flags, "--json", "-", "--server", lab.url)) == 0
    id = json.loads(capsys.readouterr().out)["id"]
    for flag, file in wanted.items():
        assert file.read_bytes().decode() == text_of(lab, output.run_exports()[flag].name, id)


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("--csv", "-", "--junit", "-"), "--csv, --junit"),
        (("--html", "-", "--json", "-"), "--html, --json"),
        (("--html", "/nowhere/run.html"), "/nowhere/run.html"),
        (("--json", "/"), "--json"),
    ],
)
def test_unwritable_files_are_rejected_before_the_run(
    args: tuple[str, ...], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(("run", "reactor", *args)) == 2
    written = capsys.readouterr()
    assert word in written.err and written.out == ""


def test_a_file_that_could_not_be_written_is_told_and_the_others_are_there(tmp_path: Path) -> None:
    problems = output.write_exports(
        {"csv": "/dev/full", "html": str(tmp_path / "a")}, output.run_exports(), lambda each: each.name
    )
    assert len(problems) == 1 and "/dev/full" in problems[0]
    assert (tmp_path / "a").read_text() == "report"


# Untrusted text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_text_in_a_csv_is_never_a_formula(text: str) -> None:
    (cell, number), *_ = list(
        csv.reader(io.StringIO(series_csv.write({"columns": [text, -1.5], "rows": []})))
    )
    assert cell == f"'{text}" and number == "-1.5"


@pytest.fixture
def view(lab: LabProcess, run: int) -> RunView:
    found: RunView = TypeAdapter(RunView).validate_python(lab.get(f"/runs/{run}"))
    return found


def test_characters_that_xml_does_not_allow_are_replaced(view: RunView) -> None:
    hostile = replace(
        view, label="\x00\x1b[31m\ud800\uffff <b>&", title="]]>\x0b", state=RunState.FAILED, failure="a\x08b"
    )
    root = xml.fromstring(junit.write(hostile).encode())
    labels = [each.get("value") for each in root.iter("property") if each.get("name") == "label"]
    assert labels == ["\ufffd\ufffd[31m\ufffd\ufffd <b>&"]
    assert next(root.iter("error")).get("message") == "a\ufffdb"


def test_all_text_of_a_run_is_escaped_in_its_report(view: RunView) -> None:
    assert view.verdict and view.summary
    check = replace(view.verdict.checks[0], what=EVIL, seen=EVIL, limit=EVIL)
    hostile = replace(
        view,
        label=EVIL,
        comment=EVIL,
        title=EVIL,
        plan_text=EVIL,
        failure=EVIL,
        engine=EVIL,
        knobs={EVIL: EVIL},
        environment={EVIL: EVIL},
        placement={"mode": EVIL},
        created_at=view.created_at,
        verdict=replace(view.verdict, title=EVIL, because=(EVIL,), checks=(check,)),
        thresholds=tuple(replace(each, text=EVIL, seen=EVIL) for each in view.thresholds),
        summary=replace(
            view.summary,
            errors={EVIL: 1},
            by_kind=tuple(replace(each, label=EVIL) for each in view.summary.by_kind),
        ),
    )
    document = html.write(hostile, {"columns": (), "rows": []}, None)
    found = Tags(document)
    assert document.count("&lt;script&gt;alert(1)") >= 13
    assert '<p class="comment">' in document
    assert not {"script", "img"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name in ("src", "onerror")]


# Charts


def test_a_gap_in_a_line_stays_a_gap() -> None:
    def same(value: float) -> float:
        return value

    points = [(0.0, 1.0), (1.0, 2.0), (2.0, None), (3.0, 4.0), (4.0, None)]
    assert chart.path(points, same, same) == "M0.0 1.0h0L1.0 2.0M3.0 4.0h0"
    assert chart.path([(0.0, None)], same, same) == ""


@pytest.mark.parametrize(
    "values", [[], [0.0], [5.0], [5.0, 5.0], [1e-3, 1e9], [0.0, 99_999.0], [2.0, 1000.0]]
)
def test_an_axis_covers_every_value(values: list[float]) -> None:
    for axis in (chart.from_zero(values, str, ""), chart.logarithmic(values, str, "")):
        for value in values:
            assert chart.TOP - 0.01 <= axis.place(value) <= chart.BOTTOM + 0.01
        assert len(axis.ticks) >= 2 and all(math.isfinite(tick.at) for tick in axis.ticks)
        assert all(chart.TOP - 0.01 <= tick.at <= chart.BOTTOM + 0.01 for tick in axis.ticks)
    assert chart.percentile_axis(0.0).ticks and chart.percentile_axis(0.9999).ticks[-1].at == chart.RIGHT


def test_charts_have_both_clocks_for_an_open_run_and_one_for_a_closed_run() -> None:
    names = ("end_s", "phase", "service_p50_us", "service_p99_us", "response_p50_us", "response_p99_us")
    opened = [dict(zip(names, (t, "measure", 10.0, 20.0, 12.0, 20.0), strict=True)) for t in (0.0, 1.0)]
    closed = [{**row, "response_p50_us": 10.0} for row in opened]
    assert [line.name for line in html.latency_over_time(opened).lines] == [
        "p99 response",
        "p99 service",
        "p50 response",
        "p50 service",
    ]
    assert [line.name for line in html.latency_over_time(closed).lines] == ["p99 response", "p50 response"]


def test_a_time_chart_ends_with_the_last_row_and_a_row_is_at_its_end() -> None:
    series = {
        "columns": ["t_s", "phase", "offered_per_s", "achieved_per_s"],
        "rows": [[0.0, "warmup", 100.0, 100.0], [0.5, "measure", 100.0, 100.0]],
    }
    rows = html.rows_of(series, 1.0)
    assert [row["end_s"] for row in rows] == [0.5, 1.5]
    drawn = html.throughput(rows)
    third = chart.LEFT + (chart.RIGHT - chart.LEFT) / 3
    assert drawn.warm == pytest.approx(third)
    for line in drawn.lines:
        assert line.path.startswith(f"M{third:.1f} ") and f"L{chart.RIGHT:.1f} " in line.path


def test_a_run_that_ended_in_its_warm_up_is_all_warm_up() -> None:
    series = {
        "columns": ["t_s", "phase", "offered_per_s", "achieved_per_s"],
        "rows": [[0.0, "warmup", None, 90.0]],
    }
    rows = html.rows_of(series, 0.0)
    assert html.throughput(rows).warm == chart.RIGHT and html.rows_of({**series, "rows": []}, 0.0) == []
