"""Runs from plan to verdict: results match the counts of both sides; the queue; refused plans."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from app.load.protocol import histogram
from app.load.protocol.outcome import Outcome
from app.results.fitness import INVALIDATES_LOAD, TOO_FEW
from tests.app.driver import LabProcess, assert_problem, endless, light, plan, until

PERCENTILES = ("p50_us", "p90_us", "p99_us", "p999_us", "max_us")
VERDICTS = {
    "server_bound",
    "client_bound",
    "unsaturated",
    "rate_missed",
    "errors_dominate",
    "kernel_drops",
    "noisy",
    "degraded",
}
MIX = [{"kind": "plaintext", "weight": 3}, {"kind": "sleep", "weight": 1, "params": {"ms": 5}}]
SLOW = [{"kind": "sleep", "params": {"ms": 10}}]
EACH_RUN = pytest.mark.parametrize("which", ["closed", "open", "overloaded"])


@dataclass(frozen=True)
class Results:
    """Finished runs, shared by the tests, and the state of each run's engine just after the run."""

    lab: LabProcess
    runs: dict[str, Any]
    engine_states: dict[str, str]

    def __getitem__(self, which: str) -> Any:
        return self.runs[which]

    def outcome(self, which: str) -> Outcome:
        """Return the outcome of the load generator."""
        bundle = self.lab.http.get(f"/api/v1/runs/{self[which]['id']}/bundle").json()
        return Outcome.from_json(bundle["outcome"])

    def rows(self, which: str) -> list[dict[str, Any]]:
        return rows_of(self.lab, self[which]["id"])


def rows_of(lab: LabProcess, run: int) -> list[dict[str, Any]]:
    """Return the series of a run, one dictionary per second."""
    series = lab.get(f"/runs/{run}/series")
    return [dict(zip(series["columns"], row, strict=True)) for row in series["rows"]]


@pytest.fixture(scope="module")
def results(shared_lab: LabProcess) -> Results:
    """Return a closed run, an open one with a mix, and one at twice the rate that its connection allows."""
    specs: dict[str, dict[str, Any]] = {
        "closed": {
            "model": "reactor",
            "plan": plan(0.5, 0.2, vus=16, think_time_ms=10, timeout_s=60),
            "label": "a note",
            "thresholds": [
                "max<60s",
                "max<1us",
                "p(99.9)<60s",
                "errors<0.1%",
                "rate>10000000",
                "rate<10000000",
            ],
        },
        "open": {
            "model": "reactor-pool",
            "knobs": {"workers": 2},
            "plan": light(0.5, 0.2, rate_per_s=200, work=MIX),
        },
        "overloaded": {"model": "reactor", "plan": light(0.5, rate_per_s=200, vus=1, work=SLOW)},
    }
    runs, engine_states = {}, {}
    for which, spec in specs.items():
        runs[which] = shared_lab.run(**spec)
        engine_states[which] = shared_lab.get(f"/engines/{runs[which]['engine']}")["state"]
    return Results(shared_lab, runs, engine_states)


@EACH_RUN
def test_a_run_has_a_verdict_with_reasons(results: Results, which: str) -> None:
    run = results[which]
    assert (run["state"], run["progress"], run["failure"]) == ("finished", 1.0, None)
    verdict = run["verdict"]
    assert verdict["name"] in VERDICTS
    assert (
        all(reason.endswith(".") and len(reason) > 20 for reason in verdict["because"]) and verdict["because"]
    )
    assert {check["what"] for check in verdict["checks"]} >= {"Errors", "Load-generator CPU utilisation"}
    assert all(
        value is None or isinstance(value, float | int | str) for value in verdict["evidence"].values()
    )
    assert run["created_at"] < run["finished_at"]


@EACH_RUN
def test_the_summary_adds_up(results: Results, which: str) -> None:
    summary, is_open = results[which]["summary"], which != "closed"
    assert summary["requests"] == {"closed": summary["requests"], "open": 100, "overloaded": 100}[which] > 0
    assert (summary["errors"], summary["dropped"], summary["reconnects"]) == ({}, 0, 0)
    assert (summary["sent"], summary["failed"], summary["unfinished"]) == (summary["requests"], 0, 0)
    assert summary["intended"] == (summary["sent"] if is_open else None)
    assert sum(kind["requests"] for kind in summary["by_kind"]) == summary["requests"]
    assert (summary["send_jitter_p99_us"] is not None) == is_open, "a closed loop has no schedule"
    if is_open:
        assert summary["duration_s"] == 0.5
    else:
        assert summary["duration_s"] >= 0.5
    for clock in ("service", "response"):
        latency = summary["latency"][clock]
        assert latency["count"] == summary["requests"]
        assert sum(kind[clock]["count"] for kind in summary["by_kind"]) == latency["count"]
        known = [latency[name] for name in PERCENTILES if latency[name] is not None]
        assert known == sorted(known) and known[0] > 0
    assert summary["bytes_in"] > summary["requests"] * 13
    assert summary["bytes_out"] > summary["requests"] * 20
    assert summary["connections_peak"] == {"closed": 16, "open": 8, "overloaded": 1}[which]


@EACH_RUN
def test_the_summary_matches_the_counts_of_the_load_generator(results: Results, which: str) -> None:
    summary, outcome = results[which]["summary"], results.outcome(which)
    measured = [second for second in outcome.seconds if second.phase == "measure"]
    in_window = sum(second.requests for second in measured)
    assert summary["achieved_per_s"] == pytest.approx(in_window / summary["duration_s"])
    assert summary["requests"] == outcome.requests
    if which == "overloaded":  # without warm-up, every request belongs to the measured window
        assert sum(second.requests for second in outcome.seconds) == outcome.requests
    for clock in ("service", "response"):
        total = HdrHistogram(1, histogram.HIGHEST_US, 3)
        for kind in outcome.kinds:
            total.add(HdrHistogram.decode(getattr(kind, clock)))
        latency = summary["latency"][clock]
        for name, percentile in zip(PERCENTILES, (50, 90, 99, 99.9, 100), strict=True):
            if latency[name] is not None:
                assert latency[name] == total.get_value_at_percentile(percentile), (clock, name)


@EACH_RUN
def test_each_figure_is_valid_or_has_a_reason(results: Results, which: str) -> None:
    verdict, summary = results[which]["verdict"], results[which]["summary"]
    assert verdict["figure"] == ("achieved_per_s" if which == "closed" else "cpu_us")
    assert {"cpu_us", "achieved_per_s", "rss_bytes_peak", "p50_us", "p99_us"} <= verdict["fitness"].keys()
    if which == "open":
        assert {"plaintext.p99_us", "sleep ms=5.p50_us"} <= verdict["fitness"].keys()
    assert verdict["rankable"] == (verdict["fitness"][verdict["figure"]] is None)
    assert all(reason is None or reason.endswith(".") for reason in verdict["fitness"].values())
    if summary["latency"]["response"]["p999_us"] is None:
        # On a busy machine the verdict may invalidate all latencies; then its reason comes first.
        expected = f"{verdict['title']}." if verdict["name"] in INVALIDATES_LOAD else TOO_FEW
        assert verdict["fitness"]["p999_us"].startswith(expected)
    if which == "overloaded":
        assert verdict["fitness"]["cpu_us"].endswith("so this is the cost at another rate.")


@EACH_RUN
def test_response_time_without_the_delay_of_the_generator_is_never_longer(
    results: Results, which: str
) -> None:
    latency = results[which]["summary"]["latency"]
    corrected, response = latency["corrected"], latency["response"]
    assert corrected["count"] == response["count"]
    for name in ("p50_us", "p90_us", "mean_us", "max_us"):
        assert latency["service"][name] <= corrected[name] <= response[name] or which == "closed"
    if which == "closed":
        assert corrected == response
    if (
        which == "overloaded"
    ):  # its requests wait for a connection because of the server, not of the generator
        assert corrected["p50_us"] > 2 * latency["service"]["p50_us"]


@EACH_RUN
def test_both_sides_counted_the_same_requests(results: Results, which: str) -> None:
    evidence, outcome = results[which]["verdict"]["evidence"], results.outcome(which)
    assert evidence["errors"] == 0
    assert evidence["answered"] == evidence["counted"] == sum(second.requests for second in outcome.seconds)


def test_unknown_figures_are_null_and_not_zero(results: Results) -> None:
    opened, closed = results["open"]["summary"], results["closed"]["summary"]
    assert closed["offered_per_s"] is None and closed["rate_ratio"] is None
    assert opened["latency"]["response"]["count"] < 1_000
    assert opened["latency"]["response"]["p99_us"] is None  # fewer than ten samples above
    assert opened["latency"]["response"]["p999_us"] is None


def test_in_a_closed_run_service_and_response_time_are_equal(results: Results) -> None:
    latency = results["closed"]["summary"]["latency"]
    assert latency["service"] == latency["response"]


def test_an_open_run_offers_its_rate_and_response_time_is_not_below_service_time(results: Results) -> None:
    for which in ("open", "overloaded"):
        summary = results[which]["summary"]
        assert summary["offered_per_s"] == pytest.approx(200, rel=1e-9)
        assert summary["rate_ratio"] == pytest.approx(min(1.0, summary["achieved_per_s"] / 200))
        service, response = summary["latency"]["service"], summary["latency"]["response"]
        for name in ("p50_us", "p90_us", "mean_us", "max_us"):
            assert response[name] >= service[name], "a request is never sent before it is due"


def test_an_overloaded_server_has_long_response_times_a_low_rate_and_is_not_unsaturated(
    results: Results,
) -> None:
    """One connection with 10 ms per request allows 50 requests in 0.5 s, and 100 are offered."""
    summary, verdict = results["overloaded"]["summary"], results["overloaded"]["verdict"]
    # One request may be in flight at the end.
    assert summary["achieved_per_s"] <= 102 and summary["rate_ratio"] <= 0.51
    service, response = summary["latency"]["service"], summary["latency"]["response"]
    for name in ("p50_us", "p90_us", "mean_us", "max_us"):
        assert response[name] > service[name] >= 10_000
    assert response["max_us"] >= 100 * 10_000 - 495_000, "the last request waits for all requests before it"
    assert verdict["name"] not in ("unsaturated", "noisy")
    (check,) = [check for check in verdict["checks"] if check["what"] == "Achieved / offered"]
    assert check["ok"] is False


def test_the_kinds_of_a_request_mix_are_summarised_separately(results: Results) -> None:
    plaintext, sleep = results["open"]["summary"]["by_kind"]
    assert (plaintext["label"], sleep["label"]) == ("plaintext", "sleep ms=5")
    assert (plaintext["requests"], sleep["requests"]) == (75, 25), "exact by weight in each whole round"
    assert sleep["service"]["p50_us"] >= 5000


@EACH_RUN
def test_the_series_is_consistent_with_the_summary(results: Results, which: str) -> None:
    run, rows = results[which], results.rows(which)
    assert [row["t_s"] for row in rows] == sorted({row["t_s"] for row in rows})
    assert [row["phase"] for row in rows] == ["measure"] if which == "overloaded" else ["warmup", "measure"]
    (measured,) = [row for row in rows if row["phase"] == "measure"]
    summary = run["summary"]
    assert measured["achieved_per_s"] == pytest.approx(summary["achieved_per_s"], rel=0.002), (
        "lengths are rounded to 1 ms"
    )
    assert measured["offered_per_s"] == (None if which == "closed" else summary["offered_per_s"])
    assert sum(row["errors"] for row in rows) == 0
    for clock in ("service", "response"):
        p50_us, max_us = measured[f"{clock}_p50_us"], measured[f"{clock}_max_us"]
        # On a slow machine, half a second may have fewer than 20 samples and so no median.
        assert p50_us is None or p50_us <= max_us


@EACH_RUN
def test_the_percentile_curve_ends_where_the_data_ends(results: Results, which: str) -> None:
    run = results[which]
    curve = results.lab.get(f"/runs/{run['id']}/percentiles")
    assert curve["count"] == run["summary"]["requests"]
    assert curve["cut"] == pytest.approx(1 - 10 / curve["count"])
    for clock in ("service", "response"):
        quantiles, values = zip(*curve[clock], strict=True)
        assert list(values) == sorted(values) and max(quantiles) <= curve["cut"]
        assert dict(curve[clock])[0.5] == run["summary"]["latency"][clock]["p50_us"]


@EACH_RUN
def test_the_histogram_log_is_readable_and_consistent_with_the_run(
    results: Results, which: str, tmp_path: Path
) -> None:
    run = results[which]
    answer = results.lab.http.get(f"/api/v1/runs/{run['id']}/histogram")
    assert answer.headers["content-type"].startswith("text/plain")
    log = tmp_path / "run.hlog"
    log.write_text(answer.text)
    total = HdrHistogram(1, histogram.HIGHEST_US, 3)
    with closing(HistogramLogReader(str(log), total)) as reader:
        while reader.add_next_interval_histogram(total):
            pass
    (measured,) = [second for second in results.outcome(which).seconds if second.phase == "measure"]
    assert total.get_total_count() == measured.requests
    expected = HdrHistogram.decode(measured.response)
    for percentile in (50, 90, 100):
        assert total.get_value_at_percentile(percentile) == expected.get_value_at_percentile(percentile)


@EACH_RUN
def test_the_range_of_the_measured_time_has_its_requests(results: Results, which: str) -> None:
    id = results[which]["id"]
    (measured,) = [second for second in results.outcome(which).seconds if second.phase == "measure"]
    part = results.lab.get(f"/runs/{id}/range?from_s={measured.t + 0.001}")
    assert (part["phases"], part["requests"]) == (["measure"], measured.requests)
    assert part["achieved_per_s"] == pytest.approx(measured.requests / measured.length_s)
    assert part["latency"]["response"]["count"] == measured.requests
    assert results.lab.get(f"/runs/{id}/range")["phases"][-1] == "measure"


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("from_s=-1", "/from_s"),
        ("from_s=soon", "/from_s"),
        ("to_s=nan", "/to_s"),
        ("from=1", "/from"),
        ("from_s=99", "/from_s"),
        ("from_s=0.2&to_s=0.1", "/to_s"),
    ],
)
def test_an_invalid_range_is_rejected(results: Results, query: str, pointer: str) -> None:
    answer = results.lab.http.get(f"/api/v1/runs/{results['closed']['id']}/range?{query}")
    assert_problem(answer, 422, pointer)


def test_thresholds_are_checked_against_the_result(results: Results) -> None:
    held = {each["text"]: each for each in results["closed"]["thresholds"]}
    assert {text: each["breached"] for text, each in held.items()} == {
        "max<60s": False,
        "max<1us": True,
        "p(99.9)<60s": True,
        "errors<0.1%": False,
        "rate>10000000": True,
        "rate<10000000": False,
    }
    assert "/s" in held["rate>10000000"]["seen"]
    assert held["p(99.9)<60s"]["seen"] == "unknown", "an unknown value breaches the threshold"
    assert results["open"]["thresholds"] == []


def test_a_run_stores_plan_knobs_environment_and_placement(results: Results) -> None:
    run = results["closed"]
    assert (run["label"], run["model"], run["scenario"]) == ("a note", "reactor", None)
    assert (run["plan"]["vus"], run["plan"]["duration_s"], run["plan"]["executor"]) == (
        16,
        0.5,
        "constant-vus",
    )
    assert "16 connections" in run["plan_text"]
    assert (run["knobs"]["idle_s"], results["open"]["knobs"]["workers"]) == (15, 2)
    assert {
        "kernel",
        "cpu_model",
        "cores",
        "python",
        "gil",
        "somaxconn",
        "port_range",
        "descriptor_limit",
    } <= set(run["environment"])
    mode, cpus = run["placement"]["mode"], os.sched_getaffinity(0)
    assert (run["verdict"]["evidence"]["generator_waited"] is not None) == (mode == "split")
    assert mode == ("split" if len(cpus) > 1 else "shared")
    if mode == "split":
        engine, load = run["placement"]["engine_cpus"], run["placement"]["load_cpus"]
        assert set(engine) | set(load) == cpus and not set(engine) & set(load)


def test_the_engine_of_a_run_ends_with_it(results: Results) -> None:
    assert results.engine_states == {"closed": "stopped", "open": "stopped", "overloaded": "stopped"}


def test_the_history_is_newest_first_and_paged(results: Results) -> None:
    lab = results.lab
    ids = [run["id"] for run in lab.get("/runs?limit=500")]
    assert ids == sorted(ids, reverse=True)
    at = ids.index(results["open"]["id"])
    assert ids[at + 1] == results["closed"]["id"]
    assert lab.get(f"/runs?limit=1&offset={at}") == [results["open"]]
    assert [run["id"] for run in lab.get(f"/runs?limit=2&offset={at}")] == ids[at : at + 2]


STOPPED_RUNS = {
    "closed": ("reactor", {}, plan(590, 0, think_time_ms=20, timeout_s=60), 1),
    "open": ("reactor-pool", {"workers": 2}, endless(vus=8), 3),
}


@pytest.mark.parametrize("which", STOPPED_RUNS)
def test_a_stopped_run_keeps_its_measurement_and_its_ledger(lab: LabProcess, which: str) -> None:
    model, knobs, load, threads = STOPPED_RUNS[which]
    run = lab.submit(model=model, knobs=knobs, plan=load)
    lab.wait_measuring(run["id"], responses=100)  # more than connections: each of them has been served
    lab.wait_next_second(run["id"])
    view = lab.stop(run["id"])
    assert_problem(lab.http.post(f"/api/v1/runs/{run['id']}/stop"), 409)

    assert view["state"] == "stopped" and not view["verdict"]["rankable"]
    assert set(view["verdict"]["fitness"].values()) == {"The run was stopped early."}
    assert view["summary"]["requests"] >= 100 and 1.0 < view["summary"]["duration_s"] < 590
    assert all(engine["exit"] for engine in lab.get("/engines"))

    ledger = view["ledger"]
    assert ledger["cpu_us"] > 1
    if ledger["cpu_user_us"] is not None:
        assert ledger["cpu_user_us"] + ledger["cpu_system_us"] == pytest.approx(ledger["cpu_us"])
    assert ledger["io_calls"] >= 1.5  # one recv and one send per request, except at the edges of the window
    assert ledger["threads_peak"] == threads
    assert ledger["rss_bytes_peak"] > 5_000_000
    assert ledger["kernel_stack_bytes"] == threads * 16384
    assert ledger["generator"]["utilisation"] > 0 and ledger["generator"]["cpu_us"] > 1
    assert ledger["voluntary_switches"] >= 0 and ledger["involuntary_switches"] >= 0
    assert ledger["syscalls"] is None, "counted in traced runs only"
    assert (ledger["queue_wait_us"] is None) == (which == "closed"), "only a pool has a queue"

    rows = [row for row in rows_of(lab, run["id"]) if row["phase"] == "measure"]
    assert len(rows) >= 2
    assert any(row["connections"] == 8 for row in rows)
    assert {row["threads"] for row in rows} - {None} == {threads}


def test_a_run_against_a_running_engine_restores_its_cpu_affinity(lab: LabProcess) -> None:
    engine = lab.start("main-sub")
    before = affinities(engine["pid"])
    run = lab.submit(engine=engine["id"], plan=endless())
    lab.wait_measuring(run["id"])
    if len(os.sched_getaffinity(0)) > 1:
        assert affinities(engine["pid"]) != before, "the engine is pinned during the run"
    view = lab.stop(run["id"])
    assert (view["state"], view["engine"], view["model"]) == ("stopped", engine["id"], "main-sub")
    assert view["summary"]["requests"] > 0 and view["knobs"] == engine["knobs"]
    assert affinities(engine["pid"]) == before
    assert lab.get(f"/engines/{engine['id']}")["state"] == "ready"
    assert httpx.get(engine["url"]).status_code == 200


def affinities(pid: int) -> set[frozenset[int]]:
    """Return the CPU sets of the threads of a process."""
    return {frozenset(os.sched_getaffinity(int(task.name))) for task in Path(f"/proc/{pid}/task").iterdir()}


def test_a_run_stopped_in_its_warm_up_has_no_data(lab: LabProcess) -> None:
    run = lab.submit(model="main-sub", plan=light(10, 580))
    until(lambda: lab.get(f"/runs/{run['id']}")["progress"] > 0, "the warm-up has begun")
    assert lab.get(f"/runs/{run['id']}")["state"] == "warming"
    view = lab.stop(run["id"])
    assert (view["state"], view["verdict"], view["summary"], view["ledger"]) == ("stopped", None, None, None)
    assert view["failure"] == "Stopped during warm-up: no data was collected."
    assert all(engine["exit"] for engine in lab.get("/engines"))
    page = lab.http.get(f"/runs/{run['id']}").text
    assert view["failure"] in page and "Error rate too high" not in page
    assert_problem(lab.http.get(f"/api/v1/runs/{run['id']}/csv"), 409)


def test_runs_are_carried_out_in_order_one_at_a_time_and_a_queued_one_can_be_cancelled(
    lab: LabProcess,
) -> None:
    ids = [lab.submit(model="reactor", plan=endless())["id"] for _ in range(4)]
    first, cancelled, third, fourth = ids
    lab.wait_measuring(first)
    assert [lab.get(f"/runs/{id}")["state"] for id in ids] == ["running", "queued", "queued", "queued"]
    lab.http.post(f"/api/v1/runs/{cancelled}/stop")
    ended = lab.stop(first)
    running = until(
        lambda: next((id for id in (third, fourth) if lab.get(f"/runs/{id}")["state"] == "running"), None),
        "the next run is running",
    )
    assert running == third
    assert lab.get(f"/runs/{fourth}")["state"] == "queued"
    view = lab.get(f"/runs/{cancelled}")
    assert (view["state"], view["summary"], view["engine"]) == ("stopped", None, None)
    later = lab.stop(third)
    assert later["finished_at"] > view["finished_at"] >= ended["finished_at"]
    lab.wait_measuring(fourth)


def test_a_deleted_run_is_gone_and_its_id_is_not_reused(lab: LabProcess) -> None:
    run = lab.submit(model="reactor", plan=endless())
    assert_problem(lab.http.delete(f"/api/v1/runs/{run['id']}"), 409)
    lab.stop(run["id"])
    assert lab.http.delete(f"/api/v1/runs/{run['id']}").status_code == 204
    for part in ("", "/series", "/histogram", "/percentiles", "/range"):
        assert_problem(lab.http.get(f"/api/v1/runs/{run['id']}{part}"), 404)
    assert_problem(lab.http.delete(f"/api/v1/runs/{run['id']}"), 404)
    assert lab.submit(model="reactor", plan=endless())["id"] > run["id"]


@pytest.mark.parametrize("id", ["0", "-1", "99999", "9" * 30])
def test_an_unknown_run_is_not_found(lab: LabProcess, id: str) -> None:
    for method, path in (
        ("GET", ""),
        ("GET", "/series"),
        ("GET", "/histogram"),
        ("POST", "/stop"),
        ("DELETE", ""),
    ):
        assert_problem(lab.http.request(method, f"/api/v1/runs/{id}{path}"), 404)


def with_plan(**changes: Any) -> dict[str, Any]:
    return {"model": "reactor", "plan": plan(**changes)}


OPEN = "constant-arrival-rate"
REFUSED: dict[str, tuple[dict[str, Any], int, tuple[str, ...]]] = {
    "too many connections": (with_plan(vus=10**6), 422, ("/plan/vus",)),
    "no connections": (with_plan(vus=0), 422, ("/plan/vus",)),
    "rate too high": (with_plan(executor=OPEN, rate_per_s=10**7), 422, ("/plan/rate_per_s",)),
    "no rate": (with_plan(executor=OPEN), 422, ("/plan/rate_per_s",)),
    "duration too long": (with_plan(duration_s=10**6), 422, ("/plan/duration_s",)),
    "not a number": (with_plan(duration_s="x"), 422, ("/plan/duration_s",)),
    "warm-up and duration too long": (
        with_plan(duration_s=599.0, warmup_s=599.0),
        422,
        ("/plan/duration_s",),
    ),
    "unknown executor": (with_plan(executor="ramping"), 422, ("/plan/executor",)),
    "unknown field": (with_plan(target="http://example.org"), 422, ("/plan/target",)),
    "unknown work": (with_plan(work=[{"kind": "shell"}]), 422, ("/plan/work/0/kind",)),
    "work without its parameter": (with_plan(work=[{"kind": "sleep"}]), 422, ("/plan/work/0/params",)),
    "work too long": (
        with_plan(work=[{"kind": "plaintext"}, {"kind": "sleep", "params": {"ms": 10**6}}]),
        422,
        ("/plan/work/1/params/ms",),
    ),
    "two wrong fields": (with_plan(vus=0, timeout_s=0), 422, ("/plan/vus", "/plan/timeout_s")),
    "more than the knobs allow": (
        {"model": "reactor", "knobs": {"max_connections": 4}, "plan": plan()},
        422,
        ("/plan/vus",),
    ),
    "unknown scenario": ({"model": "reactor", "scenario": "nope"}, 422, ("/scenario",)),
    "bad threshold": (
        {"model": "reactor", "thresholds": ["errors<1%", "p(100)<1ms"]},
        422,
        ("/thresholds/1",),
    ),
    "bad knob": ({"model": "reactor", "knobs": {"idle_s": 0}}, 422, ("/knobs/idle_s",)),
    "neither engine nor model": ({"plan": plan()}, 422, ("/engine",)),
    "both engine and model": ({"model": "reactor", "engine": "reactor-1"}, 422, ("/engine",)),
    "unknown model": ({"model": "nope"}, 404, ()),
    "unknown engine": ({"engine": "nope-1"}, 404, ()),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_plan_is_refused_with_its_pointers_and_nothing_is_queued(lab: LabProcess, case: str) -> None:
    body, status, pointers = REFUSED[case]

    def state() -> Any:
        return lab.get("/runs?limit=1"), [engine["id"] for engine in lab.get("/engines")]

    before = state()
    assert_problem(lab.post("/runs", body), status, *pointers)
    assert state() == before


def test_idle_connections_need_an_engine_with_a_longer_keep_alive_timeout(lab: LabProcess) -> None:
    engine = lab.start("reactor", idle_s=2)
    load = endless(idle_connections=40, vus=8)
    assert "idle_s" in assert_problem(lab.post("/runs", {"engine": engine["id"], "plan": load}), 409)
    run = lab.submit(model="blocking", plan=load)
    assert run["knobs"]["idle_s"] > 590
    lab.wait_measuring(run["id"])
    view = lab.stop(run["id"])
    assert view["summary"]["idle_connections_held"] == 40
    assert view["summary"]["connections_peak"] == 48
    assert view["ledger"]["threads_peak"] >= 48  # one thread per connection


def test_a_run_against_a_stopped_engine_is_refused(lab: LabProcess) -> None:
    engine = lab.start("reactor")
    lab.http.delete(f"/api/v1/engines/{engine['id']}")
    assert "stopped" in assert_problem(lab.post("/runs", {"engine": engine["id"], "plan": plan()}), 409)


def test_a_queued_run_fails_with_a_reason_if_its_engine_ends_before(lab: LabProcess) -> None:
    engine = lab.start("reactor")
    first = lab.submit(model="blocking", plan=endless())
    second = lab.submit(engine=engine["id"], plan=plan())
    lab.http.delete(f"/api/v1/engines/{engine['id']}", params={"force": True})
    assert lab.stop(first["id"])["state"] == "stopped"
    view = lab.wait_ended(second["id"])
    assert view["state"] == "failed" and engine["id"] in view["failure"]


def queued_behind(lab: LabProcess, submit: Callable[[], None]) -> None:
    """Submit runs behind one that lasts until they are stopped, so that none of them starts an engine."""
    first = lab.submit(model="reactor", plan=endless())
    submit()
    lab.stop(first["id"])


def test_every_scenario_is_a_valid_plan_and_a_plan_overrides_its_scenario(lab: LabProcess) -> None:
    scenarios = lab.get("/scenarios")
    assert len({scenario["name"] for scenario in scenarios}) == len(scenarios) >= 5

    def submit() -> None:
        for scenario in scenarios:
            assert scenario["title"] and scenario["watch"].endswith(".")
            run = lab.submit(model="blocking", scenario=scenario["name"])
            assert (run["scenario"], run["title"]) == (scenario["name"], scenario["title"])
            lab.http.post(f"/api/v1/runs/{run['id']}/stop")
        run = lab.submit(model="reactor", scenario="slow-handler", plan={"duration_s": 0.5, "warmup_s": 0})
        assert (run["plan"]["duration_s"], run["plan"]["rate_per_s"]) == (0.5, 400)
        assert [work["kind"] for work in run["plan"]["work"]] == ["plaintext", "sleep"]
        lab.http.post(f"/api/v1/runs/{run['id']}/stop")
        run = lab.submit(model="reactor", scenario="slow-handler", plan={"executor": "constant-vus"})
        assert run["plan"]["rate_per_s"] is None, "what the other executor does not use is left out"
        lab.http.post(f"/api/v1/runs/{run['id']}/stop")

    queued_behind(lab, submit)
