"""The still pictures: a claim and its answer, the workbench under load, results, a comparison, a model."""

from __future__ import annotations

from playwright.sync_api import Page

from pictures.browser import NARROW, Camera, Shot
from pictures.lab import Lab

CLAIM = "reactor-stalls"
LIVE_MS = 12_000  # until lanes and charts have something to show
REPLAY_MS = 9000  # until the replay of a claim has ended
RATE_PER_S = 400  # below saturation of both sides of the diff
THREADS = "[data-thread-rows] tr"
CHART = '[data-chart="load"] canvas'


def take_all(camera: Camera, lab: Lab) -> None:
    """Take every still picture. Raises InvalidResult if a result to be shown is not valid."""
    take_claim(camera, lab)
    take_results(camera, lab)
    take_comparison(camera, lab)
    take_live_view(camera, lab, lab.start("reactor-pool"))


def take_claim(camera: Camera, lab: Lab) -> None:
    """Take a claim that was answered on this machine, the list, and the summary."""
    lab.answered_claim(CLAIM)
    page = f"{lab.url}/experiments/{CLAIM}"
    camera.take(page, "claim", Shot(ms=REPLAY_MS))
    camera.take(page, "claim-narrow", Shot(width=NARROW, dark=True, ms=REPLAY_MS))
    camera.take(f"{lab.url}/experiments", "experiments")
    camera.take(f"{lab.url}/experiments/summary", "summary")


def take_results(camera: Camera, lab: Lab) -> None:
    """Take a result, and the diff of two. Each engine runs alone."""
    pair = [measured_pool(lab, workers, f"the diff, {workers} workers") for workers in (4, 1)]
    camera.take(f"{lab.url}/runs/{measured_scenario(lab)}", "run", Shot(ready=CHART))
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
    """Take the workbench, the diagram, the restaurant and a model's page while an engine is under load."""
    run = lab.load(engine, 400, rate=600, trace=True)
    lab.wait(run, lambda view: view["state"] == "running")
    url = f"{lab.url}/workbench?target={engine}"
    camera.take(url, "workbench", Shot(ms=LIVE_MS, ready=THREADS))
    camera.take(url, "workbench-dark", Shot(dark=True, ms=LIVE_MS, ready=THREADS))
    camera.take(url, "diagram", Shot(ms=4000, ready=THREADS, act=open_diagram, only="#diagram"))
    camera.take(url, "restaurant", Shot(ms=4000, ready=THREADS, act=show_restaurant, only="#diagram"))
    model = f"{lab.url}/models/reactor-pool"
    camera.take(model, "model", Shot(ms=LIVE_MS, ready=THREADS, act=highlight_handling))
    lab.stop_run(run)
    lab.stop_engine(engine)


def open_diagram(page: Page) -> None:
    """Open the diagram and scroll to it: out of sight it is not drawn."""
    page.locator("#diagram > summary").press("Enter")
    page.locator("#diagram").scroll_into_view_if_needed()


def show_restaurant(page: Page) -> None:
    open_diagram(page)
    page.locator("#kitchen").check(force=True)


def highlight_handling(page: Page) -> None:
    """Highlight the lines of a model's code that handle requests."""
    page.locator("[data-chip=handling]").click()
