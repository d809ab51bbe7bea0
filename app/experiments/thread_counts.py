"""Threads of an engine by its number of connections: cells, needs and results of the claims on them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.experiments.cells import CLOSED
from app.experiments.checks import count_result, finding
from app.experiments.claim import Cell, Count, Entry, Finding
from app.experiments.curve import Curve, Mark, Point
from app.experiments.evidence import Evidence
from app.schemas.experiment import TestResult

THINK_TIME_MS = 100  # so that all connections are served, however many there are


def thread_cells(entry: Entry, numbers: Sequence[int]) -> tuple[Cell, ...]:
    """Return a cell for each number of connections."""
    return tuple(
        Cell(
            f"connections-{connections}",
            f"{connections:,} connections",
            {"executor": CLOSED, "vus": connections, "think_time_ms": THINK_TIME_MS},
            (entry,),
        )
        for connections in numbers
    )


def thread_needs(entry: Entry, numbers: Sequence[int]) -> tuple[Count, ...]:
    """Return what each cell needs: the threads of one trial."""
    return tuple(_need(entry, connections) for connections in numbers)


def _need(entry: Entry, connections: int) -> Count:
    return Count(f"connections-{connections}", entry.name, ("threads_peak",), trials=1)


def thread_finding(
    evidence: Evidence, entry: Entry, numbers: Sequence[int], predicted: Callable[[int], int]
) -> Finding:
    """Return whether the threads are as predicted at each number of connections."""

    def result(connections: int) -> TestResult:
        expected = predicted(connections)
        title = f"Threads at {connections:,} connection{'s' if connections > 1 else ''}"
        return count_result(
            evidence, _need(entry, connections), title, f"predicted: {expected:,}", lambda n: n == expected
        )

    return finding([result(connections) for connections in numbers])


def thread_curve(entry: Entry, numbers: Sequence[int], predicted: Callable[[int], int], text: str) -> Curve:
    """Return the threads over the connections. `text`: the prediction in a few words."""
    points = tuple(Point(connections, f"connections-{connections}", entry.name) for connections in numbers)
    mark = Mark(f"claimed: {text}", tuple((number, predicted(number)) for number in numbers))
    return Curve("threads_peak", "Connections", ((entry.name, points),), lambda _: mark, log=True)
