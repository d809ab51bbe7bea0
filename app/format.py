"""Formatters for numbers, units, times and names, shared by pages, reports, the command line and verdicts.

Pure functions. An unknown value (None) is written as an en dash, never as 0. `static/js/lib/format.js`
applies the same rules in the browser. This module imports nothing of the application.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any

from markupsafe import Markup

DASH = "–"


def count(value: float | None) -> str:
    """Return a whole number with thousands separators: 1,234."""
    return DASH if value is None else f"{round(value):,}"


def rate(value: float | None) -> str:
    """Return a number per second without its unit: 3,194, and one decimal below 100: 82.5."""
    if value is None:
        return DASH
    return f"{value:.1f}".removesuffix(".0") if 0 < value < 100 else count(value)


def request_rate(value: float | None) -> str:
    """Return requests per second with the unit: 3,194 req/s."""
    return DASH if value is None else f"{rate(value)} req/s"


@dataclass(frozen=True, slots=True)
class TimeUnit:
    """How times of one magnitude are written."""

    us: float  # microseconds per unit
    symbol: str
    places: int  # decimals


# Each with the time in µs from which the next one is used. The limits are those of the rounded values: 9.996
# ms is 10.0 ms and not 10.00 ms.
_TIME_UNITS = (
    (9.95, TimeUnit(1.0, "µs", 1)),
    (999.5, TimeUnit(1.0, "µs", 0)),
    (9_995.0, TimeUnit(1e3, "ms", 2)),
    (99_950.0, TimeUnit(1e3, "ms", 1)),
    (999_500.0, TimeUnit(1e3, "ms", 0)),
    (99.95e6, TimeUnit(1e6, "s", 1)),
    (inf, TimeUnit(1e6, "s", 0)),
)


def time_unit(us: float) -> TimeUnit:
    """Return the unit and the number of decimals for a time of `us` microseconds, 0 or more."""
    return next(unit for limit, unit in _TIME_UNITS if us < limit or limit == inf)


def us(value: float | None, places: int | None = None) -> str:
    """Return a time given in microseconds: 4.1 µs, 85 µs, 4.90 ms, 48.2 ms, 103 ms, 1.2 s.

    `places`: decimals in the unit that is chosen, instead of the usual number.
    """
    if value is None:
        return DASH
    unit = time_unit(value)
    decimals = (unit.places if value else 0) if places is None else places
    return f"{value / unit.us:,.{decimals}f} {unit.symbol}"


def clock_offset(value: float | None) -> str:
    """Return the offset of a clock given in microseconds, with its sign: +3.0 s, −24 µs, −12 h 5 min."""
    if value is None:
        return DASH
    sign = "−" if value < 0 else "+"
    return sign + (us(abs(value)) if abs(value) < 60e6 else duration(abs(value) / 1e6))


def us_tick(value: float) -> str:
    """Return the label of an axis tick at a round number of microseconds: 1 ms, 2.5 ms, 20 s."""
    unit = time_unit(value)
    return f"{value / unit.us:.6g} {unit.symbol}"


def seconds(value: float | None) -> str:
    """Return a time given in seconds, in the format of `us`: 500 ms, 10.0 s."""
    return "0 s" if value == 0 else us(None if value is None else value * 1e6)


def size(value: float | None) -> str:
    """Return a number of bytes: 34 MiB, 0.7 KiB."""
    if value is None:
        return DASH
    divisor, unit = size_unit(value)
    number = value / divisor
    return f"{number:.1f} {unit}" if unit != "B" and number < 10 else f"{number:,.0f} {unit}"


def size_unit(value: float) -> tuple[float, str]:
    """Return the unit for a number of bytes: bytes per unit, and its symbol."""
    divisor, symbols = 1.0, ["B", "KiB", "MiB", "GiB"]
    while value / divisor >= 1000 and len(symbols) > 1:
        divisor *= 1024
        symbols.pop(0)
    return divisor, symbols[0]


def decimal(value: float | None, places: int = 1) -> str:
    """Return a number with a fixed number of decimals and no unit: 41.6."""
    return DASH if value is None else f"{value:,.{places}f}"


def ratio(value: float | None) -> str:
    """Return a ratio or factor with three significant digits at most: "0.90", "5.9", "21"."""
    return decimal(value, 2 if value is None or value < 2 else 1 if value < 10 else 0)


def percent(value: float | None) -> str:
    """Return a number that is already in percent: 106 %, 4.5 %."""
    if value is None:
        return DASH
    return f"{value:.1f} %" if 0 < value < 10 else f"{value:.0f} %"


def share(value: float | None) -> str:
    """Return a fraction in percent: 0.998 is 99.8 %."""
    return DASH if value is None else f"{value * 100:.1f} %".replace(".0 %", " %")


def duration(seconds: float | None) -> str:
    """Return an uptime or another long time, rounded down: 12 s, 6 min, 2 h 5 min."""
    if seconds is None:
        return DASH
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def when(text: str | None) -> str | Markup:
    """Return an RFC 3339 timestamp as a `<time>` element; the browser shows it in its own time zone."""
    if not text:
        return DASH
    moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(text, f"{moment.day} {moment:%b %Y, %H:%M} UTC")


def knob(value: float | str | None) -> str:
    """Return a knob's value: 1,024, or a choice unchanged."""
    return value if isinstance(value, str) else count(value)


def knobs(values: Mapping[str, int | str], most: int = 99) -> str:
    """Return the first `most` knobs with their values: workers 4, reply worker."""
    return ", ".join(f"{name} {knob(value)}" for name, value in list(values.items())[:most])


def cpus(numbers: Sequence[int] | None) -> str:
    """Return a set of CPUs: 0–1, or 0, 2, 5."""
    if not numbers:
        return DASH
    ordered = sorted(numbers)
    if len(ordered) > 1 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{ordered[0]}–{ordered[-1]}"
    return ", ".join(map(str, ordered))


def port_range(ports: Sequence[int] | None) -> str:
    """Return a range of ports: 32768–60999."""
    return f"{ports[0]}–{ports[1]}" if ports else DASH


def environment_fact(value: Any, name: str) -> str:
    """Return the value of a field of an environment."""
    if name == "port_range":
        return port_range(value)
    return size(value) if name.endswith("_bytes") else fact(value)


def fact(value: Any) -> str:
    """Return a value of an environment, a placement or a plan, whatever its type."""
    if value is None or value == "":
        return DASH
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return decimal(value, 2)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {fact(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value)
    return str(value)


def label(name: str) -> str:
    """Return a field's name as a label, without its unit: cpu_model becomes CPU model."""
    names = {
        "descriptor_limit": "File-descriptor limit",
        "port_range": "Ephemeral ports",
        "somaxconn": "somaxconn",
        "threadlab": "threadlab",
    }
    if name in names:
        return names[name]
    known = {"cpu": "CPU", "gil": "GIL", "io": "I/O", "python": "Python"}
    text = " ".join(known.get(part, part) for part in name.removesuffix("_bytes").split("_"))
    return text[:1].upper() + text[1:]


def quantity(value: float | None, unit: str) -> str:
    """Return a value of a diff, by the name of its unit (a `unit` of app/history/diff.py)."""
    if value is None:
        return DASH
    sign = "−" if value < 0 else ""
    formatters: dict[str, Callable[[float], str]] = {
        "us": us,
        "bytes": size,
        "per_s": rate,
        "ratio": share,
        "count": count,
        "number": lambda v: decimal(v, 2),
        "seconds": seconds,
        "per_request": lambda v: decimal(v, 3),
    }
    return sign + formatters[unit](abs(value))


def change(value: float | None, unit: str) -> str:
    """Return a difference with its sign: +1.20 ms, −340, 0."""
    return quantity(value, unit) if not value or value < 0 else f"+{quantity(value, unit)}"


def figure_label(name: str) -> str:
    """Return the label of a diff's figure: p999_us becomes p99.9, offered_per_s becomes Offered."""
    known = {
        "p999_us": "p99.9",
        "offered_per_s": "Offered",
        "io_calls": "I/O calls",
        "anon_bytes_per_connection": "Memory per connection",
        "rss_bytes_peak": "RSS, peak",
        "stalled_us": "GIL or lock wait",
        "handoffs": "Hand-offs",
    }
    plain = name.removesuffix("_us").removesuffix("_per_s").removesuffix("_s")
    return known.get(name) or (plain if re.fullmatch(r"p\d+", plain) else label(plain))
