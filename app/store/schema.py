"""The tables. A change here needs a migration in `migrations/versions`; a test holds the two against each other.

A run is kept as the JSON of its view, so that what the API gave on the day is what it gives a year later; the
columns beside it are those that lists are filtered, sorted and found by. All of them can be had from the view.
"""

from __future__ import annotations

from sqlalchemy import Float, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, deferred, mapped_column


class Base(DeclarativeBase):
    """All tables."""


class RunRow(Base):
    """One run."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    model: Mapped[str] = mapped_column(String(64), index=True)
    created_at: Mapped[str] = mapped_column(String(32), index=True)
    owner: Mapped[str] = mapped_column(String(64))  # the control plane that has it: `OURS` in store/runs.py
    view: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str | None] = deferred(
        mapped_column(Text)
    )  # the generator's own words, with all histograms
    series: Mapped[str | None] = deferred(mapped_column(Text))
    finished_at: Mapped[str | None] = mapped_column(String(32))
    scenario: Mapped[str | None] = mapped_column(String(64), index=True)
    verdict: Mapped[str | None] = mapped_column(String(32), index=True)
    rankable: Mapped[bool | None]
    comparison: Mapped[int | None] = mapped_column(index=True)
    rate_per_s: Mapped[float | None] = mapped_column(Float)  # achieved
    p99_us: Mapped[float | None] = mapped_column(Float)  # of response time
    cpu_us: Mapped[float | None] = mapped_column(Float)  # a request
    words: Mapped[str | None] = mapped_column(Text)  # what a search looks through, in lower case

    __table_args__ = ({"sqlite_autoincrement": True},)  # a deleted run's number is not given again


class ComparisonRow(Base):
    """One comparison; its runs are in `runs`, and say so."""

    __tablename__ = "comparisons"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    created_at: Mapped[str] = mapped_column(String(32), index=True)
    owner: Mapped[str] = mapped_column(String(64))
    view: Mapped[str] = mapped_column(Text)
    curves: Mapped[str | None] = deferred(mapped_column(Text))  # latency by percentile of each entry

    __table_args__ = ({"sqlite_autoincrement": True},)


class ImportedResultRow(Base):
    """What another load tool has said, kept beside a run."""

    __tablename__ = "foreign_results"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    run: Mapped[int] = mapped_column(index=True)
    tool: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[str] = mapped_column(String(32))
    figures: Mapped[str] = mapped_column(Text)  # as they were read on the day, JSON
    raw: Mapped[str] = deferred(mapped_column(Text, nullable=False))  # what the tool wrote

    __table_args__ = ({"sqlite_autoincrement": True},)
