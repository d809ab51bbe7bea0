"""The charts of a run that has ended: the lines of its latency limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Page

from app.load.protocol.plan import Plan
from app.schemas.capacity import Capacity, SearchStep
from app.store.runs import RunStore
from tests.app.driver import LabProcess

from .conftest import Opener, PagePool
from .history import keep_past, made_run
from .pages import drawn

STEPS = (
    SearchStep(1000.0, 1, "0.4 ms", 1.0, True, "The objective was met.", 400.0),
    SearchStep(2000.0, 1, "21 ms", 1.0, False, "p(99) was 21 ms.", 21_000.0),
)
CAPACITY = Capacity("p(99)<20ms", 1000.0, 2000.0, None, STEPS)
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


def test_the_latency_charts_have_the_limits_of_the_run(see: Opener) -> None:
    page = see("/runs/1").page
    for name in ("percentiles", "p99"):
        drawn(page.locator(f'[data-chart="{name}"]'))
    limits = page.evaluate("JSON.parse(document.querySelector('#run-main').dataset.limits)")
    assert [each["text"] for each in limits] == ["p(99)<1200us", "p(99)<10s", "objective p(99)<20ms"]
