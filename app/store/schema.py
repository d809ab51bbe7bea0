"""The database tables. A change needs a migration in `migrations/versions`; a test compares the two.

A run is stored as the JSON of its view, so that the API returns the same a year later. The other columns
repeat values of the view that lists are filtered, sorted and searched by.
"""

from __future__ import annotations

from sqlalchemy import Float, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, deferred, mapped_column


class Base(DeclarativeBase):
    """Base class of all tables."""


class RunRow(Base):
    """One run."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    model: Mapped[str] = mapped_column(String(64), index=True)
    created_at: Mapped[str] = mapped_column(String(32), index=True)
    owner: Mapped[str] = mapped_column(String(64))  # the control plane that executes it: store/owner.py
    view: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str | None] = deferred(mapped_column(Text))  # of the generator, with histograms: JSON
    series: Mapped[str | None] = deferred(mapped_column(Text))  # JSON
    finished_at: Mapped[str | None] = mapped_column(String(32))
    scenario: Mapped[str | None] = mapped_column(String(64), index=True)
    verdict: Mapped[str | None] = mapped_column(String(32), index=True)
    rankable: Mapped[bool | None]
    comparison: Mapped[int | None] = mapped_column(index=True)
    rate_per_s: Mapped[float | None] = mapped_column(Float)  # achieved
    p99_us: Mapped[float | None] = mapped_column(Float)  # response time
    cpu_us: Mapped[float | None] = mapped_column(Float)  # per request
    words: Mapped[str | None] = mapped_column(Text)  # the text that a search looks through, in lower case

    __table_args__ = ({"sqlite_autoincrement": True},)  # the id of a deleted run is not reused


class ComparisonRow(Base):
    """One comparison; the column `comparison` of its runs refers to it."""

    __tablename__ = "comparisons"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    created_at: Mapped[str] = mapped_column(String(32), index=True)
    owner: Mapped[str] = mapped_column(String(64))
    view: Mapped[str] = mapped_column(Text)
    curves: Mapped[str | None] = deferred(mapped_column(Text))  # latency by percentile of each entry: JSON

    __table_args__ = ({"sqlite_autoincrement": True},)


class ExperimentRow(Base):
    """One experiment."""

    __tablename__ = "experiments"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    created_at: Mapped[str] = mapped_column(String(32), index=True)
    owner: Mapped[str] = mapped_column(String(64))
    claim: Mapped[str] = mapped_column(String(64), index=True)
    answer: Mapped[str | None] = mapped_column(String(32))
    view: Mapped[str] = mapped_column(Text)

    __table_args__ = ({"sqlite_autoincrement": True},)


class TuningRow(Base):
    """One tuning."""

    __tablename__ = "tunings"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    created_at: Mapped[str] = mapped_column(String(32), index=True)
    owner: Mapped[str] = mapped_column(String(64))
    view: Mapped[str] = mapped_column(Text)

    __table_args__ = ({"sqlite_autoincrement": True},)


class ImportedResultRow(Base):
    """A result of another load tool, imported for a run."""

    __tablename__ = "foreign_results"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    run: Mapped[int] = mapped_column(index=True)
    tool: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[str] = mapped_column(String(32))
    figures: Mapped[str] = mapped_column(Text)  # as parsed at the import: JSON
    raw: Mapped[str] = deferred(mapped_column(Text, nullable=False))  # the output of the tool

    __table_args__ = ({"sqlite_autoincrement": True},)
