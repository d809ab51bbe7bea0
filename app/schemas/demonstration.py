"""The demonstration of the home page as the page shows it."""

from __future__ import annotations

from dataclasses import dataclass

from app.schemas.states import DemonstrationState


@dataclass(frozen=True, slots=True)
class FastRequests:
    """What the fast requests of one run waited. `p99_us`: None if too few were measured."""

    run: int
    model: str
    title: str
    p99_us: float | None


@dataclass(frozen=True, slots=True)
class DemonstrationView:
    """One demonstration. `runs`: ids, the reactor's first; () until they are queued.

    `measured`: one for each run, when it has finished. `failure`: one sentence if it has failed.
    """

    state: DemonstrationState
    runs: tuple[int, ...] = ()
    measured: tuple[FastRequests, ...] = ()
    failure: str | None = None
    finished_at: str | None = None

    @property
    def excerpts(self) -> str:
        """The API paths of both excerpts, with a space between them."""
        return " ".join(f"/api/v1/runs/{id}/excerpt" for id in self.runs)

    @property
    def p99_max_us(self) -> float | None:
        """The longer p99, for bars; None: unknown."""
        return max((each.p99_us for each in self.measured if each.p99_us), default=None)

    @property
    def times_longer(self) -> float | None:
        """How many times longer the p99 of the first run is than that of the second; None: unknown."""
        p99s = [each.p99_us for each in self.measured]
        return p99s[0] / p99s[1] if len(p99s) == 2 and p99s[0] and p99s[1] else None
