"""How evenly the server serves the connections of a load: the responses of each one, as sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionRequests:
    """The responses that each connection received in the measured window. Those without one count as 0.

    It has sums instead of one number for each connection, so that shards can be added exactly.

    - `connections`: how many there are, and were to be opened.
    - `total`, `squares`: the sum of their responses, and of the squares of these.
    - `minimum`, `maximum`: the fewest and the most responses of one connection.
    """

    connections: int
    total: int
    squares: int
    minimum: int
    maximum: int

    @classmethod
    def of(cls, responses: Sequence[int]) -> ConnectionRequests:
        """Return the sums of the responses of each connection; there must be at least one."""
        squares = sum(each * each for each in responses)
        return cls(len(responses), sum(responses), squares, min(responses), max(responses))

    def __add__(self, other: ConnectionRequests) -> ConnectionRequests:
        """Return the sums over the connections of both."""
        return ConnectionRequests(
            self.connections + other.connections,
            self.total + other.total,
            self.squares + other.squares,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
        )

    @property
    def jain(self) -> float | None:
        """Jain's fairness index (Σx)² / (n · Σx²); None without any response.

        It is 1 if all connections receive equally many responses, and k/n if k of n connections receive
        equally many and the others none. Jain, Chiu and Hawe, "A Quantitative Measure of Fairness and
        Discrimination for Resource Allocation in Shared Computer Systems", DEC-TR-301, 1984.
        """
        return self.total**2 / (self.connections * self.squares) if self.squares else None
