"""Latency histograms: HdrHistogram from 1 µs to 70 minutes with 3 significant digits.

All have the same range and resolution, so any two can be merged by adding. The generator counts whole
microseconds in plain dicts and fills the HdrHistogram afterwards: `record_value` costs 1.0 to 2.6 µs per
call, an append to a list and a count at C speed 0.1 µs.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hdrh.histogram import HdrHistogram

LOWEST_US, DIGITS = 1, 3
HIGHEST_US = 4_200_000_000  # longer than any run: see the bounds of max_duration_s and timeout_s
EXACT_BITS = 11  # below 2,048 µs a bucket is 1 µs wide; above, there are 1,024 buckets for each power of two
SAMPLES_ABOVE_MIN = 10  # fewer samples above a percentile are too few to estimate it

Counts = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Summary of a histogram in µs.

    A percentile with fewer than SAMPLES_ABOVE_MIN samples above it is None.
    """

    count: int
    p50_us: float | None
    p90_us: float | None
    p99_us: float | None
    p999_us: float | None
    max_us: float | None
    mean_us: float | None


def quantise(us: int) -> int:
    """Return the lowest value in the same HdrHistogram bucket as `us`: less than 0.1 % lower."""
    shift = us.bit_length() - EXACT_BITS
    if shift <= 0:
        return us or LOWEST_US
    return min(us >> shift << shift, HIGHEST_US)


def add_quantised(raw: Counts, into: dict[int, int]) -> None:
    """Add counts of µs values to counts of quantised ones, of which there are at most 18,000."""
    for us, count in raw.items():
        bucket = quantise(us)
        into[bucket] = into.get(bucket, 0) + count


@dataclass(frozen=True, slots=True)
class PackedCounts:
    """Counts of µs values in 12 bytes each, so that the seconds of an hour fit into memory."""

    values: array[int]
    counts: array[int]

    @classmethod
    def from_counts(cls, counts: Counts) -> PackedCounts:
        """Pack counts of values below 2^32 µs."""
        return cls(array("I", counts.keys()), array("Q", counts.values()))

    def items(self) -> Iterable[tuple[int, int]]:
        """Yield (µs, count)."""
        return zip(self.values, self.counts, strict=True)


def new() -> Any:
    """Return an empty HdrHistogram."""
    return HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)


def from_counts(items: Iterable[tuple[int, int]]) -> Any:
    """Return an HdrHistogram of (µs, count). 2.6 µs per item, so only after the load has ended."""
    histogram = new()
    for us, count in items:
        histogram.record_value(min(max(us, LOWEST_US), HIGHEST_US), count)
    return histogram


def encode(histogram: Any) -> str:
    """Return HdrHistogram V2, compressed, in base64: the format of the HdrHistogram tools."""
    text: bytes = histogram.encode()
    return text.decode("ascii")


def decode(text: str) -> Any:
    """Return the HdrHistogram that `encode` wrote."""
    return HdrHistogram.decode(text.encode("ascii"))


def merge(histograms: Iterable[Any]) -> Any:
    """Return the sum of HdrHistograms."""
    total = new()
    for each in histograms:
        total.add(each)
    return total


def buckets(histogram: Any) -> Iterable[tuple[float, int]]:
    """Yield (µs, count) for each bucket that is not empty; µs is its middle."""
    return ((_middle_us(index), n) for index, n in enumerate(histogram.counts) if n)


def percentiles(histogram: Any) -> Percentiles:
    """Return the summary of an HdrHistogram. 0.6 ms per percentile, so once per result and not per frame."""
    count: int = histogram.total_count
    p50, p90, p99, p999 = (percentile(histogram, q) for q in (0.5, 0.9, 0.99, 0.999))
    highest = float(histogram.get_max_value()) if count else None
    return Percentiles(count, p50, p90, p99, p999, highest, _mean_us(histogram, count))


def percentile(histogram: Any, q: float) -> float | None:
    """Return percentile `q` (0 to 1) in µs; None if fewer than SAMPLES_ABOVE_MIN samples are above."""
    if histogram.total_count * (1 - q) < SAMPLES_ABOVE_MIN - 1e-9:
        return None
    return float(histogram.get_value_at_percentile(100 * q))


def minimum(histogram: Any) -> float | None:
    """Return the shortest time in µs, within 0.1 %; None if there are no samples."""
    return float(histogram.get_min_value()) if histogram.total_count else None


def quantile(histogram: Any, q: float) -> float | None:
    """Return the quantile `q` (0 to 1) in µs, however few samples there are; None if there are none."""
    return float(histogram.get_value_at_percentile(100 * q)) if histogram.total_count else None


def _mean_us(histogram: Any, count: int) -> float | None:
    # Not get_mean_value(): it walks all 18,000 buckets in Python, 65 ms.
    if not count:
        return None
    total = sum(us * n for us, n in buckets(histogram))
    return float(total / count)


def _middle_us(index: int) -> float:
    """Return the middle of the bucket at `index` of the array of counts (HdrHistogram's layout)."""
    half = 1 << (EXACT_BITS - 1)
    shift = max(0, (index // half) - 1)
    lowest = (index - shift * half) << shift
    return lowest + ((1 << shift) - 1) / 2
