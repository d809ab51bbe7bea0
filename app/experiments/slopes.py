"""Memory per idle connection as a slope: what each further connection adds between two numbers of them. Pure.

A slope leaves out what the engine needs in any case, and the first pages of its allocators.
"""

from __future__ import annotations

from app.experiments.cells import idle
from app.experiments.checks import bound_result, finding
from app.experiments.claim import Cell, Count, Entry, Finding
from app.experiments.evidence import Evidence

FEW, MANY = 1000, 5000
FIGURES = ("connection_memory_bytes", "connections")
IDLE_S = 120  # keep-alive timeout, so that no idle connection is closed


def _lasting(entry: Entry) -> Entry:
    return Entry(entry.model, {**entry.knobs, "idle_s": IDLE_S}, entry.name)


def idle_cells(*entries: Entry) -> tuple[Cell, ...]:
    """Return the cells with few and with many idle connections."""
    return tuple(idle(connections, *map(_lasting, entries)) for connections in (FEW, MANY))


def idle_needs(*entries: Entry) -> tuple[Count, ...]:
    """Return what both cells need of each entry."""
    return tuple(_need(connections, entry.name) for connections in (FEW, MANY) for entry in entries)


def _need(connections: int, entry: str) -> Count:
    return Count(f"idle-{connections}", entry, FIGURES)


def slopes(evidence: Evidence, entry: str) -> list[float]:
    """Return the bytes that each further connection added, one for each pair of trials."""
    ends = [
        list(zip(*(evidence.values(f"idle-{count}", entry, name) for name in FIGURES), strict=False))
        for count in (FEW, MANY)
    ]
    return [
        (many_bytes - few_bytes) / (many - few)
        for (few_bytes, few), (many_bytes, many) in zip(*ends, strict=False)
        if many > few
    ]


def slope_finding(evidence: Evidence, entry: str, other: str, factor: float) -> Finding:
    """Return whether a further connection adds at least `factor` times the memory that it adds to `other`."""
    ours, theirs = slopes(evidence, entry), slopes(evidence, other)
    missing = _need(FEW if not evidence.values(f"idle-{FEW}", entry, FIGURES[0]) else MANY, entry)
    if ours and not theirs:
        missing = _need(MANY, other)
    factors = [a / b for a, b in zip(ours, theirs, strict=False) if b > 0]
    result = bound_result(
        evidence,
        missing,
        factors,
        f"Memory of a further idle connection, {entry} / {other}",
        f"predicted: at least {factor:g}",
        lambda value: value >= factor,
    )
    beside = [
        f"{name}: {', '.join(f'{value:,.0f} B' for value in values)} for each further connection."
        for name, values in ((entry, ours), (other, theirs))
        if values
    ]
    return finding([result], *beside)
