"""A tuning as a table with its answer, and its exit code."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from app import format
from app.cli.console import Column, Styled, Table
from app.cli.exit_codes import FAILED, NO_ANSWER, OK, SIGNALLED
from app.cli.run_report import BAD, GOOD, TITLE, application
from app.schemas.tuning import TuningResult, TuningView, ValueResult
from app.tunings.values import value_name

COLUMNS = (
    Column("median req/s", 14),
    Column("range", 18),
    Column("valid runs", 12),
    Column("void because", 0, is_number=False),
)
_VIEW = TypeAdapter(TuningView)


def to_json(view: TuningView) -> dict[str, Any]:
    """Return a tuning as the API returns it."""
    found: dict[str, Any] = _VIEW.dump_python(view, mode="json")
    return found


def exit_code(view: TuningView, stopped_by: int | None) -> int:
    """Return 0, 1 if it failed, 4 without an answer, or 128 + `stopped_by`."""
    if stopped_by is not None:
        return SIGNALLED + stopped_by
    if view.state == "failed":
        return FAILED
    return OK if view.result and view.result.answer is not None else NO_ANSWER


def items(view: TuningView) -> list[str | Table]:
    """Return a tuning as text: table, answer and rule."""
    rounds = f"{view.rounds} rounds" if view.rounds > 1 else "one round"
    fixed = f", {format.knobs(view.knobs)}" if view.knobs else ""
    what = f"{view.model_title}{fixed}: {view.knob} for {view.objective}"
    title = f"Tuning {view.id}: {what}; {view.plan_text}; {rounds}, seed {view.seed}."
    found: list[str | Table] = [Styled(title, TITLE), *application(view.environment)]
    if view.failure:
        found.append(Styled(f"Failed: {view.failure}", BAD))
    if view.result:
        found += ["", _table(view, view.result), "", *view.result.sentences]
    return [*found, "", f"Rule: {view.rule}"]


def _table(view: TuningView, result: TuningResult) -> Table:
    """Return a row for each value, in their order."""
    names = [value_name(view.knob, view.unit, value) for value in view.values]
    rows = [_row(view, names[each.value], each) for each in result.values]
    width = max(map(len, names)) + 2
    return Table((Column("", width, is_number=False), *COLUMNS), rows)


def _row(view: TuningView, name: str, value: ValueResult) -> tuple[str, ...]:
    assert view.result
    is_range = value.n > 1 and value.min_per_s != value.max_per_s
    between = f"{format.rate(value.min_per_s)}–{format.rate(value.max_per_s)}" if is_range else format.DASH
    reasons = (each.why_not for each in view.runs if each.value == value.value and each.why_not)
    return (
        Styled(name, GOOD) if value.value == view.result.answer else name,
        format.rate(value.median_per_s),
        between,
        f"{value.n} of {value.trials}",
        " ".join(dict.fromkeys(reasons)),
    )
