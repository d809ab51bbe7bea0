"""The meter: a page of shared memory in which a shard publishes live numbers for the control plane.

    words 0..31    magic, sequence, then the counters of MeterReading in order
    then           cumulative log-linear histograms of service time and of response time, in µs

Words have 64 bits. One writer, no lock: the sequence number is odd while it writes (a seqlock). It is written
every 20 ms, never per request. Counters and histograms only grow, so the last second is the difference of two
readings.
"""

from __future__ import annotations

import mmap
import os
from array import array
from collections import Counter
from collections.abc import MutableSequence, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

MAGIC = 0x7468_7264_6D65_7402  # "thrdmet" and the version
H_MAGIC, H_SEQUENCE, H_FIELDS = 0, 1, 2
HEADER_WORDS = 32
SUB_BITS = 3  # 8 buckets for each power of two: within 12.5 %, and less by interpolation
BUCKETS = 248  # up to 2^33 µs, 2 h 23 min
METER_WORDS = HEADER_WORDS + 2 * BUCKETS
PHASES = ("connecting", "warmup", "measure", "drain", "done")
CONNECTING, WARMUP, MEASURE, DRAIN, DONE = range(len(PHASES))

_INSTANTS = frozenset({"connected_ns", "started_ns", "measured_from_ns", "measured_to_ns"})
_GAUGES = _INSTANTS | {"phase", "in_flight", "connections", "idle_connections"}  # fields that are no counters
_LATEST = _INSTANTS | {"at_ns"}  # of several shards the latest is taken


@dataclass(frozen=True, slots=True)
class MeterReading:
    """One reading of a meter. See `Outcome` for the fields that have the same name there.

    - `phase`: index into PHASES.
    - `connected_ns`, `started_ns`: when all connections were open, and when the load began. All instants are
      CLOCK_MONOTONIC, 0 until known. `at_ns`: when the reading was published.
    - `intended`, `sent`, `completed`, `errors`, `late`, `waited`, `reconnects`, `bytes_in`, `bytes_out`:
      counts from the start of the load. `completed`: correct responses.
    - `in_flight`, `connections`, `idle_connections`: at this moment.
    - `cpu_ns`: CPU time of the process.
    - `service`, `response`: counts per bucket. `response` is empty (all 0) in the closed model.
    """

    phase: int = 0
    connected_ns: int = 0
    started_ns: int = 0
    measured_from_ns: int = 0
    measured_to_ns: int = 0
    intended: int = 0
    sent: int = 0
    completed: int = 0
    errors: int = 0
    in_flight: int = 0
    connections: int = 0
    idle_connections: int = 0
    late: int = 0
    waited: int = 0
    reconnects: int = 0
    cpu_ns: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    at_ns: int = 0
    service: tuple[int, ...] = (0,) * BUCKETS
    response: tuple[int, ...] = (0,) * BUCKETS

    def __sub__(self, earlier: MeterReading) -> MeterReading:
        """Return what has happened since `earlier` (54 µs).

        Gauges (phase, instants, in flight …) are the later ones.
        """
        grown = {
            name: getattr(self, name) if name in _GAUGES else getattr(self, name) - getattr(earlier, name)
            for name in COUNTERS
        }
        return MeterReading(
            **grown,
            service=tuple(b - a for a, b in zip(earlier.service, self.service, strict=True)),
            response=tuple(b - a for a, b in zip(earlier.response, self.response, strict=True)),
        )


COUNTERS = tuple(f.name for f in fields(MeterReading) if f.name not in ("service", "response"))


def combine(readings: Sequence[MeterReading]) -> MeterReading:
    """Return the reading of several shards together; there must be at least one.

    Counts and histograms are added. The phase is that of the shard that is furthest behind, instants are the
    latest.
    """
    if len(readings) == 1:
        return readings[0]
    values = {name: [getattr(each, name) for each in readings] for name in COUNTERS}
    combined = {name: max(each) if name in _LATEST else sum(each) for name, each in values.items()}
    return MeterReading(
        **{**combined, "phase": min(values["phase"])},
        service=tuple(map(sum, zip(*(each.service for each in readings), strict=True))),
        response=tuple(map(sum, zip(*(each.response for each in readings), strict=True))),
    )


def bucket_of(us: int) -> int:
    """Return the index of the bucket that counts `us`."""
    shift = us.bit_length() - SUB_BITS - 1
    return min((shift << SUB_BITS) + (us >> shift), BUCKETS - 1) if shift > 0 else us


LOOKUP_US = 8192  # nearly all values are lower, and a table is faster than a call
BUCKET_OF = tuple(bucket_of(us) for us in range(LOOKUP_US))


def _lower_bound_us(bucket: int) -> int:
    shift = max(0, (bucket >> SUB_BITS) - 1)
    return (bucket - (shift << SUB_BITS)) << shift


_BOUNDS_US = tuple(_lower_bound_us(bucket) for bucket in range(BUCKETS + 1))


def quantile_us(counts: Sequence[int], q: float) -> float | None:
    """Return quantile `q` (0 to 1) of counts per bucket in µs, interpolated; None of no samples."""
    total = sum(counts)
    if not total:
        return None
    rank, seen = q * total, 0
    for count, (low, high) in zip(counts, pairwise(_BOUNDS_US), strict=True):
        if count and seen + count >= rank:
            return low + (high - low) * max(0.0, rank - seen) / count
        seen += count
    return float(_BOUNDS_US[-1])


def make_meter() -> int:
    """Create an empty meter in a memfd. Returns the descriptor, for a shard to inherit."""
    fd = os.memfd_create("threadlab-meter", 0)
    os.ftruncate(fd, METER_WORDS * 8)
    with mmap.mmap(fd, METER_WORDS * 8) as page, memoryview(page) as raw, raw.cast("Q") as words:
        words[H_MAGIC] = MAGIC
    return fd


class InvalidMeter(ValueError):
    """The descriptor is not a meter, or one of another version."""


def _map(fd: int, access: int) -> mmap.mmap:
    if os.fstat(fd).st_size < METER_WORDS * 8:
        raise InvalidMeter("the file is too small for a meter")
    memory = mmap.mmap(fd, METER_WORDS * 8, access=access)
    if int.from_bytes(memory[:8], "little") != MAGIC:
        memory.close()
        raise InvalidMeter("the file is not a meter of this version")
    return memory


class MeterWriter:
    """The shard's end of a meter.

    Without a descriptor it writes to private memory. Raises InvalidMeter, OSError.
    """

    def __init__(self, fd: int | None = None) -> None:
        memory = mmap.mmap(-1, METER_WORDS * 8) if fd is None else _map(fd, mmap.ACCESS_WRITE)
        self._words = memoryview(memory).cast("Q")
        self.service = array("Q", bytes(8 * BUCKETS))
        self.response = array("Q", bytes(8 * BUCKETS))

    @staticmethod
    def count(values: Sequence[int], second: dict[int, int], buckets: MutableSequence[int]) -> None:
        """Add µs values to a second and to a histogram: 0.2 ms per tick at 30,000/s, both times."""
        for us, count in Counter(values).items():
            second[us] = second.get(us, 0) + count
            buckets[BUCKET_OF[us] if us < LOOKUP_US else bucket_of(us)] += count

    def publish(self, values: Sequence[int]) -> None:
        """Write the counters, in the order of COUNTERS, and the histograms: 2.5 µs."""
        words = self._words
        words[H_SEQUENCE] += 1
        words[H_FIELDS : H_FIELDS + len(values)] = array("Q", values)
        words[HEADER_WORDS : HEADER_WORDS + BUCKETS] = self.service
        words[HEADER_WORDS + BUCKETS :] = self.response
        words[H_SEQUENCE] += 1


class MeterReader:
    """The control plane's end of a meter. It can be read at any time, also after the shard has died.

    Raises InvalidMeter if the descriptor is no meter.
    """

    def __init__(self, fd: int) -> None:
        self._memory = _map(fd, mmap.ACCESS_READ)

    def close(self) -> None:
        """Unmap the memory. The meter must not be read afterwards."""
        self._memory.close()

    def read(self) -> MeterReading:
        """Return a consistent reading (30 µs), or any if the shard died while it was writing."""
        words = self._read()
        for _ in range(100):
            again = self._read()
            if words[H_SEQUENCE] == again[H_SEQUENCE] and not words[H_SEQUENCE] % 2:
                break
            words = again
        service, response = words[HEADER_WORDS : HEADER_WORDS + BUCKETS], words[HEADER_WORDS + BUCKETS :]
        values = dict(zip(COUNTERS, words[H_FIELDS:HEADER_WORDS], strict=False))
        return MeterReading(**values, service=tuple(service), response=tuple(response))

    def _read(self) -> list[int]:
        with memoryview(self._memory) as raw, raw.cast("Q") as words:
            return words.tolist()
