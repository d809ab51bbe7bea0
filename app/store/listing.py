"""Filter and sort order of the list of runs, as SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, UnaryExpression

from app.store.schema import RunRow

NO_SCENARIO = "by-hand"  # a value of the filter `scenario`: runs of a custom load
SORT_ORDERS: Mapping[str, tuple[Any, ...]] = {
    "newest": (RunRow.id.desc(),),
    "oldest": (RunRow.id,),
    "rate": (RunRow.rate_per_s.desc().nulls_last(), RunRow.id.desc()),
    "p99": (RunRow.p99_us.asc().nulls_last(), RunRow.id.desc()),
    "cpu": (RunRow.cpu_us.asc().nulls_last(), RunRow.id.desc()),
}


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Conditions on runs; None or empty means no condition.

    scenario: a name, or NO_SCENARIO. text: each word must occur in label, title, plan, engine, knobs or
    comment.
    since (inclusive) and until (exclusive): RFC 3339 in UTC. sort: a key of SORT_ORDERS.
    """

    model: str | None = None
    scenario: str | None = None
    verdict: str | None = None
    state: str | None = None
    rankable: bool | None = None
    comparison: int | None = None
    text: str | None = None
    since: str | None = None
    until: str | None = None
    sort: str = "newest"

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions of the WHERE clause, to be combined with AND."""
        conditions: list[ColumnElement[bool]] = []
        for name in ("model", "verdict", "state", "rankable", "comparison"):
            if (value := getattr(self, name)) is not None:
                conditions.append(getattr(RunRow, name) == value)
        if self.scenario == NO_SCENARIO:
            conditions.append(RunRow.scenario.is_(None))
        elif self.scenario is not None:
            conditions.append(RunRow.scenario == self.scenario)
        conditions += [
            RunRow.words.contains(word, autoescape=True) for word in (self.text or "").casefold().split()
        ]
        if self.since:
            conditions.append(RunRow.created_at >= self.since)
        if self.until:
            conditions.append(RunRow.created_at < self.until)
        return conditions

    def order(self) -> tuple[UnaryExpression[Any], ...]:
        """Return the ORDER BY clause. Raises KeyError for an unknown `sort`."""
        return SORT_ORDERS[self.sort]
