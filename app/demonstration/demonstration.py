"""Starts a reactor and a reactor with a pool, loads both alike at the same time, and records both.

    starting ──> loading ──> finished
        └───────────┴──────> failed

One request in a hundred sleeps. Both load generators send the same requests at the same intervals, because
plan and seed are the same. The runs are traced and share the machine, so they are no measurement to rank.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from app.errors import LabError, NotNow
from app.events import Event, Events
from app.fleet.fleet import Fleet
from app.fleet.models import Models
from app.runs.queue import report_bug
from app.runs.request import RunRequest
from app.runs.runs import Runs
from app.schemas.demonstration import DemonstrationView, FastRequests
from app.schemas.run import RunView
from app.schemas.states import DemonstrationState, RunState
from app.store.database import SAVE_ERRORS, error_reason
from app.timestamps import rfc3339_now

MODELS = ("reactor", "reactor-pool")
LABEL = "One slow request"
FAST = "plaintext"
RATE_PER_S = 380
SLOW_MS = 50
ONE_IN = 100  # requests, one is slow
WARMUP_S, DURATION_S = 1, 5
PLAN: dict[str, Any] = {
    "executor": "constant-arrival-rate",
    "rate_per_s": RATE_PER_S,
    "spacing": "poisson",
    "vus": 64,
    "warmup_s": WARMUP_S,
    "duration_s": DURATION_S,
    "work": [
        {"kind": FAST, "weight": ONE_IN - 1},
        {"kind": "sleep", "weight": 1, "params": {"ms": SLOW_MS}},
    ],
    "trace": True,
}


class Demonstration:
    """The last demonstration, and the only one at a time. Event loop only.

    view: None before the first one.
    """

    def __init__(
        self, models: Models, fleet: Fleet, runs: Runs, events: Events, is_busy: Callable[[], bool]
    ) -> None:
        """`is_busy`: whether something is being measured, which another load would disturb."""
        self.view: DemonstrationView | None = None
        self._models = models
        self._fleet = fleet
        self._runs = runs
        self._events = events
        self._is_busy = is_busy
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Start a demonstration; there is no change if one is running. Raises NotNow during measurements."""
        if self.is_running:
            return
        if self._is_busy():
            raise NotNow("Something else is being measured. Wait until it has finished, or stop it.")
        self._task = asyncio.create_task(self._carry_out())
        self._set(DemonstrationView(DemonstrationState.STARTING), "starting both servers")

    async def close(self) -> None:
        """End a running demonstration; its engines stop with the fleet."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _set(self, view: DemonstrationView, text: str) -> None:
        self.view = view
        self._events.publish(Event(f"demonstration.{view.state}", None, None, None, f"Demonstration: {text}"))

    async def _carry_out(self) -> None:
        """Set the final state after the servers have ended, so that it can be started again at once."""
        engines: list[str] = []
        try:
            for model in MODELS:
                engines.append((await self._fleet.start(model, {})).id)
            ended = await self._measure(engines)
        except LabError as error:
            ended = self._failed(error.detail)
        except SAVE_ERRORS as error:
            ended = self._failed(f"The runs could not be saved: {error_reason(error)}.")
        except Exception as error:
            ended = self._failed(report_bug(error, "the demonstration"))
        finally:
            await asyncio.gather(*(self._fleet.stop(id) for id in engines), return_exceptions=True)
        self._task = None
        self._set(ended, ended.failure or "finished")

    async def _measure(self, engines: list[str]) -> DemonstrationView:
        request = RunRequest(plan=PLAN, label=LABEL)
        queued = await self._runs.submit_concurrent(engines, request)
        ids = tuple(run.id for run in queued)
        self._set(DemonstrationView(DemonstrationState.LOADING, ids), "loading both servers")
        runs = [await self._runs.finished(id) for id in ids]
        failed = next((run for run in runs if run.state != RunState.FINISHED), None)
        if failed:
            return self._failed(failed.failure or f"Run {failed.id} was stopped before its end.")
        assert self.view
        return replace(
            self.view,
            state=DemonstrationState.FINISHED,
            measured=tuple(_fast_requests(run, self._models.get(run.model).title) for run in runs),
            finished_at=rfc3339_now(),
        )

    def _failed(self, reason: str) -> DemonstrationView:
        assert self.view
        return replace(self.view, state=DemonstrationState.FAILED, failure=reason)


def _fast_requests(run: RunView, title: str) -> FastRequests:
    kinds = run.summary.by_kind if run.summary else ()
    p99s = (kind.response.p99_us for kind in kinds if kind.label == FAST)
    return FastRequests(run.id, run.model, title, next(p99s, None))
