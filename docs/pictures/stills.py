"""The still pictures: the lab under load, results, a comparison, and lists."""

from __future__ import annotations

from playwright.sync_api import Page

from pictures.browser import NARROW, Camera, Shot
from pictures.lab import Lab

LIVE_MS = 12_000  # until lanes and charts have something to show
RATE_PER_S = 400  # below saturation of both sides of the diff
THREADS = "[data-thread-rows] tr"
CHART = '[data-chart="load"] canvas'


def take_all(camera: Camera, lab: Lab) -> None:
    """Take every still picture. Raises InvalidResult if a result to be shown is not valid."""
    camera.take(lab.url, "lab-empty")
    take_results(camera, lab)
    take_comparison(camera, lab)
    pool = lab.start("reactor-pool")
    others = [lab.start("blocking"), lab.start("main-sub")]
    take_live_view(camera, lab, pool)
    take_many_connections(camera, lab)
    for engine in (pool, *others):
        lab.stop_engine(engine)
    camera.take(f"{lab.url}/models", "models")
    camera.take(f"{lab.url}/runs", "runs")


def take_results(camera: Camera, lab: Lab) -> None:
    """Take a result, and the diff of two. Each engine runs alone."""
    pair = [measured_pool(lab, workers, f"the diff, {workers} workers") for workers in (4, 1)]
    result = f"{lab.url}/runs/{measured_scenario(lab)}"
    camera.take(result, "result-light", Shot(ready=CHART))
    camera.take(result, "result-dark", Shot(dark=True, ready=CHART))
    camera.take(result, "result-narrow", Shot(width=NARROW, ready=CHART))
    camera.take(f"{lab.url}/runs/diff?a={pair[0]}&b={pair[1]}", "diff")


def measured_pool(lab: Lab, workers: int, purpose: str) -> int:
    """Load a new reactor pool for 10 s and return the run. Raises InvalidResult."""
    engine = lab.start("reactor-pool", workers=workers)
    run = lab.valid_result(lab.load(engine, 10, RATE_PER_S), purpose)
    lab.stop_engine(engine)
    return run


def measured_scenario(lab: Lab) -> int:
    """Run slow handlers on a reactor and return the run. Raises InvalidResult.

    The main figure of this scenario is the p99, which a saturated server does not invalidate.
    """
    run = lab.call("POST", "/runs", {"model": "reactor", "scenario": "slow-handler"})
    return lab.valid_result(int(run["id"]), "the result page")


def take_comparison(camera: Camera, lab: Lab) -> None:
    """Take the result of a comparison with a ranking."""
    plan = {"executor": "constant-arrival-rate", "rate_per_s": 400, "vus": 32, "duration_s": 3, "warmup_s": 1}
    models = ["blocking", "reactor", "reactor-pool"]
    body = {"models": models, "view": "equal-rate", "rounds": 7, "plan": plan}
    comparison = lab.ranked_comparison(body, "the page of a comparison")
    camera.take(f"{lab.url}/comparisons/{comparison}", "comparison")


def take_live_view(camera: Camera, lab: Lab, engine: str) -> None:
    """Take lanes, diagram, restaurant, a model's page and the log while an engine is under load."""
    run = lab.load(engine, 400, rate=600, trace=True)
    lab.wait(run, lambda view: view["state"] == "running")
    url = f"{lab.url}/workbench?target={engine}"
    camera.take(url, "lab-light", Shot(ms=LIVE_MS, ready=THREADS))
    camera.take(url, "lab-dark", Shot(dark=True, ms=LIVE_MS, ready=THREADS, act=open_diagram))
    camera.take(url, "lab-narrow", Shot(width=NARROW, ms=LIVE_MS // 2, ready=THREADS))
    camera.take(url, "diagram", Shot(ms=4000, ready=THREADS, act=open_diagram, only="#diagram"))
    camera.take(url, "restaurant", Shot(ms=4000, ready=THREADS, act=show_restaurant, only="#diagram"))
    camera.take(url, "log", Shot(ready=THREADS, act=open_log, only="#log-panel"))
    model = f"{lab.url}/models/reactor-pool"
    camera.take(model, "model", Shot(dark=True, ms=LIVE_MS, ready=THREADS, act=highlight_handling))
    camera.take(model, "model-narrow", Shot(width=NARROW, ms=4000, ready=THREADS))
    camera.take(f"{lab.url}/runs/{run}", "run-going", Shot(ms=LIVE_MS))
    lab.stop_run(run)


def take_many_connections(camera: Camera, lab: Lab) -> None:
    """Take the grid of 3,000 idle connections."""
    engine = lab.start("main-sub", idle_s=600)
    run = lab.load(engine, 60, rate=300, idle_connections=3000)
    lab.wait(run, lambda view: view["state"] == "running")
    url = f"{lab.url}/workbench?target={engine}"
    camera.take(url, "grid", Shot(ms=4000, ready=THREADS, only="[data-conns-panel]"))
    lab.stop_run(run)
    lab.stop_engine(engine)


def open_diagram(page: Page) -> None:
    page.locator("#diagram > summary").press("Enter")


def show_restaurant(page: Page) -> None:
    open_diagram(page)
    page.locator("#kitchen").check(force=True)


def highlight_handling(page: Page) -> None:
    """Highlight the lines of a model's code that handle requests."""
    page.locator("[data-chip=handling]").click()


def open_log(page: Page) -> None:
    page.locator("#log-panel > summary").press("Enter")
