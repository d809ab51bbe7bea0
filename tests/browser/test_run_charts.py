"""The charts of a run that has ended: the lines of its latency limits, and their images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from _pytest.mark import ParameterSet
from playwright.sync_api import Page, expect

from app.load.protocol.plan import Plan
from app.schemas.capacity import Capacity, SearchStep
from app.store.runs import RunStore
from tests.app.driver import LabProcess

from .conftest import Opener, PagePool
from .history import keep_past, made_run

STEPS = (
    SearchStep(1000.0, 1, "0.4 ms", 1.0, True, "The objective was met.", 400.0),
    SearchStep(2000.0, 1, "21 ms", 1.0, False, "p(99) was 21 ms.", 21_000.0),
)
CAPACITY = Capacity("p(99)<20ms", 1000.0, 2000.0, None, STEPS)
SVG = "http://www.w3.org/2000/svg"
LIMITS = "/static/js/charts/limit-lines.js"


@pytest.fixture(scope="module")
def charted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """A lab whose only run is an open load with thresholds and a capacity search."""
    folder = tmp_path_factory.mktemp("lab")
    load = Plan(executor="constant-arrival-rate", vus=8, rate_per_s=2000.0, duration_s=4.0, warmup_s=2.0)
    texts = ("p(99)<1200us", "p(99)<10s", "errors<1%")
    with closing(RunStore(f"sqlite:///{folder / 'threadlab.sqlite3'}")) as store:
        keep_past(store, made_run(load, 400, title="A <search>", thresholds=texts, capacity=CAPACITY))
    with closing(LabProcess(folder)) as lab:
        yield lab


@pytest.fixture
def see(page_pool: PagePool, charted: LabProcess) -> Iterator[Opener]:
    opener = Opener(page_pool, charted)
    yield opener
    opener.close()


def call(page: Page, module: str, code: str, values: Mapping[str, Any]) -> Any:
    """Return what `code` returns with the exports of a module as `m` and these values as `v`."""
    return page.evaluate(f"(v) => import('{module}').then((m) => {{ {code} }})", values)


def test_a_near_limit_extends_the_axis_and_a_distant_one_does_not(see: Opener) -> None:
    page = see("/about").page
    code = """
      const limits = v.values.map((value) => ({ value }));
      return m.rangeWithLimits((_, low, top) => [low, top], limits, v.log)({}, v.low, v.top);
    """
    linear = {"low": 1, "top": 10, "log": False}
    assert call(page, LIMITS, code, {**linear, "values": [5, 30]}) == [1, 30]
    assert call(page, LIMITS, code, {**linear, "values": [0.1, 41]}) == [1, 10]
    log = {**linear, "log": True}
    assert call(page, LIMITS, code, {**log, "values": [0.1, 200]}) == [0.1, 200]
    assert call(page, LIMITS, code, {**log, "values": [0.01, 400]}) == [1, 10]


def test_labels_of_limits_do_not_cover_each_other_and_arrows_show_those_beyond_the_axis(see: Opener) -> None:
    page = see("/about").page
    code = """
      const u = { scales: { y: { min: 1, max: 10 } }, valToPos: (value) => 100 - 10 * value };
      return m.placeLimits(u, v.limits, { width: 400, height: 100 }, (text) => 6 * text.length);
    """
    limits = [{"value": value, "text": f"<{value}"} for value in (5, 5.5, 99, 0.5)]
    first, second, above, below = call(page, LIMITS, code, {"limits": limits})
    assert (first["line"], second["line"], above["line"], below["line"]) == (50, 45, None, None)
    assert second["left"] + second["wide"] < first["left"]
    assert (above["text"], below["text"]) == ("↑ <99", "↓ <0.5")


def saved(page: Page, panel: str, type: str) -> tuple[str, bytes]:
    """Press a button of a chart by keyboard; return name and content of the file."""
    button = page.locator(panel).get_by_role("button", name=f"as {type}")
    expect(button).to_be_visible()
    with page.expect_download() as download:
        button.press("Enter")
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def texts_of(svg: bytes) -> list[str]:
    root = ElementTree.fromstring(svg)
    return [" ".join((each.text or "").split()) for each in root.iter(f"{{{SVG}}}text")]


def full(panel: str, file: str, texts: set[str]) -> ParameterSet:
    """A chart of the full tests: the others are made by the same code."""
    return pytest.param(panel, file, texts, marks=pytest.mark.full)


@pytest.mark.parametrize(
    ("panel", "file", "texts"),
    [
        full(
            '[data-chart="rate"]', "throughput", {"Throughput", "achieved", "offered", "Time (s)", "warm-up"}
        ),
        ('[data-chart="p99"]', "latency", {"p99 per second", "Latency (ms)", "p(99)<1200us", "↑ p(99)<10s"}),
        full('[data-chart="percentiles"]', "percentiles", {"p99.9", "p(99)<1200us", "objective p(99)<20ms"}),
        full('[data-chart="load"]', "connections", {"Count", "connections", "threads"}),
        full('[data-chart="cpu"]', "cpu", {"CPU (% of one core)", "engine CPU"}),
        (
            "#search",
            "capacity-search",
            {"Offered rate (req/s)", "met the objective", "missed it", "capacity 1,000 req/s"},
        ),
    ],
)
def test_a_chart_can_be_saved_and_its_image_names_the_run(
    see: Opener, panel: str, file: str, texts: set[str]
) -> None:
    page = see("/runs/1").page
    name, svg = saved(page, panel, "SVG")
    assert name == f"run-1-{file}.svg"
    shown = texts_of(svg)
    assert texts <= set(shown)
    assert shown[1] == "Run 1: A <search>, Reactor, 1 Nov 2026, 10:00 UTC"
    root = ElementTree.fromstring(svg)
    assert not [each for each in root.iter() if each.tag in (f"{{{SVG}}}script", f"{{{SVG}}}style")]
    assert {"style", "class", "href"}.isdisjoint({key for each in root.iter() for key in each.attrib})
    name, png = saved(page, panel, "PNG")
    assert name == f"run-1-{file}.png" and png.startswith(b"\x89PNG\r\n")
    size = tuple(int.from_bytes(png[at : at + 4]) for at in (16, 20))
    assert size == tuple(2 * int(root.attrib[key]) for key in ("width", "height"))


def test_lines_of_an_image_have_gaps_and_single_points(see: Opener) -> None:
    tab = see("/about")
    rows = [[t, "measure", None if t == 2 else 100.0 + t, None] for t in range(4)]
    rows[3][2] = None
    series = {"columns": ["t_s", "phase", "achieved_per_s", "offered_per_s"], "rows": rows, "started_ns": 0}
    tab.page.route("**/api/v1/runs/1/series", lambda route: route.fulfill(json=series))
    tab.goto("/runs/1")
    _, svg = saved(tab.page, '[data-chart="rate"]', "SVG")
    paths = [each.attrib["d"] for each in ElementTree.fromstring(svg).iter(f"{{{SVG}}}path")]
    assert len([path for path in paths if "L" in path]) == 1, "one line, and no offered rate"


def test_without_javascript_there_are_no_buttons_to_save(see: Opener) -> None:
    page = see("/runs/1", js=False).page
    expect(page.locator("[data-save]")).to_have_count(6)
    expect(page.locator("[data-save]:visible")).to_have_count(0)
    expect(page.locator(".search-plot")).to_be_visible()
