"""How long a call blocks the event loop of the control plane, with the largest history.

    python -m tests.bench.loop_hold [--trials 5] [--over 50]

The history has 500 runs and a comparison of 12 entries with 10 trials each. The first run lasted 600 s with
eight kinds of work and has 20 imported results. Each call is made `trials` times, except deletions. `held` is
the CPU time of the longest step of the event loop during the call, `wall` its wall-clock time, which includes
waits for the disk and the GIL. Both are the minimum of the trials, because other load can only lengthen them.
`total` is the time until the response. Exit code 1 if a call holds the loop for more than `--over` ms of CPU
time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from app.imports import parsers
from app.load.protocol.plan import KINDS, Plan, Work
from app.store.comparisons import ComparisonStore
from app.store.runs import RunStore
from tests.app.imports.test_parsers import WRK
from tests.app.in_process_lab import InProcessLab
from tests.browser.history import keep_comparison, keep_past, made_run

RUNS, IMPORTED = 500, 20
ENTRIES, TRIALS = 12, 10
PARAMETERS: dict[str, dict[str, Any]] = {
    "echo": {"n": 10},
    "cpu": {"us": 10},
    "hash": {"us": 10},
    "sleep": {"ms": 2},
    "bytes": {"n": 1000},
    "http": {"path": "/"},
}
WORK = tuple(Work(kind, 1, PARAMETERS.get(kind, {})) for kind in (*KINDS, "cpu", "hash"))
LONG = Plan(
    executor="constant-arrival-rate", vus=64, rate_per_s=8000.0, duration_s=598.0, warmup_s=2.0, work=WORK
)
SHORT = replace(LONG, duration_s=4.0, warmup_s=1.0)


def keep_large_history(data_dir: Path) -> None:
    """Write the history to a data directory that no lab has used."""
    url = f"sqlite:///{data_dir / 'threadlab.sqlite3'}"
    thresholds = tuple(f"p({n})<20ms" for n in range(80, 100))
    with closing(RunStore(url)) as store:
        long = keep_past(store, made_run(LONG, 400, thresholds=thresholds, label="long"))
        keep_past(store, made_run(LONG, 420, thresholds=thresholds, label="as long"))
        for _ in range(IMPORTED):
            store.imported.add(long.view.id, parsers.read("wrk", WRK), long.view.created_at)
        small = made_run(SHORT, 400, thresholds=thresholds, comparison=1)
        kept = [keep_past(store, small) for _ in range(RUNS - 2)]
    with closing(ComparisonStore(url)) as comparisons:
        keep_comparison(comparisons, kept[: ENTRIES * TRIALS], TRIALS)


@dataclass
class Steps:
    """The longest step of the event loops of this process since both fields were set to 0, in ms."""

    cpu_ms: float = 0.0
    wall_ms: float = 0.0
    loop: asyncio.AbstractEventLoop | None = None  # the loop of the latest step
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def watched(self) -> Iterator[None]:
        run: Callable[[asyncio.Handle], None] = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            cpu, wall = time.thread_time(), time.perf_counter()
            run(handle)
            cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
            with self._lock:
                self.loop = handle._loop  # type: ignore[attr-defined]
                self.cpu_ms, self.wall_ms = max(self.cpu_ms, cpu * 1000), max(self.wall_ms, wall * 1000)

        with patch.object(asyncio.Handle, "_run", timed):
            yield

    def end(self) -> None:
        """Block until the step that sent the response has ended."""
        assert self.loop
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self.loop).result()


GETS = (
    "/",
    "/workbench?again=1",
    "/live",
    "/runs",
    "/runs?text=reactor+sprint&sort=p99",
    "/runs/1",
    "/runs/1/delete",
    "/runs/diff?a=1&b=2",
    "/runs/delete?" + "&".join(f"run={id}" for id in range(1, 101)),
    "/runs/current",
    "/comparisons",
    "/comparisons/1",
    "/comparisons/1/delete",
    "/models",
    "/models/reactor",
    "/models/proactor",
    "/models/reactor/now",
    "/cards/reactor",
    "/about",
    "/login",
    "/api/docs",
    "/metrics",
    "/readyz",
    "/api/v1/openapi.json",
    "/api/v1/models",
    "/api/v1/models/reactor",
    "/api/v1/scenarios",
    "/api/v1/system",
    "/api/v1/events",
    "/api/v1/engines",
    "/api/v1/runs",
    "/api/v1/runs?limit=500",
    "/api/v1/runs/1",
    "/api/v1/runs/1/series",
    "/api/v1/runs/1/percentiles",
    "/api/v1/runs/1/histogram",
    "/api/v1/runs/1/csv",
    "/api/v1/runs/1/junit",
    "/api/v1/runs/1/report",
    "/api/v1/runs/1/perfetto",
    "/api/v1/runs/1/bundle",
    "/api/v1/runs/1/foreign",
    "/api/v1/runs/1/diff/2",
    "/api/v1/runs/export",
    "/api/v1/runs/export?format=json",
    "/api/v1/comparisons",
    "/api/v1/comparisons?limit=500",
    "/api/v1/comparisons/1",
    "/api/v1/comparisons/1/percentiles",
    "/api/v1/comparisons/1/csv",
    "/api/v1/comparisons/1/junit",
    "/api/v1/comparisons/1/bundle",
    "/api/v1/comparisons/1/report",
    "/api/v1/runs?" + "&".join(f"q{i}" for i in range(9000)),
)
FORM = {"engine": "model:reactor", "scenario": ""}
FULL = 60_000
OHA = {
    "summary": {"total": 1, "slowest": 1},
    "statusCodeDistribution": {str(10**9 + i): 1 for i in range(3300)},
    "errorDistribution": {},
    "latencyPercentiles": {},
}
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "POST /runs (stages, 2,000 lines)": ("/runs", FORM | {"stages": "5s:5" + "\n" * 2000 + "x"}),
    "POST /runs (stages, 30,000 lines)": ("/runs", FORM | {"stages": "5s:5" + "\n" * 30_000 + "x"}),
    "POST /runs (work of 60 KB)": ("/runs", FORM | {"work": "5" + " " * FULL + "!"}),
    "POST /runs (5,000 thresholds)": ("/runs", FORM | {"thresholds": "rate>1\n" * 5000}),
    "POST /comparisons (thresholds)": (
        "/comparisons",
        {"tick_reactor": "on", "thresholds": "rate>1\n" * 5000},
    ),
    "POST /login": ("/login", {"token": "x" * FULL}),
    "POST /runs/3/label": ("/runs/3/label", {"label": "x"}),
}
BODIES: dict[str, tuple[str, bytes]] = {
    "POST /api/v1/runs (unknown fields)": (
        "/api/v1/runs",
        json.dumps({f"f{i}": 0 for i in range(5500)}).encode(),
    ),
    "POST /api/v1/runs (stages)": (
        "/api/v1/runs",
        json.dumps({"model": "reactor", "plan": {"stages": [{}] * 15_000}}).encode(),
    ),
    "POST /api/v1/runs (knobs)": (
        "/api/v1/runs",
        json.dumps({"model": "reactor", "knobs": {f"k{i}": 0 for i in range(5500)}}).encode(),
    ),
    "POST /api/v1/comparisons (models)": (
        "/api/v1/comparisons",
        json.dumps({"models": [{}] * 15_000}).encode(),
    ),
    "POST /api/v1/engines (a long knob)": (
        "/api/v1/engines",
        json.dumps({"model": "reactor", "knobs": {"idle_s": "9" * FULL}}).encode(),
    ),
    "POST /api/v1/engines (nested)": ("/api/v1/engines", b'{"model":' + b"[" * 30_000 + b"]" * 30_000 + b"}"),
    "POST /api/v1/runs/3/foreign (oha)": (
        "/api/v1/runs/3/foreign",
        json.dumps({"tool": "oha", "text": json.dumps(OHA)}).encode(),
    ),
    "POST /api/v1/runs/3/foreign (empty lines)": (
        "/api/v1/runs/3/foreign",
        json.dumps({"tool": "wrk", "text": "\n" * (FULL // 2)}).encode(),
    ),
}


def calls(http: httpx.Client) -> Iterator[tuple[str, Callable[[], httpx.Response]]]:
    """Yield each call with its name."""
    for path in GETS:
        name = path if len(path) < 60 else f"{path[:57]}…"
        yield f"GET {name}", lambda path=path: http.get(path)  # type: ignore[misc]
    for name, (path, form) in FORMS.items():
        yield name, lambda path=path, form=form: http.post(path, data=form)  # type: ignore[misc]
    headers = {"Content-Type": "application/json"}
    for name, (path, body) in BODIES.items():
        yield name, lambda path=path, body=body: http.post(path, content=body, headers=headers)  # type: ignore[misc]


def deletions(http: httpx.Client) -> Iterator[tuple[str, Callable[[], httpx.Response]]]:
    """Yield the calls that can be made only once."""
    hundred = {"run": [str(id) for id in range(200, 300)]}
    yield "POST /runs/delete (100 runs)", lambda: http.post("/runs/delete", data=hundred)
    yield "POST /runs/1/delete (a long run)", lambda: http.post("/runs/1/delete")
    yield "DELETE /api/v1/runs/2 (a long run)", lambda: http.delete("/api/v1/runs/2")
    yield "DELETE /api/v1/comparisons/1?runs=true", lambda: http.delete("/api/v1/comparisons/1?runs=true")


def held_by(steps: Steps, name: str, call: Callable[[], httpx.Response], trials: int) -> float:
    """Print how long the loop was held. Return it in ms of CPU time."""
    cpu, wall, total = [], [], []
    for _ in range(trials):
        steps.cpu_ms = steps.wall_ms = 0.0
        began = time.perf_counter()
        status = call().status_code
        total.append((time.perf_counter() - began) * 1000)
        steps.end()
        cpu.append(steps.cpu_ms)
        wall.append(steps.wall_ms)
        if total[-1] > 5000:
            break
    print(
        f"{name:62} {status}  held {min(cpu):8.1f} ms  wall {min(wall):8.1f} ms  total {min(total):8.1f} ms",
        flush=True,
    )
    return min(cpu)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--over", type=float, default=50.0)
    args = parser.parse_args()
    steps, bad = Steps(), []
    with tempfile.TemporaryDirectory() as folder, steps.watched():
        keep_large_history(Path(folder))
        with closing(InProcessLab(Path(folder))) as lab:
            bad += [
                name for name, call in calls(lab.http) if held_by(steps, name, call, args.trials) > args.over
            ]
            bad += [name for name, call in deletions(lab.http) if held_by(steps, name, call, 1) > args.over]
    if bad:
        raise SystemExit(f"over {args.over:g} ms: {', '.join(bad)}")


if __name__ == "__main__":
    main()
