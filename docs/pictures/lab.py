"""A lab in its own process on a free port, controlled by its REST API."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from pictures.validity import require_answer, require_ranked_comparison, require_valid_run

POLL_S = 0.2
REQUEST_TIMEOUT_S = 60
MIX = [
    {"kind": "plaintext", "weight": 92},
    {"kind": "sleep", "weight": 4, "params": {"ms": 40}},
    {"kind": "hash", "weight": 4, "params": {"us": 800}},
]


class Lab:
    """The client of a lab."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the decoded response of an API call; `path` without /api/v1. Raises HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S) as response:
            text = response.read()
        return json.loads(text) if text else None

    def start(self, model: str, **knobs: Any) -> str:
        """Start an engine and return its id."""
        return str(self.call("POST", "/engines", {"model": model, "knobs": knobs})["id"])

    def stop_engine(self, engine: str) -> None:
        """Stop an engine, so that it does not use CPU while another one is measured."""
        self.call("DELETE", f"/engines/{engine}?force=true")

    def load(self, engine: str, seconds: float, rate: float, trace: bool = False, **fields: Any) -> int:
        """Queue a run with a fixed rate (req/s) and the mix of the pictures; return its id."""
        plan = {
            "executor": "constant-arrival-rate",
            "rate_per_s": rate,
            "spacing": "poisson",
            "vus": 64,
            "duration_s": seconds,
            "warmup_s": 2,
            "work": MIX,
            "trace": trace,
            **fields,
        }
        body = {"engine": engine, "plan": plan, "thresholds": ["p(99)<200ms"]}
        return int(self.call("POST", "/runs", body)["id"])

    def wait(self, run: int, done: Callable[[Any], bool]) -> Any:
        """Return the run as soon as it meets the condition."""
        while not done(view := self.call("GET", f"/runs/{run}")):
            time.sleep(POLL_S)
        return view

    def valid_result(self, run: int, purpose: str) -> int:
        """Wait for the end of a run and return its id. Raises InvalidResult if it cannot be ranked."""
        require_valid_run(self.wait(run, lambda view: view["finished_at"]), purpose)
        return run

    def stop_run(self, run: int) -> None:
        """End a run early and wait for its end."""
        self.call("POST", f"/runs/{run}/stop")
        self.wait(run, lambda view: view["finished_at"])

    def answered_claim(self, claim: str) -> None:
        """Test a claim with a replay, and wait for its answer. Raises InvalidResult if there is none."""
        id = int(self.call("POST", "/experiments", {"claims": [claim], "trace": True})["id"])
        while not (view := self.call("GET", f"/experiments/{id}"))["finished_at"]:
            time.sleep(POLL_S)
        require_answer(view)

    def ranked_comparison(self, body: dict[str, Any], purpose: str) -> int:
        """Run a comparison and return its id. Raises InvalidResult if it has no ranking."""
        id = int(self.call("POST", "/comparisons", body)["id"])
        while not (view := self.call("GET", f"/comparisons/{id}"))["finished_at"]:
            time.sleep(POLL_S)
        require_ranked_comparison(view, purpose)
        return id


@contextlib.contextmanager
def temporary_lab() -> Iterator[Lab]:
    """Start a lab with an empty history; stop it and delete its data at the end."""
    with tempfile.TemporaryDirectory() as data:
        argv = [sys.executable, "-m", "app.cli.main", "serve", "--port", "0", "--data-dir", data]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                yield Lab(process.stdout.readline().split()[-1].rstrip("/"))
            finally:
                process.terminate()
