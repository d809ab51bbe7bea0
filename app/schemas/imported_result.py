"""What another load generator (wrk, oha, k6) measured, as the lab keeps it."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class ImportedFigures:
    """The figures of one run of another tool."""

    tool: str
    requests: int
    rate_per_s: float
    duration_s: float
    errors: int
    p50_us: float | None
    p90_us: float | None
    p99_us: float | None
    max_us: float | None
    late: int | None = None  # wrk: responses after --timeout; None: the tool does not report them
    missing: str | None = None  # one sentence, if the tool did not measure a figure that it printed


@dataclass(frozen=True, slots=True)
class ImportedResult(ImportedFigures):
    """The figures with the output of the tool."""

    raw: str = ""

    @property
    def figures(self) -> ImportedFigures:
        return ImportedFigures(*(getattr(self, each.name) for each in fields(ImportedFigures)))


@dataclass(frozen=True, slots=True)
class StoredImport:
    """An imported result in the history, with the figures as they were parsed at the time of the import."""

    id: int
    run: int
    created_at: str
    figures: ImportedFigures
