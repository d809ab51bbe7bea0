"""A comparison as a table with its ranking, and its exit code."""

from __future__ import annotations

from collections.abc import Iterator

from app import format
from app.cli.console import Column, Styled, Table
from app.cli.exit_codes import BREACHED, FAILED, NO_ANSWER, OK, SIGNALLED
from app.cli.run_report import BAD, GOOD, TITLE, application
from app.schemas.comparison import ComparisonView, EntryResult, Spread
from app.schemas.result import Latency

COLUMNS = (
    Column("CPU µs/req", 23),
    Column("req/s", 24),
    Column("p50", 9),
    Column("p99", 9),
    Column("RSS", 9),
    Column("threads", 9),
    Column("valid trials", 14),
    Column("verdict", 0, is_number=False),
)


def exit_code(view: ComparisonView, stopped_by: int | None) -> int:
    """Return the exit code of a comparison.

    0, 1 without a measurement, 3 if a threshold was not met, 4 without a ranking, 128 + `stopped_by`.
    """
    if stopped_by is not None:
        return SIGNALLED + stopped_by
    if not any(trial.achieved_per_s is not None for trial in view.runs) or view.state == "failed":
        return FAILED
    if _breached(view):
        return BREACHED
    is_alone = len(view.entries) == 1  # so there is nothing to rank
    is_ranked = view.result and any(each.place for each in view.result.standings)
    return OK if is_alone or is_ranked else NO_ANSWER


def items(view: ComparisonView) -> list[str | Table]:
    """Return a comparison as text: table, ranking, excluded trials, thresholds and the rule."""
    rounds = f"{view.trials} rounds" if view.trials > 1 else "one round"
    seed = "" if view.seed is None else f", seed {view.seed}"
    found: list[str | Table] = [Styled(f"Comparison {view.id}: {view.plan_text}; {rounds}{seed}.", TITLE)]
    found += application(view.environment)
    if view.failure:
        found.append(Styled(f"Failed: {view.failure}", BAD))
    if view.result:
        found += ["", table(view), "", *view.result.said, *_excluded(view), *_hosts(view)]
    found += [Styled(f"✗ {text}", BAD) for text in _breached(view)]
    return [*found, "", f"Rule: {view.rule}"]


def table(view: ComparisonView) -> Table:
    """Return a row for each entry, best first: medians, and minimum and maximum of several trials."""
    assert view.result
    width = max(len(entry.name) for entry in view.entries) + 6
    rows = [_row(view, view.result.standings[i]) for i in view.result.order]
    return Table((Column("", width, is_number=False), *COLUMNS), rows)


def _row(view: ComparisonView, standing: EntryResult) -> tuple[str, ...]:
    entry, figures = view.entries[standing.entry], standing.figures
    place = f"{standing.place}." if standing.place else format.DASH
    name = f"{place:3}{entry.letter} {entry.name}"
    return (
        Styled(name, GOOD) if standing.place == 1 else name,
        _spread(figures["cpu_us"], 1),
        _spread(figures["achieved_per_s"], 0),
        *_percentiles(standing.latency),
        format.size(_median(figures["rss_bytes_peak"])),
        format.count(_median(figures.get("threads_peak"))),
        f"{standing.ranked} of {standing.trials}",
        _verdicts(view, standing.entry),
    )


def _verdicts(view: ComparisonView, entry: int) -> str:
    """Return the verdicts of an entry's trials, each once."""
    verdicts = (trial.verdict or trial.state for trial in view.runs if trial.entry == entry)
    return ", ".join(dict.fromkeys(verdicts)).lower()


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


def _hosts(view: ComparisonView) -> Iterator[str]:
    """Yield where the rounds were measured, and what was lost with a host or depends on its kind."""
    if view.hosts:
        names = ", ".join(f"{host.name} ({host.rounds})" for host in view.hosts)
        yield f"Rounds by host: {names}."
    yield from view.host_notes


def _excluded(view: ComparisonView) -> list[str]:
    """Return why trials of ranked entries are excluded.

    The result itself names the entries that are not ranked.
    """
    return [
        f"Excluded: {view.entries[each.entry].name}, trial {each.trial} (run {each.run}): {each.why_not}"
        for each in view.runs
        if each.why_not and view.result and view.result.standings[each.entry].place
    ]


def _breached(view: ComparisonView) -> list[str]:
    return [
        f"{threshold.text}: {threshold.seen} ({view.entries[trial.entry].name}, trial {trial.trial})"
        for trial in view.runs
        for threshold in trial.thresholds
        if threshold.breached
    ]
