"""When the requests of a traced run were sent and answered, as their clients saw it."""

from __future__ import annotations

import base64
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

LOGGED_MAX = 50_000  # requests of one kind and shard: 0.8 MB
COMPRESSION_LEVEL = 1


@dataclass(slots=True)
class RequestTimes:
    """The first correct responses of one kind of request in the measured window.

    `answered_ns`: when the last byte of each arrived, CLOCK_MONOTONIC. `service_us`: how long before that it
    was sent, in whole µs.
    """

    answered_ns: array[int] = field(default_factory=lambda: array("Q"))
    service_us: array[int] = field(default_factory=lambda: array("Q"))

    def append(self, answered_ns: int, service_us: int) -> None:
        """Add a response, unless there are LOGGED_MAX already."""
        if len(self.answered_ns) < LOGGED_MAX:
            self.answered_ns.append(answered_ns)
            self.service_us.append(service_us)

    def __len__(self) -> int:
        return len(self.answered_ns)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield when each request was sent and answered, in ns."""
        for answered_ns, service_us in zip(self.answered_ns, self.service_us, strict=True):
            yield answered_ns - service_us * 1000, answered_ns

    def to_bytes(self) -> bytes:
        """Return what `from_bytes` reads."""
        return self.answered_ns.tobytes() + self.service_us.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the times that `to_bytes` wrote."""
        times, half = cls(), len(data) // 2
        times.answered_ns.frombytes(data[:half])
        times.service_us.frombytes(data[half:])
        return times

    def encode(self) -> str:
        """Return text for JSON; empty if there are no times."""
        return base64.b64encode(zlib.compress(self.to_bytes(), COMPRESSION_LEVEL)).decode() if self else ""

    @classmethod
    def decode(cls, text: str) -> Self:
        """Return the times that `encode` wrote."""
        return cls.from_bytes(zlib.decompress(base64.b64decode(text))) if text else cls()


def merge_times(encoded: Iterable[str]) -> str:
    """Return the times of one kind in all shards."""
    merged = RequestTimes()
    for times in map(RequestTimes.decode, encoded):
        merged.answered_ns.extend(times.answered_ns)
        merged.service_us.extend(times.service_us)
    return merged.encode()
