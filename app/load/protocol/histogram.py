"""Latency histograms: HdrHistogram, 1 µs to 70 minutes, 3 digits, the same everywhere, so that any two merge by adding.

The generator counts whole microseconds in plain dicts and fills the HdrHistogram afterwards: `record_value`
costs 1.0-2.6 µs a call, a place in a list and a C-speed count 0.1 µs.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hdrh.histogram import HdrHistogram

LOWEST_US, DIGITS = 1, 3
HIGHEST_US = 4_200_000_000  # longer than any run: see the bounds of max_duration_s and timeout_s
EXACT_BITS = (
    11  # below 2,048 µs each microsecond has its own place; above, 1,024 places for each power of two
)
SAMPLES_ABOVE_MIN = 10  # a percentile with fewer samples above it is beyond the data

Counts = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Percentiles:
    """What a histogram says. None where the data does not reach."""

    count: int
    p50_us: float | None
    p90_us: float | None
    p99_us: float | None
    p999_us: float | None
    max_us: float | None
    mean_us: float | None


def quantise(us: int) -> int:
    """The lowest value that HdrHistogram holds for equal to this one: off by less than 0.1 %."""
    shift = us.bit_length() - EXACT_BITS
    if shift <= 0:
        return us or LOWEST_US
    return min(us >> shift << shift, HIGHEST_US)


def add_quantised(raw: Counts, into: dict[int, int]) -> None:
    """Add counts of exact microseconds to quantised ones, which bounds their number by 18,000."""
    for us, count in raw.items():
        bucket = quantise(us)
        into[bucket] = into.get(bucket, 0) + count


@dataclass(frozen=True, slots=True)
class PackedCounts:
    """Counts at rest, 12 bytes a place: an hour of seconds has to fit into memory."""

    values: array[int]
    counts: array[int]

    @classmethod
    def from_counts(cls, counts: Counts) -> PackedCounts:
        return cls(array("I", counts.keys()), array("Q", counts.values()))

    def items(self) -> Iterable[tuple[int, int]]:
        return zip(self.values, self.counts, strict=True)


def new() -> Any:
    return HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)


def from_counts(items: Iterable[tuple[int, int]]) -> Any:
    """A histogram of (µs, how often). 2.6 µs a place: only after the load has ended."""
    histogram = new()
    for us, count in items:
        histogram.record_value(min(max(us, LOWEST_US), HIGHEST_US), count)
    return histogram


def encode(histogram: Any) -> str:
    """HdrHistogram V2, compressed, base64: what its other tools read as well."""
    text: bytes = histogram.encode()
    return text.decode("ascii")


def decode(text: str) -> Any:
    return HdrHistogram.decode(text.encode("ascii"))


def merge(histograms: Iterable[Any]) -> Any:
    total = new()
    for each in histograms:
        total.add(each)
    return total


def buckets(histogram: Any) -> Iterable[tuple[float, int]]:
    """(µs, how often) for each place that holds something: the middle of the values that share it."""
    return ((_middle(bucket), n) for bucket, n in enumerate(histogram.counts) if n)


def percentiles(histogram: Any) -> Percentiles:
    """0.6 ms a percentile, so once for a result and not for each frame."""
    count: int = histogram.total_count
    p50, p90, p99, p999 = (_percentile(histogram, count, permille) for permille in (500, 900, 990, 999))
    highest = float(histogram.get_max_value()) if count else None
    return Percentiles(count, p50, p90, p99, p999, highest, _mean(histogram, count))


def percentile(histogram: Any, q: float) -> float | None:
    """Any percentile, as a share; None where fewer than ten samples lie above it."""
    if histogram.total_count * (1 - q) < SAMPLES_ABOVE_MIN - 1e-9:
        return None
    return float(histogram.get_value_at_percentile(100 * q))


def minimum(histogram: Any) -> float | None:
    """The shortest time, within 0.1 %; None of no samples."""
    return float(histogram.get_min_value()) if histogram.total_count else None


def quantile(histogram: Any, q: float) -> float | None:
    """None of no samples."""
    return float(histogram.get_value_at_percentile(100 * q)) if histogram.total_count else None


def _percentile(histogram: Any, count: int, permille: int) -> float | None:
    if count * (1000 - permille) < SAMPLES_ABOVE_MIN * 1000:
        return None
    return float(histogram.get_value_at_percentile(permille / 10))


def _mean(histogram: Any, count: int) -> float | None:
    # Not get_mean_value(): it walks all 18,000 places in Python, 65 ms.
    if not count:
        return None
    total = sum(us * n for us, n in buckets(histogram))
    return float(total / count)


def _middle(bucket: int) -> float:
    """The middle of the values that share a place in the histogram's array of counts."""
    half = 1 << (EXACT_BITS - 1)
    shift = max(0, (bucket // half) - 1)
    minimum = (bucket - shift * half) << shift
    return minimum + ((1 << shift) - 1) / 2
