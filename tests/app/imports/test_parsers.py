"""Output of wrk, oha and k6 is parsed, and any other text is rejected with a sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import main
from app.errors import Invalid
from app.imports import parsers
from app.schemas.imported_result import ImportedResult
from tests.app.driver import LabProcess, light

WRK = """Running 30s test @ http://127.0.0.1:8101/
  2 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.37ms    2.05ms   1.04s    93.61%
    Req/Sec    31.77k     4.23k   37.31k    60.00%
  Latency Distribution
     50%  480.00us
     75%    1.10ms
     90%    2.67ms
     99%    1.50m
  31616 requests in 0.50m, 3.47MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:   1053.87
Transfer/sec:    118.00KB
"""
WRK_PLAIN = WRK.replace(WRK[WRK.index("  Latency Dist") : WRK.index("  31616")], "")
WRK_NOTHING = """Running 1s test @ http://127.0.0.1:8101/
  1 threads and 2 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     0.00us    0.00us   0.00us    -nan%
    Req/Sec     0.00      0.00     0.00      -nan%
  Latency Distribution
     50%    0.00us
     75%    0.00us
     90%    0.00us
     99%    0.00us
  0 requests in 1.00s, 0.00B read
Requests/sec:      0.00
Transfer/sec:       0.00B
"""
# The formats of oha 1.x (`schema.json` in its repository) and k6 1.x (`--summary-export`), with invented
# numbers.
OHA: dict[str, Any] = {
    "summary": {
        "successRate": 0.99,
        "total": 4.0,
        "slowest": 0.125,
        "fastest": 0.0005,
        "average": 0.002,
        "requestsPerSec": 252.0,
        "totalData": 13000,
        "sizePerRequest": 13,
        "sizePerSec": 3250.0,
    },
    "responseTimeHistogram": {"0.0005": 1, "0.125": 999},
    "latencyPercentiles": {
        "p10": 0.0006,
        "p50": 0.0015,
        "p90": 0.004,
        "p95": 0.005,
        "p99": 0.0625,
        "p99.9": 0.12,
    },
    "statusCodeDistribution": {"200": 990, "304": 4, "503": 6},
    "errorDistribution": {"aborted due to deadline": 8, "connection closed before message completed": 2},
}
TREND = {"avg": 2.5, "min": 0.5, "med": 1.5, "max": 125.0, "p(90)": 4.0, "p(95)": 5.0}
K6: dict[str, Any] = {
    "root_group": {"name": "", "path": "", "groups": {}, "checks": {}},
    "metrics": {
        "http_reqs": {"count": 1000, "rate": 250.0},
        "http_req_failed": {"passes": 7, "fails": 993, "value": 0.007},
        "http_req_duration": {**TREND, "thresholds": {"p(95)<500": False}},
        "http_req_duration{expected_response:true}": TREND,
    },
}
K6_SUMMARY = {
    "state": {"testRunDurationMs": 4000.0},
    "metrics": {
        name: {
            "type": "trend",
            "contains": "time",
            "values": {k: v for k, v in metric.items() if k != "thresholds"},
        }
        for name, metric in K6["metrics"].items()
    },
}


def figures(result: ImportedResult) -> tuple[float | None, ...]:
    return (result.p50_us, result.p90_us, result.p99_us, result.max_us)


def test_wrk_is_read_with_all_its_units() -> None:
    result = parsers.read("wrk", WRK)
    assert (result.tool, result.requests, result.rate_per_s, result.duration_s) == (
        "wrk",
        31616,
        1053.87,
        30.0,
    )
    assert (result.errors, result.late) == (1 + 2 + 3 + 5, 4)
    assert figures(result) == (480.0, 2670.0, 90e6, None), "the latency distribution lacks the late responses"
    on_time = parsers.read("wrk", WRK.replace("timeout 4", "timeout 0"))
    assert figures(on_time) == pytest.approx((480.0, 2670.0, 90e6, 1.04e6)) and on_time.missing is None
    assert result.raw == WRK


def test_wrk_without_latency_has_no_percentiles() -> None:
    *percentiles, highest = figures(parsers.read("wrk", WRK_PLAIN.replace("timeout 4", "timeout 0")))
    assert percentiles == [None] * 3 and highest == pytest.approx(1.04e6)


def test_wrk_without_a_response_has_no_latency() -> None:
    result = parsers.read("wrk", WRK_NOTHING)
    assert (result.requests, result.errors, result.rate_per_s) == (0, 0, 0.0)
    assert figures(result) == (None,) * 4


LATE = """  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.52ms  665.00us   4.02ms   87.37%
  Latency Distribution
     50%    1.24ms
     90%    2.93ms
     99%    4.02ms
  {requests} requests in 4.02s, 12.30KB read
  Socket errors: connect 0, read 0, write 0, timeout {late}
{status}Requests/sec:     27.60
"""


@pytest.mark.parametrize(
    ("requests", "late", "known"),
    [(111, 16, 0), (16, 16, 0), (1000, 50, 1), (1000, 10, 2), (10_000, 10, 3), (111, 0, 4)],
    ids=["1 of 7", "all", "1 of 20", "1 of 100", "1 of 1000", "none"],
)
def test_wrk_percentiles_that_late_responses_would_change_are_missing(
    requests: int, late: int, known: int
) -> None:
    result = parsers.read("wrk", LATE.format(requests=requests, late=late, status=""))
    assert [value is not None for value in figures(result)] == [place < known for place in range(4)]
    assert (result.requests, result.errors, result.late) == (requests, 0, late), (
        "late responses are not errors"
    )
    assert (result.missing is None) == (late == 0) and (
        late == 0 or f"{late} of {requests:,}" in (result.missing or "")
    )


def test_a_late_response_with_an_error_status_is_one_error() -> None:
    text = LATE.format(requests=612, late=612, status="  Non-2xx or 3xx responses: 612\n")
    result = parsers.read("wrk", text)
    assert (result.requests, result.errors, result.late) == (612, 612, 612)


def test_the_uncorrected_table_of_wrk2_is_ignored() -> None:
    corrected = WRK.replace(" 50%", " 50.000%").replace(" 99%", " 99.000%").replace("1.50m", "-nanms")
    text = corrected.replace("  31616", "     50.000%    1.00us\n  31616")
    assert figures(parsers.read("wrk", text))[0] == 480.0


def test_oha_requests_aborted_at_the_deadline_are_not_errors() -> None:
    result = parsers.read("oha", json.dumps(OHA))
    assert (result.requests, result.errors, result.duration_s, result.rate_per_s) == (1000, 6 + 2, 4.0, 250.0)
    assert figures(result) == pytest.approx((1500.0, 4000.0, 62_500.0, 125_000.0))


def test_oha_without_a_response_has_no_latency() -> None:
    nothing = {
        **OHA,
        "statusCodeDistribution": {},
        "latencyPercentiles": {"p50": None, "p90": None, "p99": None},
        "errorDistribution": {"aborted due to deadline": 8},
    }
    result = parsers.read("oha", json.dumps(nothing))
    assert (result.requests, result.errors, *figures(result)) == (0, 0, None, None, None, None)


@pytest.mark.parametrize("summary", [K6, K6_SUMMARY], ids=["summary-export", "handleSummary"])
def test_k6_failed_requests_are_the_passes_of_its_failure_rate(summary: dict[str, Any]) -> None:
    result = parsers.read("k6", json.dumps(summary))
    assert (result.requests, result.errors, result.rate_per_s, result.duration_s) == (1000, 7, 250.0, 4.0)
    assert figures(result) == (1500.0, 4000.0, None, 125_000.0), "p(99) only with --summary-trend-stats"


K6_2: dict[str, Any] = {
    "metadata": {"k6_version": "2.1.0", "schema_version": "1.0.0"},
    "results": {
        "checks": [],
        "metrics": [
            {"name": "http_reqs", "type": "counter", "values": {"count": 500, "rate": 50.0}},
            {
                "name": "http_req_duration",
                "type": "trend",
                "values": {"med": 2.9, "max": 30.5, "p90": 5.0, "p95": 6.1},
            },
            {
                "name": "http_req_failed",
                "type": "rate",
                "values": {"rate": 0.02, "matches": 10, "total": 500},
            },
        ],
    },
}


def test_the_summary_format_of_k6_2_is_read() -> None:
    result = parsers.read("k6", json.dumps(K6_2))
    assert (result.requests, result.errors, result.rate_per_s, result.duration_s) == (500, 10, 50.0, 10.0)
    assert figures(result) == (2900.0, 5000.0, None, 30_500.0)
    invalid: tuple[object, ...] = ({}, [1], [{"name": "http_reqs"}], [{"name": "http_reqs", "values": 3}])
    for wrong in invalid:
        with pytest.raises(Invalid):
            parsers.read("k6", changed(K6_2, wrong, "results", "metrics"))


def test_k6_percentiles_of_summary_trend_stats_are_read() -> None:
    metrics = {**K6["metrics"], "http_req_duration": {"p(50)": 1.0, "p(99)": 9.0, "max": 10.0}}
    assert figures(parsers.read("k6", json.dumps({"metrics": metrics}))) == (1000.0, None, 9000.0, 10_000.0)


def changed(content: dict[str, Any], value: object, *path: str) -> str:
    copy: dict[str, Any] = json.loads(json.dumps(content))
    place = copy
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return json.dumps(copy)


REJECTED = {
    "empty": ("wrk", "", "requests in"),
    "truncated wrk": ("wrk", WRK[: WRK.index("Requests/sec")], "Requests/sec"),
    "JSON as wrk": ("wrk", json.dumps(OHA), "wrk"),
    "wrk as oha": ("oha", WRK, "JSON"),
    "k6 as oha": ("oha", json.dumps(K6), "summary.total"),
    "oha as k6": ("k6", json.dumps(OHA), "metrics.http_reqs"),
    "a list": ("k6", "[1, 2]", "not an object"),
    "a deeply nested list": ("oha", "[" * 200_000, "JSON"),
    "text for a number": ("k6", changed(K6, "many", "metrics", "http_reqs", "count"), "'many'"),
    "true": ("k6", changed(K6, True, "metrics", "http_reqs", "rate"), "True"),
    "not a number": ("oha", changed(OHA, float("nan"), "summary", "total"), "nan"),
    "infinity": ("oha", changed(OHA, float("inf"), "summary", "slowest"), "inf"),
    "negative": ("oha", changed(OHA, -1, "statusCodeDistribution", "200"), "-1"),
    "a number above all limits": (
        "k6",
        changed(K6, 10**400, "metrics", "http_reqs", "count"),
        "not a valid number",
    ),
    "two decimal points": ("wrk", WRK.replace("1053.87", "1053.87.1"), "a number cannot be parsed"),
    "more digits than Python parses": ("wrk", WRK.replace("31616", "9" * 5000), "a number cannot be parsed"),
    "too many requests": ("wrk", WRK.replace("31616", "9" * 400), "requests is 1e+15"),
    "a huge rate": ("wrk", WRK.replace("1053.87", "9" * 400), "rate_per_s is 1e+15"),
    "a huge duration": ("wrk", WRK.replace("0.50m", "9" * 400 + "m"), "duration_s is 1e+15"),
    "a tiny duration": ("oha", changed(OHA, 1e-320, "summary", "total"), "rate_per_s is 1e+15"),
    "a tiny rate": (
        "k6",
        changed(K6, 1e-320, "metrics", "http_reqs", "rate"),
        "duration_s is 1e+15",
    ),
    "a list for counts": ("oha", changed(OHA, [1], "errorDistribution"), "errorDistribution"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_output_of_another_format_is_rejected_with_a_sentence(case: str) -> None:
    tool, text, word = REJECTED[case]
    with pytest.raises(Invalid) as rejected:
        parsers.read(tool, text)
    assert (
        word in rejected.value.detail
        and rejected.value.detail.endswith(".")
        and tool in rejected.value.detail
    )


def test_an_unreadable_file_gives_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for file in ("missing", "binary"):
        assert main(("import", str(tmp_path / file), "--tool", "wrk")) == 2
        written = capsys.readouterr()
        assert written.out == "" and file in written.err


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_real_wrk_output_is_compared_with_a_run_of_the_same_engine(
    lab: LabProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = lab.start("reactor")
    run = lab.run(engine=engine["id"], plan=light())
    for flags in ((), ("--latency",)):
        command = ["wrk", "-t1", "-c2", "-d1s", *flags, engine["url"]]
        output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        result = parsers.read("wrk", output)
        assert result.requests > 0 and result.errors == 0
        assert result.rate_per_s == pytest.approx(result.requests / result.duration_s, rel=0.02)
        assert result.max_us and result.max_us > 0
        assert (result.p50_us is not None) == bool(flags)
    monkeypatch.setenv("THREADLAB_DATA_DIR", str(lab.data_dir))
    (tmp_path / "output").write_text(output)
    command_line = ("import", str(tmp_path / "output"), "--tool", "wrk", "--run")
    for where in (("--server", lab.url), ()):
        assert main((*command_line, str(run["id"]), *where)) == 0
        shown = capsys.readouterr().out
        assert f"{result.requests:,}" in shown and f"{run['summary']['requests']:,}" in shown
        assert f"run {run['id']}" in shown and "p99 service" in shown
    assert main((*command_line, "99999", "--server", lab.url)) == 2
    assert "no run 99999" in capsys.readouterr().err
