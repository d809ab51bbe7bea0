# ruff: noqa: T201  (it reports by printing)
"""Check a lab from outside, for compose-check: start every model, send a request, and load it briefly.

    deploy/probe.py models [--denied proactor]  all six, or all but one
    deploy/probe.py runs                        print the number of stored runs
    deploy/probe.py busy                        start an engine and a run, and leave both in progress
    deploy/probe.py hosts                       a run whose load comes from two hosts of a cluster
    deploy/probe.py prometheus                  check scraping and the queries of the dashboard

Uses only the standard library, and the loopback ports that docker-compose.yml publishes. The environment
variable THREADLAB_TOKEN is the token of the lab.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

LAB, PROMETHEUS = "http://127.0.0.1:8000", "http://127.0.0.1:9090"
ENGINE_PORTS = range(8101, 8111)
ENDED = ("finished", "stopped", "failed")
DASHBOARD = Path(__file__).resolve().parent / "grafana" / "dashboards" / "threadlab.json"


def main() -> None:
    parser = argparse.ArgumentParser(description="Check a lab from outside.")
    parser.add_argument("what", choices=("models", "runs", "busy", "hosts", "prometheus"))
    parser.add_argument("--denied", default="", help="the model that must be unavailable, with a reason")
    asked = parser.parse_args()
    checks: dict[str, Callable[[], None]] = {
        "runs": runs,
        "busy": busy,
        "hosts": hosts,
        "prometheus": prometheus,
    }
    checks["models"] = lambda: models(asked.denied)
    checks[asked.what]()


def models(denied: str) -> None:
    """Check that each model is unavailable with a reason, or starts on a published port and serves."""
    for path, wanted in (("/readyz", 200), ("/api/v1/models", 401), ("/metrics", 401)):
        must(status(path) == wanted, f"{path} without a token answers {wanted}")
    for path in ("/", "/static/css/base.css"):
        must(
            status(path, token()) == 200,
            f"{path} with the token answers 200: templates and static are in the wheel",
        )
    known = call("GET", "/api/v1/models")
    must(len(known) == 6, f"six models: {', '.join(model['name'] for model in known)}")
    for model in known:
        if model["name"] == denied:
            reason = model["unavailable_reason"]
            must(
                not model["available"] and bool(reason), f"{denied} is unavailable, with the reason: {reason}"
            )
        else:
            one_model(model["name"])


def one_model(name: str) -> None:
    engine = start_engine(name)
    view = wait_for_run(start_run(engine["id"], 2.0))
    must(view["state"] == "finished", f"{name}: run {view['id']} {view['state']}{brief(view)}")
    call("DELETE", f"/api/v1/engines/{engine['id']}")


def start_engine(name: str) -> dict[str, Any]:
    """Start an engine, and check that it serves on a published port."""
    engine: dict[str, Any] = call("POST", "/api/v1/engines", {"model": name})
    port = engine["port"]
    must(engine["state"] == "ready" and port in ENGINE_PORTS, f"{name}: {engine['state']} on port {port}")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        body = answer.read()
    must(answer.status == 200 and len(body) == 13, f"{name}: responds on the published port: {body!r}")
    return engine


def hosts() -> None:
    """Check that two hosts join, and that both generate the load of a run."""
    ends = time.monotonic() + 60
    while len(ready := ready_hosts()) < 2 and time.monotonic() < ends:
        time.sleep(0.5)
    must(len(ready) == 2, f"hosts that are ready: {', '.join(ready)}")
    engine = start_engine("reactor")
    view = wait_for_run(start_run(engine["id"], 2.0, placement="hosts", shards=2))
    must(view["state"] == "finished", f"run {view['id']} {view['state']}{brief(view)}")
    loaded = [host["name"] for host in view["placement"]["hosts"]]
    must(sorted(loaded) == sorted(ready), f"its load came from {' and '.join(loaded)}, to {engine['url']}")
    must(not any(view["summary"]["errors"].values()), "no request failed")
    call("DELETE", f"/api/v1/engines/{engine['id']}")


def ready_hosts() -> list[str]:
    """Return the names of the hosts of the cluster that can be used now."""
    return [host["name"] for host in call("GET", "/api/v1/hosts")[1:] if host["state"] == "ready"]


def runs() -> None:
    """Print the number of stored runs, which compose-check compares."""
    print(len(call("GET", "/api/v1/runs?limit=500")))


def busy() -> None:
    """Start an engine and a run, and return while the run is in progress."""
    engine = call("POST", "/api/v1/engines", {"model": "reactor-pool"})
    run = start_run(engine["id"], 30.0)
    ends = time.monotonic() + 60  # another run may be in progress before it
    while (view := call("GET", f"/api/v1/runs/{run}"))["state"] != "running" and time.monotonic() < ends:
        time.sleep(0.1)
    must(view["state"] == "running", f"run {run} is in progress on {engine['id']}")


def prometheus() -> None:
    """Check that Prometheus scrapes the lab with its token and accepts every query of the dashboard."""
    ends = time.monotonic() + 30
    while not (up := query("up")) and time.monotonic() < ends:
        time.sleep(0.5)
    must(
        bool(up) and up[0]["value"][1] == "1",
        f"Prometheus scrapes: up {up[0]['metric'] if up else 'unknown'} = 1",
    )
    time.sleep(8)  # a few scrapes, for rate()
    answered = {expr: len(query(expr)) for expr in expressions()}
    empty = [expr for expr, series in answered.items() if not series]
    must(
        True, f"{len(answered)} queries of the dashboard accepted, {len(answered) - len(empty)} with data now"
    )
    for expr in empty:
        print(f"     no data: {expr}")


def expressions() -> list[str]:
    """Return the queries of the dashboard, with Grafana's variables replaced by values."""
    found = re.findall(r'"expr": ("(?:[^"\\]|\\.)*")', DASHBOARD.read_text())
    filled = (json.loads(text).replace("$__rate_interval", "8s").replace("$model", ".+") for text in found)
    return sorted(set(filled))


def query(expr: str) -> list[Any]:
    body = urllib.parse.urlencode({"query": expr}).encode()
    try:
        with urllib.request.urlopen(f"{PROMETHEUS}/api/v1/query", body, timeout=5) as answer:
            return list(json.load(answer)["data"]["result"])
    except urllib.error.HTTPError as error:
        must(False, f"Prometheus rejects {expr}: {error.read().decode()}")
    except OSError:
        pass  # it is still starting
    return []


def start_run(engine: str, duration_s: float, **more: Any) -> int:
    plan = {"vus": 8, "duration_s": duration_s, "warmup_s": 0.5, **more}
    return int(call("POST", "/api/v1/runs", {"engine": engine, "plan": plan})["id"])


def wait_for_run(run: int) -> dict[str, Any]:
    ends = time.monotonic() + 30
    while (view := call("GET", f"/api/v1/runs/{run}"))["state"] not in ENDED and time.monotonic() < ends:
        time.sleep(0.2)
    return dict(view)


def brief(view: dict[str, Any]) -> str:
    summary, verdict = view["summary"], view["verdict"]
    if not (summary and verdict):
        return f" ({view['failure']})"
    errors = sum(summary["errors"].values())
    return f", {summary['achieved_per_s']:,.0f} req/s, {errors} errors, verdict {verdict['name']}"


def call(method: str, path: str, body: object = None) -> Any:
    headers = {**token(), "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(LAB + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        must(False, f"{method} {path} answers {error.code}: {error.read().decode()}")


def token() -> dict[str, str]:
    return {"Authorization": f"Bearer {os.environ['THREADLAB_TOKEN']}"}


def status(path: str, headers: dict[str, str] | None = None) -> int:
    try:
        with urllib.request.urlopen(
            urllib.request.Request(LAB + path, headers=headers or {}), timeout=5
        ) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def must(held: bool, what: str) -> None:
    print(f"{'ok  ' if held else 'FAIL'} {what}", flush=True)
    if not held:
        sys.exit(1)


if __name__ == "__main__":
    main()
