"""The values of a knob that a tuning measures: a geometric grid of a range, or a list. Pure."""

from __future__ import annotations

from math import ceil, log2

from app.errors import Invalid, shown

VALUES_MIN, VALUES_MAX = 2, 8
RANGE_MAX = 10**9  # highest end of a range
RANGE = ".."
FORM = "LO..HI, such as 1..32, or a list, such as 1,2,4"


def grid(low: int, high: int) -> tuple[int, ...]:
    """Return about one value for each doubling from `low` to `high`, both included; at most VALUES_MAX.

    0 has no place on a logarithmic axis: the values above it are a grid from 1.
    """
    if low < 1:
        return tuple(sorted({low, *(_geometric(1, high, VALUES_MAX - 1) if high >= 1 else (high,))}))
    return _geometric(low, high, VALUES_MAX)


def _geometric(low: int, high: int, most: int) -> tuple[int, ...]:
    steps = min(most - 1, ceil(log2(high / low)))
    inner = (round(low * (high / low) ** (step / steps)) for step in range(1, steps))
    return tuple(sorted({low, *inner, high}))


def parse_values(text: str) -> tuple[tuple[str, ...], int | None, int | None]:
    """Return the listed values of `1,2,4` and no range, or no values and both ends of `1..32`.

    Raises Invalid, at the field `values`.
    """
    low, dots, high = text.partition(RANGE)
    if not dots:
        values = tuple(each.strip() for each in text.split(",") if each.strip())
        if not values:
            raise Invalid.field("/values", f"Write {FORM}.")
        return values, None, None
    try:
        return (), int(low), int(high)
    except ValueError:
        raise Invalid.field("/values", f"{shown(text)} is not a range: write {FORM}.") from None


def value_name(knob: str, unit: str, value: int | str) -> str:
    """Return a value with the name of its knob: "16 threads", "workers 4", "worker_class gthread"."""
    text = value if isinstance(value, str) else f"{value:,}"
    return f"{text} {knob}" if knob == unit and value != 1 else f"{knob} {text}"
