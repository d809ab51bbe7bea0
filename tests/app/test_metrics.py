"""/metrics: its names are those of docs/metrics.md, and its values are those of the lab."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.fleet import fleet
from tests.app.driver import LabProcess, light, until
from tests.app.in_process_lab import InProcessLab

DOC = Path(__file__).parents[2] / "docs" / "metrics.md"
FORBIDDEN_LABELS = {"id", "engine", "tid", "thread", "pid", "port"}


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: str) -> float:
    return samples(text)[name, frozenset(labels.items())]


def scrape(lab: LabProcess) -> str:
    answer = lab.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


@pytest.fixture(scope="module")
def after_a_run(shared_lab: LabProcess) -> LabProcess:
    shared_lab.run(model="reactor", plan=light())
    return shared_lab


def test_exactly_the_documented_metrics_exist(after_a_run: LabProcess) -> None:
    documented = set(re.findall(r"^\| `(threadlab_\w+)`", DOC.read_text(), re.MULTILINE))
    found = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(scrape(after_a_run))
        if family.name.startswith("threadlab_") and not family.name.endswith("_created")
    }
    assert documented == found


def test_no_label_names_a_single_engine_or_thread(after_a_run: LabProcess) -> None:
    for _, labels in samples(scrape(after_a_run)):
        assert not {name for name, _ in labels} & FORBIDDEN_LABELS


def test_the_histograms_have_all_requests_of_a_run(shared_lab: LabProcess) -> None:
    before = scrape(shared_lab)
    name = "threadlab_run_service_seconds_count"
    earlier = samples(before).get((name, frozenset({("model", "main-sub")})), 0.0)
    run = shared_lab.run(model="main-sub", plan=light())
    text = scrape(shared_lab)
    assert value(text, name, model="main-sub") - earlier == run["summary"]["requests"] > 0
    assert value(text, "threadlab_run_cpu_seconds_per_request", model="main-sub") == pytest.approx(
        run["ledger"]["cpu_us"] / 1e6
    )


def test_counters_match_the_sample_and_never_decrease(lab: LabProcess) -> None:
    def requests() -> float:
        key = "threadlab_engine_requests_total", frozenset({("model", "reactor"), ("class", "2xx")})
        return samples(scrape(lab)).get(key, 0.0)

    before = requests()
    engine = lab.start("reactor")
    for _ in range(5):
        assert lab.http.get(engine["url"]).status_code == 200
    until(lambda: requests() == before + 6, "the test's requests and the lab's own one are counted")
    assert lab.get(f"/engines/{engine['id']}/sample")["requests"] == 6
    assert value(scrape(lab), "threadlab_engines", model="reactor", state="ready") == 1
    assert value(scrape(lab), "threadlab_engine_threads", model="reactor", role="reactor") == 1
    lab.http.delete(f"/api/v1/engines/{engine['id']}")
    assert requests() == before + 6
    assert value(scrape(lab), "threadlab_engines", model="reactor", state="ready") == 0


def test_counters_include_engines_that_were_removed_between_two_scrapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "ENDED_KEPT", 1)
    with closing(InProcessLab(tmp_path)) as lab:
        before = scrape(lab)
        for _ in range(4):
            engine = lab.start("reactor")
            for _ in range(10):
                assert httpx.get(engine["url"]).status_code == 200
            lab.http.delete(
                f"/api/v1/engines/{engine['id']}"
            )  # without force: a killed engine keeps some counts
        assert len(lab.get("/engines")) < 4, "some engines were removed"
        after, labels = scrape(lab), {"model": "reactor", "class": "2xx"}
        name = "threadlab_engine_requests_total"
        assert value(after, name, **labels) - samples(before).get(
            (name, frozenset(labels.items())), 0
        ) == 4 * (10 + 1)
        assert value(after, "threadlab_engine_cpu_seconds_total", model="reactor") > 0


def test_promtool_finds_no_problem(after_a_run: LabProcess) -> None:
    if not (promtool := shutil.which("promtool")):
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=scrape(after_a_run), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
