"""Modules of the live view, tested alone in a real page: cases that need many connections."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from .conftest import Opener
from .pages import live


@pytest.fixture
def page(visit: Opener) -> Page:
    return visit("/about").page


# A grid. `connect({descriptor: slot or null}, threads)`; `found()`: number of probes, 3 px apart, that hit
# each connection.
GRID = """async () => {
    const { ConnectionGrid } = await import("/static/js/live/connection-grid.js");
    const [box, canvas, tip] = ["div", "canvas", "output"].map((tag) => document.createElement(tag));
    box.append(canvas, tip);
    document.body.prepend(box);
    Object.assign(canvas.style, { display: "block", width: "300px", height: "300px" });
    const states = ["closed", "idle", "reading", "queued", "handling", "writing"];
    const grid = new ConnectionGrid(canvas, tip, states);
    let at = 0;
    window.grid = grid;
    window.connect = (given, threads) => {
        const word = (slot) => (slot === null ? 0 : 1 + slot * 65536);
        const words = new Uint32Array(Object.entries(given).flatMap(([i, slot]) => [i, word(slot)]));
        const lanes = Array.from({ length: threads }, (_, slot) => ({ slot, role: "worker", index: slot }));
        const packed = btoa(String.fromCharCode(...new Uint8Array(words.buffer)));
        grid.update({ full: false, words: packed }, at += 1e5, lanes);
    };
    window.found = () => {
        const hits = {}, { left, top } = canvas.getBoundingClientRect();
        for (let y = 1; y < 300; y += 3) for (let x = 1; x < 300; x += 3) {
            canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: left + x, clientY: top + y }));
            const named = tip.hidden ? null : /\\d+/.exec(tip.textContent)[0];
            if (named) hits[named] = (hits[named] ?? 0) + 1;
        }
        return hits;
    };
}"""


def connect(page: Page, given: dict[int, int | None], threads: int = 2) -> None:
    page.evaluate("([given, threads]) => connect(given, threads)", [given, threads])


def found(page: Page) -> dict[int, int]:
    return {int(i): hits for i, hits in page.evaluate("found()").items()}


def test_a_group_that_was_empty_does_not_overlap_another(page: Page) -> None:
    page.evaluate(GRID)
    connect(page, {0: 0, **dict.fromkeys(range(1, 50), 1)})
    connect(page, {0: None})
    connect(page, dict.fromkeys(range(50, 150), 1))
    connect(page, {0: 0})
    assert found(page).keys() == set(range(150))


def test_dots_grow_after_many_connections_have_closed(page: Page) -> None:
    page.evaluate(GRID)
    connect(page, dict.fromkeys(range(3000), 1))
    connect(page, dict.fromkeys(range(2990), None))
    hits = found(page)
    assert hits.keys() == set(range(2990, 3000))
    assert min(hits.values()) >= 9  # a dot of the largest is 12 px wide


def test_many_owners_of_a_role_become_one_group(page: Page) -> None:
    page.evaluate(GRID)
    connect(page, {i: i for i in range(3)}, threads=3)
    assert page.evaluate("grid.groups.map(({ name }) => name)") == ["worker 1", "worker 2", "worker 3"]
    connect(page, {i: i for i in range(3, 11)}, threads=11)
    assert page.evaluate("grid.groups.map(({ name, n }) => [name, n])") == [["worker", 11]]


def test_a_connection_moves_to_its_thread_when_the_thread_appears(page: Page) -> None:
    """A new thread, such as one per connection of the blocking model, is in the next frame only."""
    page.evaluate(GRID)
    connect(page, {i: i for i in range(8)}, threads=5)
    connect(page, {}, threads=8)
    groups = dict(page.evaluate("grid.groups.map(({ name, n }) => [name, n])"))
    assert groups == {f"worker {i}": 1 for i in range(1, 9)}
    assert page.evaluate("grid.totals") == {
        "closed": 0,
        "idle": 8,
        "recent": 0,
        "reading": 0,
        "queued": 0,
        "handling": 0,
        "writing": 0,
    }


def module(page: Page, name: str, code: str) -> Any:
    """Return the result of JavaScript code that has a module as `m`."""
    return page.evaluate(f"import('/static/js/{name}.js').then((m) => {{ {code} }})")


def test_loop_lag_is_the_longest_iteration_of_its_half_second(page: Page) -> None:
    code = """const series = new m.RollingSeries(), lags = [null, 1000, 40000, 2000, null];
        const add = (t_s, us) => series.update({ t_s, engines: { a: { loop_lag_us: us } } }, ["a"], {});
        lags.forEach((us, i) => add(100 + i / 10, us));
        for (const t_s of [100.5, 101]) add(t_s, null);
        return series.points.map(({ engines }) => engines.a.lag);"""
    assert module(page, "live/rolling-series", code) == [40, None]


def test_seconds_without_a_frame_are_a_gap(page: Page) -> None:
    code = """for (const [t_s, requests_per_s] of [[1, 10], [2, 20], [5, 50], [6, 60]])
            m.addFrame({ t_s, engines: { a: { requests_per_s } } });
        return m.rateSeries.get("a").values.slice(-5);"""
    assert module(page, "charts/card-sparklines", code) == [10, 20, None, None, 50]


def test_samples_between_two_frames_are_at_their_times(page: Page) -> None:
    """While a run is measured a frame comes each half second, with all samples since the one before."""
    code = """const history = new m.ThreadHistory(["ended", "waiting", "handling"], 100);
        const out = new Float64Array(8);
        const threads = (state) => [[0, 1, 77, "reactor", 0, state]];
        const take = (t, state, samples) => history.update({ threads: threads(state), samples }, t * 1e6);
        take(9, 1);
        const lost = take(9.3, 1, [[9.1e6, { 0: 2 }], [9.2e6, { 0: 2 }]]);
        [...history.lanes.values()][0].shares(9e6, 9.3e6, out);
        return [lost, history.headUs, out[1], out[2], take(9.6, 1)];"""
    lost, head_us, waiting, handling, gap = module(page, "lanes/thread-history", code)
    assert (lost, head_us, waiting, handling) == (0, 9.3e6, pytest.approx(1e5), pytest.approx(2e5))
    assert gap == pytest.approx(2e5), "without them that is a gap"


def test_a_clock_that_goes_back_restarts_the_history(page: Page) -> None:
    history = """const history = new m.ThreadHistory(["ended", "waiting", "handling"], 100);
        const out = new Float64Array(8);
        const take = (t) => history.update({ threads: [[0, 1, 77, "reactor", 0, 2]] }, t * 1e6);
        for (const t of [9000, 9000.1, 3, 3.1]) take(t);
        [...history.lanes.values()][0].shares(3e6, 3.1e6, out);
        return [history.headUs, history.lanes.size, out[2]];"""
    assert module(page, "lanes/thread-history", history) == [3.1e6, 1, pytest.approx(1e5)]
    code = """const series = new m.RollingSeries();
        for (const t_s of [9000, 9001, 3, 4]) series.update({ t_s, engines: {} }, [], {});
        return series.points.map(({ t }) => t);"""
    assert module(page, "live/rolling-series", code) == [4]


# Time stands still except in `paint(most)`, which runs animation frames until none is requested and returns
# their number.
BY_HAND = """
    let nowMs = 0, asked = [];
    performance.now = () => nowMs;
    window.requestAnimationFrame = (step) => asked.push(step);
    window.cancelAnimationFrame = () => { asked = []; };
    window.paint = (most) => {
        let n = 0;
        for (; asked.length && n < most; n++) {
            nowMs += 16;
            const steps = asked;
            asked = [];
            for (const step of steps) step(nowMs);
        }
        return n;
    };"""


def test_dots_stop_when_no_more_rates_arrive(page: Page) -> None:
    code = (
        BY_HAND
        + """
        const make = (tag) => document.createElementNS("http://www.w3.org/2000/svg", tag);
        const [svg, path] = ["svg", "path"].map(make);
        path.setAttribute("d", "M0 0H20");
        svg.append(path);
        document.body.append(svg);
        window.dots = new m.FlowDots(svg);
        dots.setEdges([{ path, kind: "go", rate: 100 }]);"""
    )
    module(page, "diagram/flow-dots", code)
    for _ in range(2):  # dots that rest begin again
        page.evaluate("dots.setTotalRate(100)")
        assert page.evaluate("paint(30)") == 30
        assert page.locator("circle.dot").count() > 0
        assert 0 < page.evaluate("paint(1000)") < 1000
        assert page.locator("circle.dot").count() == 0


def test_charts_keep_the_history_of_an_engine_after_a_hot_swap(visit: Opener) -> None:
    page = visit("/live").page
    live(page)
    code = """const connections = [0, 0, 0, 0, 0], threads = [];
        const engine = (requests_per_s) => ({ requests_per_s, connections, threads });
        const update = (t_s, engines, shown) => charts.update({ t_s, engines }, shown, hello);
        const hello = { thread_states: [], connection_states: ["closed"] }, a = { id: "a" }, b = { id: "b" };
        const charts = new m.LiveCharts(document.querySelector("[data-lab]"));
        for (let t_s = 100; t_s < 102; t_s += 0.5) update(t_s, { a: engine(7) }, [a]);
        for (let t_s = 102; t_s < 104; t_s += 0.5) update(t_s, { b: engine(9) }, [a, b]);
        return new Promise(requestAnimationFrame);"""
    module(page, "charts/live-charts", code)
    rate = page.locator('[data-chart="rate"]')
    rate.locator("summary").click()
    expect(rate.locator("thead th")).to_have_text(["ago", "a", "b"])
    cells = rate.locator("tbody tr").evaluate_all(
        "all => all.map((row) => [...row.cells].map((c) => c.textContent))"
    )
    figures = [figures for _, *figures in cells]
    assert figures == [["–", "9"]] * 3 + [["–", "–"]] + [["7", "–"]] * 3  # newest first


AUTO_WINDOW = """async ([rate, width, known, now]) => {
    const { autoWindowUs } = await import("/static/js/lanes/auto-window.js");
    return autoWindowUs(rate, width, known, now);
}"""
S = 1e6


WINDOWS = {
    # rate per s, what is known, the window now: the window
    (0, 60 * S, 15 * S): 15 * S,  # idle threads
    (0, 4 * S, 15 * S): 4 * S,  # no longer than what is known
    (1000, 60 * S, 15 * S): 0.2 * S,
    (1000, 60 * S, 0.1 * S): 0.1 * S,  # one that is short enough stays
    (1000, 60 * S, 0.5 * S): 0.2 * S,  # one that is much too long does not
    (90_000, 60 * S, 0.1 * S): 15 * S,  # too many changes for any window: the utilisation
}


def test_lanes_take_the_longest_window_in_which_single_changes_can_be_seen(page: Page) -> None:
    for (rate, known, now), window in WINDOWS.items():
        assert page.evaluate(AUTO_WINDOW, [rate, 400, known, now]) == window, (rate, known, now)


# The alphas of the pixels of one column, 10 px high: a thread that was busy for a share of its time.
COLUMN = """async ([paint, state, share]) => {
    const { LanePainter } = await import("/static/js/lanes/lane-painter.js");
    const names = ["ended", "waiting", "reading", "handling", "writing", "blocked", "accepting", "queue"];
    const canvas = document.createElement("canvas");
    document.querySelector("main").append(canvas);
    document.querySelector("main").dataset.model = "reactor";
    const shares = new Float64Array(names.length), pixels = new Uint32Array(10);
    shares[names.indexOf(state)] = share;
    shares[names.indexOf("waiting")] = 1 - share;
    new LanePainter(canvas, names)[paint](pixels, 1, 0, 0, 0, 10, shares, 1);
    return [...pixels].map((pixel) => pixel >>> 24);
}"""


def test_a_lane_with_many_changes_per_pixel_is_darker_the_busier_its_thread(page: Page) -> None:
    half, full = (page.evaluate(COLUMN, ["heat", "handling", share]) for share in (0.5, 1.0))
    assert set(full) == {255}, "the whole height is opaque"
    assert len(set(half)) == 1 and 100 < half[0] < 200, "the whole height has the tone of the share"
    idle = page.evaluate(COLUMN, ["heat", "handling", 0.0])
    assert sum(alpha > 0 for alpha in idle) == 1, "an idle thread is a line"
    assert 0 in page.evaluate(COLUMN, ["heat", "blocked", 1.0]), "blocked handlers are hatched"


def test_a_short_request_is_as_high_as_a_long_one_where_single_ones_can_be_seen(page: Page) -> None:
    short, long = (page.evaluate(COLUMN, ["single", "handling", share]) for share in (0.01, 1.0))
    assert short == long and set(long) == {255}
    assert sum(alpha > 0 for alpha in page.evaluate(COLUMN, ["column", "handling", 0.2])) < 5
