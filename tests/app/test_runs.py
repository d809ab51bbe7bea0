"""Runs from plan to verdict: what was measured, what it cost, and that all of it agrees with itself."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.load import histogram

from .driver import LabMaker, LabProcess, is_problem, plan, until

pytestmark = pytest.mark.alone

OPEN = "constant-arrival-rate"
PERCENTILES = ("p50_us", "p90_us", "p99_us", "p999_us", "max_us")
VERDICTS = {
    "server_bound", "client_bound", "unsaturated", "rate_missed", "errors_dominate", "kernel_drops", "noisy",
    "degraded",
}  # fmt: skip
MIX = [{"kind": "plaintext", "weight": 3}, {"kind": "sleep", "weight": 1, "params": {"ms": 5}}]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A lab with a closed and an open run in its history; they are not changed."""
    with closing(LabProcess(tmp_path_factory.mktemp("lab"))) as lab:
        closed = lab.run(
            model="reactor", plan=plan(1.5, 0.5), thresholds=["p(99)<20s", "errors<0.1%", "rate>10000000"],
            label="a note",
        )  # fmt: skip
        opened = lab.run(model="reactor-pool", plan=plan(1.5, 0.5, executor=OPEN, rate_per_s=400, work=MIX))
        yield {"lab": lab, "closed": closed, "open": opened}


def lab_of(results: dict[str, Any]) -> LabProcess:
    lab: LabProcess = results["lab"]
    return lab


def series_of(results: dict[str, Any], which: str) -> list[dict[str, Any]]:
    said = lab_of(results).get(f"/runs/{results[which]['id']}/series")
    return [dict(zip(said["columns"], row, strict=True)) for row in said["rows"]]


BOTH = pytest.mark.parametrize("which", ["closed", "open"])


@BOTH
def test_a_run_comes_to_a_verdict_with_its_reasons(results: dict[str, Any], which: str) -> None:
    run = results[which]
    assert (run["state"], run["progress"], run["failure"]) == ("finished", 1.0, None)
    verdict = run["verdict"]
    assert verdict["name"] in VERDICTS
    assert all(said.endswith(".") and len(said) > 20 for said in verdict["because"]) and verdict["because"]
    assert {check["what"] for check in verdict["checks"]} >= {"Errors", "Generator used of its CPU"}
    assert all(value is None or isinstance(value, float | int | str) for value in verdict["evidence"].values())
    assert run["created_at"] < run["finished_at"]


def test_the_cpu_of_a_second_is_that_of_this_second(lab: LabProcess) -> None:
    stages = [{"duration_s": second, "target": rate} for second, rate in ((0.9, 10), (0.1, 300), (2.0, 300))]
    work = [{"kind": "hash", "params": {"us": 1000}}]
    wanted = {"executor": "ramping-arrival-rate", "rate_per_s": 10, "stages": stages, "work": work}
    run = lab.run(model="reactor", plan=plan(3.0, 0, **wanted))
    series = series_of({"lab": lab, "this": run}, "this")
    cpu = [row["cpu_percent"] for row in series if row["phase"] == "measure"]
    assert len(cpu) == 3 and None not in cpu
    assert cpu[0] < 15 < min(cpu[1:]), "25 and 300 times a millisecond"


@BOTH
def test_the_summary_adds_up(results: dict[str, Any], which: str) -> None:
    run = results[which]
    summary = run["summary"]
    assert summary["requests"] > 100
    assert summary["errors"] == {}
    assert sum(kind["requests"] for kind in summary["by_kind"]) == summary["requests"]
    assert summary["reconnects"] == 0
    assert (summary["send_jitter_p99_us"] is None) == (which == "closed"), "a closed load has no time to keep"
    assert summary["duration_s"] == pytest.approx(1.5, abs=0.3)
    assert summary["achieved_per_s"] * summary["duration_s"] == pytest.approx(summary["requests"], rel=0.02, abs=16)
    for clock in ("service", "response"):
        latency = summary["latency"][clock]
        assert latency["count"] == summary["requests"]
        assert sum(kind[clock]["count"] for kind in summary["by_kind"]) == latency["count"]
        known = [latency[name] for name in PERCENTILES if latency[name] is not None]
        assert known == sorted(known) and known[0] > 0
    assert summary["bytes_in"] > summary["requests"] * 13 and summary["bytes_out"] > summary["requests"] * 20
    assert summary["connections_peak"] == 8


def test_what_is_not_known_is_null_and_not_zero(results: dict[str, Any]) -> None:
    opened, closed = results["open"]["summary"], results["closed"]["summary"]
    assert closed["offered_per_s"] is None and closed["rate_ratio"] is None
    assert opened["latency"]["response"]["count"] < 10_000
    assert opened["latency"]["response"]["p999_us"] is None  # fewer than ten samples above
    assert results["open"]["ledger"]["syscalls"] is None


def test_a_closed_run_has_one_clock(results: dict[str, Any]) -> None:
    latency = results["closed"]["summary"]["latency"]
    assert latency["service"] == latency["response"]


def test_an_open_run_keeps_its_rate_and_both_clocks(results: dict[str, Any]) -> None:
    summary = results["open"]["summary"]
    assert summary["offered_per_s"] == pytest.approx(400, rel=0.02)
    assert summary["rate_ratio"] == pytest.approx(summary["achieved_per_s"] / summary["offered_per_s"], abs=0.02)
    for name in ("p50_us", "p90_us", "mean_us"):
        assert summary["latency"]["response"][name] >= summary["latency"]["service"][name] * 0.999


def test_the_work_mix_is_told_apart(results: dict[str, Any]) -> None:
    plaintext, sleep = results["open"]["summary"]["by_kind"]
    assert (plaintext["label"], sleep["label"]) == ("plaintext", "sleep ms=5")
    assert plaintext["requests"] / sleep["requests"] == pytest.approx(3, rel=0.1)
    assert sleep["service"]["p50_us"] >= 5000 > plaintext["service"]["p50_us"]


@BOTH
def test_the_ledger_says_what_a_request_cost(results: dict[str, Any], which: str) -> None:
    ledger = results[which]["ledger"]
    assert 1 < ledger["cpu_us"] < 5000
    if ledger["cpu_user_us"] is not None:
        assert ledger["cpu_user_us"] + ledger["cpu_system_us"] == pytest.approx(ledger["cpu_us"])
    assert ledger["io_calls"] >= 1.5  # a recv and a send, but for the edges of the window
    assert ledger["threads_peak"] == {"closed": 1, "open": 5}[which]
    assert ledger["rss_bytes_peak"] > 5_000_000
    assert ledger["kernel_stack_bytes"] == ledger["threads_peak"] * 16384
    assert 0 < ledger["generator"]["utilisation"] <= 1.1
    assert ledger["generator"]["cpu_us"] > 1
    assert ledger["voluntary_switches"] >= 0 and ledger["involuntary_switches"] >= 0


def test_only_a_pool_has_a_queue_to_wait_in(results: dict[str, Any]) -> None:
    assert results["open"]["ledger"]["queue_wait_us"] > 0
    assert results["closed"]["ledger"]["queue_wait_us"] is None


@BOTH
def test_the_series_is_the_same_run(results: dict[str, Any], which: str) -> None:
    run, rows = results[which], series_of(results, which)
    assert [row["t_s"] for row in rows] == sorted({row["t_s"] for row in rows})
    assert {row["phase"] for row in rows} == {"warmup", "measure"}
    measured = [row for row in rows if row["phase"] == "measure"]
    assert 1 <= len(measured) <= 3
    answered = sum((row["achieved_per_s"] or 0) * 1 for row in measured) / len(measured)
    assert answered == pytest.approx(run["summary"]["achieved_per_s"], rel=0.35)
    assert sum(row["errors"] for row in rows) == 0
    assert any(row["connections"] == 8 for row in rows)
    assert any(row["threads"] == run["ledger"]["threads_peak"] for row in rows)
    offered = [row["offered_per_s"] for row in measured if row["achieved_per_s"] is not None]
    assert offered == ([None] * len(offered) if which == "closed" else pytest.approx([400] * len(offered), rel=0.05))


@BOTH
def test_the_percentile_curve_ends_where_the_data_ends(results: dict[str, Any], which: str) -> None:
    run = results[which]
    curve = lab_of(results).get(f"/runs/{run['id']}/percentiles")
    assert curve["count"] == run["summary"]["requests"]
    assert curve["cut"] == pytest.approx(1 - 10 / curve["count"])
    for clock in ("service", "response"):
        quantiles, values = zip(*curve[clock], strict=True)
        assert list(values) == sorted(values) and max(quantiles) <= curve["cut"]
        assert dict(curve[clock])[0.5] == run["summary"]["latency"][clock]["p50_us"]


@BOTH
def test_the_histogram_log_is_readable_and_is_the_same_run(results: dict[str, Any], which: str, tmp_path: Path) -> None:
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogReader

    run = results[which]
    answer = lab_of(results).http.get(f"/api/v1/runs/{run['id']}/histogram")
    assert answer.headers["content-type"].startswith("text/plain")
    log = tmp_path / "run.hlog"
    log.write_text(answer.text)
    total = HdrHistogram(1, histogram.HIGHEST_US, 3)
    with closing(HistogramLogReader(str(log), total)) as reader:
        while reader.add_next_interval_histogram(total):
            pass
    latency = run["summary"]["latency"]["response"]
    assert total.get_total_count() == pytest.approx(latency["count"], abs=16)
    assert total.get_value_at_percentile(50) == pytest.approx(latency["p50_us"], rel=0.1)


def test_thresholds_are_held_against_the_result(results: dict[str, Any]) -> None:
    held = {each["text"]: each for each in results["closed"]["thresholds"]}
    assert [each["breached"] for each in held.values()] == [False, False, True]
    assert "/s" in held["rate>10000000"]["seen"]
    assert results["open"]["thresholds"] == []


def test_a_run_keeps_what_it_was(results: dict[str, Any]) -> None:
    run = results["closed"]
    assert (run["label"], run["model"], run["scenario"]) == ("a note", "reactor", None)
    assert (run["plan"]["vus"], run["plan"]["duration_s"], run["plan"]["executor"]) == (8, 1.5, "constant-vus")
    assert "8 connections" in run["plan_text"]
    assert run["knobs"]["idle_s"] == 15
    assert {"kernel", "cpu_model", "cores", "python", "gil", "somaxconn", "port_range", "descriptor_limit"} <= set(
        run["environment"]
    )
    mode, cpus = run["placement"]["mode"], os.sched_getaffinity(0)
    assert mode == ("split" if len(cpus) > 1 else "shared")
    if mode == "split":
        engine, load = run["placement"]["engine_cpus"], run["placement"]["load_cpus"]
        assert set(engine) | set(load) == cpus and not set(engine) & set(load)


def test_an_engine_of_a_run_ends_with_it(results: dict[str, Any]) -> None:
    lab = lab_of(results)
    for which in ("closed", "open"):
        assert lab.get(f"/engines/{results[which]['engine']}")["state"] == "stopped"


def test_the_history_is_newest_first_and_pages(results: dict[str, Any]) -> None:
    lab = lab_of(results)
    both = [results["open"]["id"], results["closed"]["id"]]
    assert [run["id"] for run in lab.get("/runs")] == both
    assert [run["id"] for run in lab.get("/runs?limit=1&offset=1")] == both[1:]
    assert lab.get("/runs")[0] == results["open"]


def test_runs_survive_a_restart(make_lab: LabMaker, tmp_path: Path) -> None:
    first = make_lab(data_dir=tmp_path)
    run = first.run(model="reactor", plan=plan(0.5, 0))
    kept = {part: first.http.get(f"/api/v1/runs/{run['id']}/{part}").text for part in ("series", "histogram")}
    first.close()
    again = make_lab(data_dir=tmp_path)
    assert again.get(f"/runs/{run['id']}") == run
    assert {part: again.http.get(f"/api/v1/runs/{run['id']}/{part}").text for part in kept} == kept


def test_a_run_against_an_engine_leaves_it_as_it_was(lab: LabProcess) -> None:
    engine = lab.start("main-sub")
    before = affinities(engine["pid"])
    run = lab.submit(engine=engine["id"], plan=plan(1.0, 0))
    lab.reaches(run["id"], "running")
    if len(os.sched_getaffinity(0)) > 1:
        until(lambda: affinities(engine["pid"]) != before, "it is moved to its CPUs")
    view = lab.ended(run["id"])
    assert (view["state"], view["engine"], view["model"]) == ("finished", engine["id"], "main-sub")
    assert view["summary"]["requests"] > 100 and view["knobs"] == engine["knobs"]
    assert affinities(engine["pid"]) == before
    assert lab.get(f"/engines/{engine['id']}")["state"] == "ready"
    assert httpx.get(engine["url"]).status_code == 200


def affinities(pid: int) -> set[frozenset[int]]:
    return {frozenset(os.sched_getaffinity(int(task.name))) for task in Path(f"/proc/{pid}/task").iterdir()}


def test_shared_placement_pins_nothing(lab: LabProcess) -> None:
    run = lab.run(model="reactor", plan=plan(0.5, 0, placement="shared"))
    assert (run["placement"]["mode"], run["placement"]["engine_cpus"]) == ("shared", None)
    assert not run["verdict"]["rankable"]  # DESIGN 7: never ranked by ceiling


def test_a_stopped_run_keeps_what_was_measured_and_is_marked(lab: LabProcess) -> None:
    run = lab.submit(model="reactor", plan=plan(60, 0.2))
    until(lambda: lab.get(f"/runs/{run['id']}")["progress"] * 60.2 > 1.2, "a second is measured")
    answer = lab.http.post(f"/api/v1/runs/{run['id']}/stop")
    assert answer.status_code == 200
    view = lab.ended(run["id"], 5)
    assert view["state"] == "stopped"
    assert view["summary"]["requests"] > 10 and 0.3 < view["summary"]["duration_s"] < 20
    assert not view["verdict"]["rankable"]
    assert any("stopped early" in said for said in view["verdict"]["because"])
    is_problem(lab.http.post(f"/api/v1/runs/{run['id']}/stop"), 409)


def test_a_run_is_stopped_even_before_its_load_begins(lab: LabProcess) -> None:
    run = lab.submit(model="main-sub", plan=plan(30))
    lab.reaches(run["id"], "warming")
    lab.http.post(f"/api/v1/runs/{run['id']}/stop")
    assert lab.ended(run["id"], 8)["state"] == "stopped"
    assert all(engine["exit"] for engine in lab.get("/engines"))


def test_a_second_run_waits_for_the_first(lab: LabProcess) -> None:
    first = lab.submit(model="reactor", plan=plan(1.0, 0))
    second = lab.submit(model="reactor", plan=plan(0.5, 0))
    assert second["state"] == "queued"
    lab.reaches(first["id"], "running")
    assert lab.get(f"/runs/{second['id']}")["state"] == "queued"
    ended = lab.ended(first["id"])
    later = lab.ended(second["id"])
    assert ended["state"] == later["state"] == "finished"
    assert later["finished_at"] > ended["finished_at"]


def test_a_waiting_run_can_be_taken_out(lab: LabProcess) -> None:
    first = lab.submit(model="reactor", plan=plan(1.5, 0))
    second = lab.submit(model="reactor", plan=plan(30))
    lab.http.post(f"/api/v1/runs/{second['id']}/stop")
    view = lab.ended(second["id"], 8)
    assert (view["state"], view["summary"], view["engine"]) == ("stopped", None, None)
    assert lab.ended(first["id"])["state"] == "finished"


def test_a_deleted_run_is_gone_and_its_number_is_not_given_again(lab: LabProcess) -> None:
    run = lab.submit(model="reactor", plan=plan(0.5, 0))
    is_problem(lab.http.delete(f"/api/v1/runs/{run['id']}"), 409)
    lab.ended(run["id"])
    assert lab.http.delete(f"/api/v1/runs/{run['id']}").status_code == 204
    for part in ("", "/series", "/histogram", "/percentiles"):
        is_problem(lab.http.get(f"/api/v1/runs/{run['id']}{part}"), 404)
    is_problem(lab.http.delete(f"/api/v1/runs/{run['id']}"), 404)
    next_run = lab.run(model="reactor", plan=plan(0.5, 0))
    assert next_run["id"] > run["id"]


@pytest.mark.parametrize("id", ["0", "-1", "99999", "9" * 30])
def test_an_unknown_run_is_not_found(lab: LabProcess, id: str) -> None:
    for method, path in (("GET", ""), ("GET", "/series"), ("GET", "/histogram"), ("POST", "/stop"), ("DELETE", "")):
        is_problem(lab.http.request(method, f"/api/v1/runs/{id}{path}"), 404)


def with_plan(**changes: Any) -> dict[str, Any]:
    return {"model": "reactor", "plan": plan(**changes)}


REFUSED: dict[str, tuple[dict[str, Any], int, tuple[str, ...]]] = {
    "too many connections": (with_plan(vus=10**6), 422, ("/plan/vus",)),
    "no connections": (with_plan(vus=0), 422, ("/plan/vus",)),
    "too fast": (with_plan(executor=OPEN, rate_per_s=10**7), 422, ("/plan/rate_per_s",)),
    "no rate": (with_plan(executor=OPEN), 422, ("/plan/rate_per_s",)),
    "too long": (with_plan(duration_s=10**6), 422, ("/plan/duration_s",)),
    "not a number": (with_plan(duration_s="x"), 422, ("/plan/duration_s",)),
    "too long together": (with_plan(duration_s=599.0, warmup_s=599.0), 422, ("/plan/duration_s",)),
    "unknown executor": (with_plan(executor="ramping"), 422, ("/plan/executor",)),
    "unknown field": (with_plan(target="http://example.org"), 422, ("/plan/target",)),
    "unknown work": (with_plan(work=[{"kind": "shell"}]), 422, ("/plan/work/0/kind",)),
    "work without its parameter": (with_plan(work=[{"kind": "sleep"}]), 422, ("/plan/work/0/params",)),
    "work too long": (
        with_plan(work=[{"kind": "plaintext"}, {"kind": "sleep", "params": {"ms": 10**6}}]), 422,
        ("/plan/work/1/params/ms",),
    ),
    "two wrong": (with_plan(vus=0, timeout_s=0), 422, ("/plan/vus", "/plan/timeout_s")),
    "more than the knobs allow": (
        {"model": "reactor", "knobs": {"max_connections": 4}, "plan": plan()}, 422, ("/plan/vus",)
    ),
    "unknown scenario": ({"model": "reactor", "scenario": "nope"}, 422, ("/scenario",)),
    "bad threshold": ({"model": "reactor", "thresholds": ["errors<1%", "p(98)<1ms"]}, 422, ("/thresholds/1",)),
    "bad knob": ({"model": "reactor", "knobs": {"idle_s": 0}}, 422, ("/knobs/idle_s",)),
    "neither": ({"plan": plan()}, 422, ("/engine",)),
    "both": ({"model": "reactor", "engine": "reactor-1"}, 422, ("/engine",)),
    "unknown model": ({"model": "nope"}, 404, ()),
    "unknown engine": ({"engine": "nope-1"}, 404, ()),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_plan_is_refused_by_field_and_nothing_is_queued(lab: LabProcess, case: str) -> None:
    body, status, pointers = REFUSED[case]
    before = (lab.get("/runs"), [engine["id"] for engine in lab.get("/engines")])
    is_problem(lab.post("/runs", body), status, *pointers)
    assert (lab.get("/runs"), [engine["id"] for engine in lab.get("/engines")]) == before


def test_an_idle_crowd_needs_an_engine_that_is_patient(lab: LabProcess) -> None:
    hasty = lab.start("reactor", idle_s=2)
    crowd = plan(0.5, 0, idle_connections=40)
    said = is_problem(lab.post("/runs", {"engine": hasty["id"], "plan": crowd}), 409)
    assert "idle_s" in said
    run = lab.run(model="blocking", plan=crowd)
    assert run["knobs"]["idle_s"] > 15
    assert run["summary"]["idle_connections_held"] == 40
    assert run["summary"]["connections_peak"] == 48
    assert run["ledger"]["threads_peak"] >= 48  # a thread each


def test_a_run_against_an_engine_that_is_gone_is_refused(lab: LabProcess) -> None:
    engine = lab.start("reactor")
    lab.http.delete(f"/api/v1/engines/{engine['id']}")
    assert "stopped" in is_problem(lab.post("/runs", {"engine": engine["id"], "plan": plan()}), 409)


def test_an_engine_that_dies_in_a_run_makes_it_degraded(lab: LabProcess) -> None:
    engine = lab.start("reactor-pool")
    run = lab.submit(engine=engine["id"], plan=plan(4.0, 0))
    until(lambda: lab.get(f"/runs/{run['id']}")["progress"] > 0.2, "it is measured")
    os.kill(engine["pid"], signal.SIGKILL)
    view = lab.ended(run["id"])
    assert view["verdict"]["name"] == "degraded" and not view["verdict"]["rankable"]
    assert "SIGKILL" in " ".join(view["verdict"]["because"])
    assert view["summary"]["requests"] > 0  # what was measured up to then is kept


def test_an_engine_that_cannot_start_fails_the_run_in_words(lab: LabProcess) -> None:
    engine = lab.start("reactor")
    first = lab.submit(model="blocking", plan=plan(1.0, 0))
    second = lab.submit(engine=engine["id"], plan=plan())
    lab.http.delete(f"/api/v1/engines/{engine['id']}", params={"force": True})
    view = lab.ended(second["id"])
    assert view["state"] == "failed" and engine["id"] in view["failure"]
    assert lab.ended(first["id"])["state"] == "finished"


def test_a_rate_beyond_the_server_is_not_called_a_success(lab: LabProcess) -> None:
    work = [{"kind": "sleep", "params": {"ms": 20}}]  # one thread: at most 50 a second
    for _ in range(4):
        run = lab.run(model="reactor", plan=plan(1.5, 0, executor=OPEN, rate_per_s=150, work=work, vus=32))
        if run["verdict"]["name"] != "client_bound":
            break  # on a starved machine the generator sends late, and the verdict says that first: ask again
    assert run["verdict"]["name"] in ("server_bound", "rate_missed"), run["verdict"]
    assert run["summary"]["rate_ratio"] < 0.5
    assert not math.isclose(run["summary"]["latency"]["response"]["max_us"], 20_000, rel_tol=0.5)


def test_a_slow_handler_makes_the_one_thread_the_limit(lab: LabProcess) -> None:
    work = [{"kind": "sleep", "params": {"ms": 5}}]
    run = lab.run(model="reactor", plan=plan(1.0, 0, work=work))
    assert run["verdict"]["name"] == "server_bound", run["verdict"]
    assert run["verdict"]["rankable"]


def test_patient_users_leave_both_sides_idle(lab: LabProcess) -> None:
    run = lab.run(model="reactor", plan=plan(1.0, 0, think_time_ms=50))
    assert run["verdict"]["name"] == "unsaturated", run["verdict"]


def test_every_scenario_is_a_valid_plan(lab: LabProcess) -> None:
    scenarios = lab.get("/scenarios")
    assert len({scenario["name"] for scenario in scenarios}) == len(scenarios) >= 5
    for scenario in scenarios:
        assert scenario["title"] and scenario["watch"].endswith(".")
        run = lab.submit(model="blocking", scenario=scenario["name"])
        assert (run["scenario"], run["title"]) == (scenario["name"], scenario["title"])
        lab.http.post(f"/api/v1/runs/{run['id']}/stop")


def test_a_plan_goes_over_its_scenario(lab: LabProcess) -> None:
    run = lab.submit(model="reactor", scenario="slow-handler", plan={"duration_s": 0.5, "warmup_s": 0})
    assert (run["plan"]["duration_s"], run["plan"]["rate_per_s"]) == (0.5, 400)
    assert [work["kind"] for work in run["plan"]["work"]] == ["plaintext", "sleep"]
    assert lab.ended(run["id"])["state"] == "finished"
