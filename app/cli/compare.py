"""`threadlab compare`: models in turns under one plan; a table with what can be called, and what is too close."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from typing import Any

from app import format, streams
from app.cli import in_process, output, plan_options, remote
from app.comparisons.comparisons import ComparisonRequest
from app.comparisons.entries import VIEWS
from app.lab import Lab
from app.plans.scenarios import SCENARIOS
from app.report import comparison_exports
from app.schemas.comparison import ComparisonView, Spread, Standing
from app.schemas.result import Latency
from app.settings import Settings

OK, FAILED, BREACHED, NO_ANSWER = 0, 1, 3, 4
COLUMNS = (("CPU µs/req", 23), ("req/s", 24), ("p50", 9), ("p99", 9), ("RSS", 9), ("trials", 9))


def add(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "compare", help="models in turns under one plan, and which can be called better"
    )
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL[:KNOB=VALUE,…]",
        help="may be named several times; without any, all that are available",
    )
    parser.add_argument(
        "--view", choices=tuple(VIEWS), help="by CPU at an equal rate (the default), or by the ceiling"
    )
    parser.add_argument(
        "--trials", type=int, default=1, help="of each, in turns: A B C A B C … (default %(default)s)"
    )
    parser.add_argument("--scenario", choices=list(SCENARIOS))
    plan_options.add(parser)
    parser.add_argument(
        "--threshold", action="append", default=[], help="for every trial, as in run; repeatable"
    )
    parser.add_argument("--label", help="a note that is kept with the comparison")
    parser.add_argument("--json", metavar="FILE", help="write it as JSON; - for stdout")
    parser.add_argument("--csv", metavar="FILE", help="write a row a trial; - for stdout")
    parser.add_argument("--junit", metavar="FILE", help="write the thresholds as JUnit XML; - for stdout")
    parser.add_argument("--html", metavar="FILE", help="write a report, one file; - for stdout")
    parser.add_argument("--server", metavar="URL", help="let a lab that is running do it")
    parser.set_defaults(call=compare)


def compare(asked: argparse.Namespace) -> int:
    """A comparison; answers the exit code."""
    wanted = output.checked({flag: getattr(asked, flag) for flag in (*comparison_exports.FLAGS, "json")})
    plan = plan_options.plan_of(asked)
    spec = {
        "models": [_entry(text) for text in asked.models],
        "view": asked.view,
        "trials": asked.trials,
        "scenario": asked.scenario,
        "plan": plan or None,
        "thresholds": asked.threshold,
        "label": asked.label,
    }
    view, problems, stopped_by = (
        _on(asked.server, spec, wanted) if asked.server else asyncio.run(_here(spec, wanted))
    )
    if asked.json:
        problems += output.written("json", asked.json, in_process.json_text(comparison_exports.to_json(view)))
    with remote.understood(asked.server):
        words, code = table(view), _exit_code(view, stopped_by)
    if "-" not in wanted.values():
        sys.stdout.write(words)
    for problem in problems:
        sys.stderr.write(f"threadlab: {problem}\n")
    return code or (FAILED if problems else OK)


def _entry(text: str) -> dict[str, Any]:
    """`reactor-pool:workers=8,reply=reactor` as the lab takes it."""
    model, _, knobs = text.partition(":")
    return {"model": model, "knobs": dict(each.partition("=")[::2] for each in knobs.split(",") if each)}


Ended = tuple[ComparisonView, list[str], int | None]


def _on(server: str, spec: dict[str, Any], wanted: dict[str, str]) -> Ended:
    """By a lab that is running, over its REST API."""
    spec["models"] = spec["models"] or _available(remote.get_models(server))
    with remote.understood(server):
        view, stopped_by = remote.measure_comparison(server, spec, teller())
    fetch = lambda export: remote.get_export(server, view.id, export.name, export.noun)  # noqa: E731
    return view, output.leave(wanted, fetch, comparison_exports.FLAGS), stopped_by


async def _here(spec: dict[str, Any], wanted: dict[str, str]) -> Ended:
    """By a lab of our own, in process."""
    async with Lab.open(Settings()) as lab:
        reasons = {view.name: view.unavailable_reason for view in lab.models.views.values()}
        spec["models"] = spec["models"] or _available(reasons)
        view = await lab.comparisons.submit(ComparisonRequest(**{**spec, "plan": spec["plan"] or {}}))
        caught = in_process.stop_on_signals(lab)
        view = await follow(lab, view)
        problems = output.leave(wanted, lambda export: export.make(lab, view.id), comparison_exports.FLAGS)
        return view, problems, next(iter(caught), None)


def _available(models: dict[str, str | None]) -> list[str]:
    for name, reason in models.items():
        if reason is not None:
            sys.stderr.write(f"{name} is left out: {reason}\n")
    return [name for name, reason in models.items() if reason is None]


async def follow(lab: Lab, view: ComparisonView) -> ComparisonView:
    """Say each trial on stderr as it ends, with a bar on a terminal, until the comparison has ended."""
    ended = asyncio.create_task(lab.comparisons.finished(view.id))
    tell = teller()
    while not ended.done():
        await asyncio.wait([ended], timeout=in_process.LOOK_S)
        tell(lab.comparisons.get(view.id))
    return ended.result()


def teller() -> Callable[[ComparisonView], None]:
    """Says what is new of a comparison each time that it is called with it."""
    said = 0

    def tell(view: ComparisonView) -> None:
        nonlocal said
        has_bar = streams.is_terminal(sys.stderr)
        for trial in view.runs[said:]:
            verdict = trial.verdict or trial.state
            name = view.entries[trial.entry].name
            _erase_bar(has_bar)
            sys.stderr.write(f"{name}, trial {trial.trial} of {view.trials}: {verdict}\n")
        said = len(view.runs)
        if has_bar and view.left_s is not None:
            done = round(in_process.BAR * view.progress)
            filled = "█" * done + "░" * (in_process.BAR - done)
            _erase_bar(has_bar)
            sys.stderr.write(f"{filled} {said} of {view.runs_total} runs, about {view.left_s:.0f} s left ")
        sys.stderr.flush()

    return tell


def _erase_bar(has_bar: bool) -> None:
    if has_bar:
        streams.control(sys.stderr, streams.ERASE_LINE)


def table(view: ComparisonView) -> str:
    """A comparison in words."""
    trials = f"{view.trials} trials each, in turns" if view.trials > 1 else "one trial each"
    lines = [f"Comparison {view.id}: {view.plan_text}; {trials}."]
    if view.failure:
        lines.append(f"Failed: {view.failure}")
    if view.result:
        width = max(len(entry.name) for entry in view.entries) + 6
        lines += ["", " " * width + "".join(f"{name:>{wide}}" for name, wide in COLUMNS)]
        lines += [_row(view, view.result.standings[i], width) for i in view.result.order]
        lines += ["", *view.result.said, *_excluded(view)]
    lines += [f"✗ {said}" for said in _breached(view)]
    return "\n".join((*lines, "", f"Rule: {view.rule}", ""))


def _row(view: ComparisonView, standing: Standing, width: int) -> str:
    place = f"{standing.place}." if standing.place else format.DASH
    entry = view.entries[standing.entry]
    cells = (
        _spread(standing.figures["cpu_us"], 1),
        _spread(standing.figures["achieved_per_s"], 0),
        *_percentiles(standing.latency),
        format.size(_median(standing.figures["rss_bytes_peak"])),
        f"{standing.ranked} of {standing.trials}",
    )
    head = f"{place:3}{entry.letter} {entry.name}"
    return f"{head:{width}}" + "".join(
        f"{text:>{wide}}" for text, (_, wide) in zip(cells, COLUMNS, strict=True)
    )


def _spread(figure: Spread | None, places: int) -> str:
    if figure is None:
        return format.DASH
    between = f" ({figure.minimum:,.{places}f}–{figure.maximum:,.{places}f})" if figure.n > 1 else ""
    return f"{figure.median:,.{places}f}{between}"


def _median(figure: Spread | None) -> float | None:
    return figure.median if figure else None


def _percentiles(latency: Latency | None) -> tuple[str, str]:
    response = latency.response if latency else None
    return format.us(response.p50_us if response else None), format.us(response.p99_us if response else None)


def _excluded(view: ComparisonView) -> list[str]:
    return [
        f"Not ranked: {view.entries[each.entry].name}, trial {each.trial} (run {each.run}): {each.why_not}"
        for each in view.runs
        if each.why_not
        and view.result
        and view.result.standings[each.entry].place  # the others are said already
    ]


def _breached(view: ComparisonView) -> list[str]:
    return [
        f"{threshold.text}: {threshold.seen} ({view.entries[trial.entry].name}, trial {trial.trial})"
        for trial in view.runs
        for threshold in trial.thresholds
        if threshold.breached
    ]


def _exit_code(view: ComparisonView, stopped_by: int | None) -> int:
    if stopped_by is not None:
        return 128 + stopped_by
    if not any(trial.achieved_per_s is not None for trial in view.runs) or view.state == "failed":
        return FAILED
    if _breached(view):
        return BREACHED
    alone = len(view.entries) == 1  # nothing to rank, and nothing was asked
    return OK if alone or (view.result and any(each.place for each in view.result.standings)) else NO_ANSWER
