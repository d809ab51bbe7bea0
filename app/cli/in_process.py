"""Runs from the shell: the same lab in process, its progress on stderr, its results kept like any other's."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from app import format, streams
from app.cli.stop_signals import STOP_SIGNALS
from app.lab import Lab
from app.results.figures import Family, figure
from app.results.fitness import invalid_figures, lateness_effect_us
from app.runs.request import RunRequest
from app.schemas.run import RunView
from app.settings import Settings

BAR = 30
LOOK_S = 0.25
_VIEW = TypeAdapter(RunView)


def to_json(view: RunView) -> dict[str, Any]:
    """A run as the API gives it."""
    found: dict[str, Any] = _VIEW.dump_python(view, mode="json")
    return found


def json_text(content: Any) -> str:
    return json.dumps(content, indent=2) + "\n"


def write(file: str, text: str) -> None:
    """To a file, or - for stdout."""
    if file == "-":
        streams.exact(sys.stdout, text)
    else:
        Path(file).write_text(text, encoding="utf-8", newline="")


async def one_run(
    spec: Mapping[str, Any], then: Callable[[Lab, int], None] = lambda lab, id: None
) -> tuple[RunView, int | None]:
    """Submit a run (the fields of a `RunRequest`) to a lab of our own and follow it.

    `then` is called with its number while the lab is still there to be asked. Answers its result, and the signal that
    ended it early if one did.
    """
    async with Lab.open(Settings()) as lab:
        view = await lab.runs.submit(RunRequest(**spec))
        caught = stop_on_signals(lab)
        view = await follow(lab, view)
        then(lab, view.id)
        return view, next(iter(caught), None)


def stop_on_signals(lab: Lab) -> list[int]:
    """INT, TERM and HUP end the run early: what was measured is reported, and marked. Answers those caught so far."""
    loop = asyncio.get_running_loop()
    caught: list[int] = []

    def stop(number: int) -> None:
        caught.append(number)
        lab.comparisons.stop_all()
        lab.runs.stop_all()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop, number)
    return caught


async def follow(lab: Lab, view: RunView) -> RunView:
    """Show a bar on a terminal until the run has ended."""
    ended = asyncio.create_task(lab.runs.finished(view.id))
    while not ended.done():
        await asyncio.wait([ended], timeout=LOOK_S)
        if streams.is_terminal(sys.stderr) and (now := lab.runs.progress()):
            done = round(BAR * now.progress)
            rate = f"{now.achieved_per_s:,.0f}/s" if now.achieved_per_s is not None else ""
            bar = "█" * done + "░" * (BAR - done)
            streams.control(sys.stderr, "\r")
            sys.stderr.write(f"{view.model:14}{bar} {now.elapsed_s:4.0f} of {now.total_s:.0f} s {rate:>12} ")
            sys.stderr.flush()
    if streams.is_terminal(sys.stderr):
        streams.control(sys.stderr, streams.ERASE_LINE)
    return ended.result()


def report(view: RunView) -> str:
    """A run in words."""
    lines = [f"Run {view.id}: {view.model}, {view.plan_text}"]
    if view.verdict:
        lines += [f"Verdict: {view.verdict.title}. {' '.join(view.verdict.because)}"]
        lines += [f"  {_main_figure(view)}"] if view.verdict.figure else []
        lines += [f"  Not valid: {names}. {reason}" for reason, names in invalid_figures(view.verdict).items()]
    if view.failure:
        lines.append(view.failure if view.state == "stopped" else f"Failed: {view.failure}")
    if view.summary:
        summary, response = view.summary, view.summary.latency.response
        lines.append(f"  {format.rate(summary.achieved_per_s)} requests/s; {summary.counts}")
        lines.append(
            f"  response p50 {_ms(response.p50_us)}  p99 {_ms(response.p99_us)}  max {_ms(response.max_us)}"
        )
    if view.capacity:
        lines += [
            f"  {'✓' if step.kept else '✗'} {step.rate_per_s:>10,.6g}/s  {step.seen:>10}  {step.because}"
            for step in view.capacity.steps
        ]
    lines += [f"  {note}" for note in view.notes]
    if view.ledger and view.ledger.cpu_us is not None:
        lines.append(f"  {_cost(view.ledger.cpu_us)}")
    lines += [
        f"  {leg.model:14}{leg.requests:>10,} answered  p99 {_ms(leg.response.p99_us):>10}  {_cost(leg.cpu_us)}"
        for leg in view.legs
    ]
    lines += [f"  {'✗' if t.breached else '✓'} {t.text}: {t.seen}" for t in view.thresholds]
    return "\n".join(lines)


def _main_figure(view: RunView) -> str:
    """The figure that the run is read for, and how well it is known."""
    assert view.verdict
    of = figure(view.verdict.figure)
    off = lateness_effect_us(of, view.summary) if of.family is Family.LATENCY else None
    said = (
        f"{of.title[:1].upper()}{of.title[1:]}: {of.text(of.value(view.summary, view.ledger, view.capacity))}"
    )
    return said if off is None else f"{said} (the generator's own lateness changes it by {_ms(off)})"


def exit_code(view: RunView, stopped_by: int | None) -> int:
    """0 ok, 1 no result, 3 a threshold was breached, 129, 130 or 143 ended by HUP, INT or TERM."""
    if stopped_by is not None:
        return 128 + stopped_by
    if view.summary is None or view.state == "failed":
        return 1
    return 3 if any(threshold.breached for threshold in view.thresholds) else 0


def _cost(us: float | None) -> str:
    return "–" if us is None else f"{us:.1f} µs of CPU a request"


def _ms(us: float | None) -> str:
    return "–" if us is None else f"{us / 1000:.2f} ms"
