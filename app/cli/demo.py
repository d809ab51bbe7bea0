"""`threadlab demo`: every model in turn under the same plan, at its ceiling, and then all at one equal rate.

On few cores the plaintext ceiling is honestly the generator's, so the ranking is by CPU per request at the rate
that all of them keep.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from math import isfinite
from typing import Any

from app.cli import in_process, output, remote
from app.comparisons.ranking import GAP_FEW, Ranking, rank
from app.lab import Lab
from app.results.fitness import invalid_reason
from app.runs.request import RunRequest
from app.schemas.run import RunView
from app.settings import Settings

SECONDS = 4.0
WARMUP_S = 1.0
CONNECTIONS = 64
SHARE_OF_SLOWEST = 0.5  # of the slowest ceiling: a rate that everybody keeps with room to spare
RATE_MAX = 10_000  # beyond it the generator's timers cost more than the requests


RunOne = Callable[[dict[str, Any]], Awaitable[RunView]]


async def run(seconds: float, json_file: str | None) -> int:
    """The demo by a lab of our own, in process; answers the exit code."""
    async with Lab.open(Settings()) as lab:
        caught = in_process.stop_on_signals(lab)

        async def one(spec: dict[str, Any]) -> RunView:
            return await in_process.follow(lab, await lab.runs.submit(RunRequest(**spec)))

        models = {view.name: view.unavailable_reason for view in lab.models.views.values()}
        code = await _tour(one, models, seconds, json_file)
    return 128 + caught[0] if caught else code


async def run_on(server: str, seconds: float, json_file: str | None) -> int:
    """The demo by a lab that is running, over its REST API. Nothing else goes on here, so each call may block."""
    caught: list[int] = []

    async def one(spec: dict[str, Any]) -> RunView:
        view, stopped_by = remote.measure_run(server, spec, lambda view: None)
        caught.extend([stopped_by] if stopped_by else [])
        return view

    with remote.understood(server):
        code = await _tour(one, remote.get_models(server), seconds, json_file)
    return 128 + caught[0] if caught else code


async def _tour(one: RunOne, models: dict[str, str | None], seconds: float, json_file: str | None) -> int:
    """Every available model at its ceiling, then all at one rate."""
    names = [name for name, reason in models.items() if reason is None]
    for name, reason in models.items():
        if reason is not None:
            sys.stderr.write(f"{name} is left out: {reason}\n")
    ceilings = await _each(one, names, {"executor": "constant-vus"}, seconds, "ceiling")
    rates = [view.summary.achieved_per_s for view in ceilings if view.summary]
    if not rates or any(view.state == "stopped" for view in ceilings):
        sys.stderr.write("The demo was stopped or nothing was measured.\n")
        return 1
    rate = float(min(RATE_MAX, int(SHARE_OF_SLOWEST * min(rates) / 100) * 100 or 100))
    equal = await _each(
        one, names, {"executor": "constant-arrival-rate", "rate_per_s": rate}, seconds, "equal rate"
    )
    problems = []
    if json_file:
        runs = [in_process.to_json(view) for view in ceilings + equal]
        both = {"ceiling": runs[: len(ceilings)], "equal_rate": runs[len(ceilings) :]}
        problems = output.written("json", json_file, in_process.json_text(both))
    if json_file != "-":
        sys.stdout.write(_tables(ceilings, equal, rate))
    sys.stderr.writelines(f"threadlab: {problem}\n" for problem in problems)
    return 0 if all(_good(view) for view in ceilings + equal) and not problems else 1


async def _each(
    one: RunOne, names: list[str], load: dict[str, Any], seconds: float, label: str
) -> list[RunView]:
    views: list[RunView] = []
    for name in names:
        if any(view.state == "stopped" for view in views):
            break
        plan = {**load, "vus": CONNECTIONS, "duration_s": seconds, "warmup_s": WARMUP_S}
        view = await one({"model": name, "plan": plan, "label": f"demo, {label}"})
        said = view.verdict.title if view.verdict else view.failure
        sys.stderr.write(f"{name:14}{label}: {said}\n")
        views.append(view)
    return views


def _good(view: RunView) -> bool:
    return bool(view.summary and view.summary.requests and not view.summary.errors and view.verdict)


COLUMNS = (
    ("req/s", 10),
    ("p50 ms", 9),
    ("p99 ms", 9),
    ("CPU µs/req", 12),
    ("errors", 8),
    ("threads", 9),
    ("RSS MiB", 9),
)
HEAD = " " * 16 + "".join(f"{name:>{width}}" for name, width in COLUMNS) + "  verdict\n"


def _tables(ceilings: list[RunView], equal: list[RunView], rate: float) -> str:
    ordered = sorted(equal, key=lambda view: (not _is_ranked(view), _cpu(view)))
    ranking = rank([[_cpu(view)] for view in ordered if _is_ranked(view)], lower_is_better=True)
    places = ranking.places if len(ranking.order) > 1 else {}
    placement = ceilings[0].placement.get("mode", "?")
    text = f"\nCeiling: {CONNECTIONS} connections, as fast as answers come (placement: {placement})\n" + HEAD
    text += "".join(_row(view) for view in ceilings)
    text += (
        f"\nThe same {rate:,.0f} requests/s for everyone, ranked by CPU per request (n = 1 run each)\n" + HEAD
    )
    text += "".join(_row(view, places.get(i)) for i, view in enumerate(ordered))
    return text + _said(ordered, ranking, bool(places))


def _said(ordered: list[RunView], ranking: Ranking, has_winner: bool) -> str:
    """Below the table: who is not ranked and why, and whose order is chance as far as one run each can tell."""
    lines = []
    if not has_winner:
        valid = [view.model for view in ordered if _is_ranked(view)]
        who = f"only {valid[0]} has a valid run" if valid else "no model has a valid run"
        lines.append(f"No winner: {who} to compare CPU per request.")
    elif ranking.groups:
        named = "; ".join(", ".join(ordered[i].model for i in group) for group in ranking.groups)
        lines.append(f"Too close to call with one run each (gaps under {100 * GAP_FEW:.0f} %): {named}.")
    reasons = (
        (view.model, invalid_reason(view.verdict, "cpu_us") if view.verdict else view.failure) for view in ordered
    )
    lines += [f"{model}: not ranked. {reason}" for model, reason in reasons if reason]
    return "".join(f"\n{line}" for line in lines) + "\n" if lines else ""


def _is_ranked(view: RunView) -> bool:
    return bool(view.verdict and invalid_reason(view.verdict, "cpu_us") is None and isfinite(_cpu(view)))


def _cpu(view: RunView) -> float:
    return view.ledger.cpu_us if view.ledger and view.ledger.cpu_us is not None else float("inf")


def _row(view: RunView, place: int | None = None) -> str:
    name = f"{place}. {view.model}" if place else f"   {view.model}"
    verdict = view.verdict.title.lower() if view.verdict else view.failure or view.state
    if view.summary is None:
        return f"{name:16}{'–':>10}  {verdict}\n"
    s, ledger = view.summary, view.ledger
    latency = s.latency.response
    return (
        f"{name:16}{s.achieved_per_s:>10,.0f}{_ms(latency.p50_us):>9}{_ms(latency.p99_us):>9}"
        f"{_or_dash(ledger.cpu_us if ledger else None, 1):>12}{sum(s.errors.values()):>8,}"
        f"{_or_dash(ledger.threads_peak if ledger else None, 0):>9}"
        f"{_or_dash(ledger.rss_bytes_peak / 2**20 if ledger and ledger.rss_bytes_peak else None, 0):>9}  {verdict}\n"
    )


def _ms(us: float | None) -> str:
    return _or_dash(us / 1000 if us is not None else None, 2)


def _or_dash(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:,.{places}f}"
