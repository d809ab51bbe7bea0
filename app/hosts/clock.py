"""The offset between the clocks of two machines, by messages between them.

    lab    sent ──────────────────────────▶ received       offset = clock of the host − middle of the two
    host               read                                error  = half of the round trip

The host read its clock between the two instants, so the offset is wrong by half of the round trip at most
(Cristian, "Probabilistic clock synchronization", 1989). The message with the shortest round trip counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """The clock of a host minus that of this machine, in ns. `error_ns`: the most by which it is wrong."""

    offset_ns: int
    error_ns: int
    rtt_ns: int

    def to_host(self, ns: int) -> int:
        """Return the host's instant of an instant of this machine."""
        return ns + self.offset_ns

    def to_lab(self, ns: int) -> int:
        """Return this machine's instant of an instant of the host; 0, which is unknown, stays 0."""
        return ns - self.offset_ns if ns else 0


def clock_offset(samples: Iterable[tuple[int, int, int]]) -> ClockOffset:
    """Return the offset by the sample with the shortest round trip. There must be at least one.

    A sample: when the message was sent, what the host's clock showed, when the answer came; in ns.
    """
    sent, read, received = min(samples, key=lambda sample: sample[2] - sample[0])
    rtt = received - sent
    return ClockOffset(read - (sent + received) // 2, (rtt + 1) // 2, rtt)
