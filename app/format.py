"""Numbers, units, times and names as text. Pure functions.

Missing is an en dash, never 0. static/js formats the same way in the browser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

DASH = "–"


def count(value: float | None) -> str:
    """1,234"""
    return DASH if value is None else f"{round(value):,}"


def rate(value: float | None) -> str:
    """Requests a second: 3,194, and 7.5 where tenths matter."""
    if value is None:
        return DASH
    return f"{value:.1f}" if 0 < value < 10 else count(value)


def us(value: float | None) -> str:
    """Microseconds as one reads them: 85 µs, 4.9 ms, 103 ms, 2.9 s."""
    if value is None:
        return DASH
    scale, unit = (1.0, "µs") if value < 1e3 else (1e3, "ms") if value < 1e6 else (1e6, "s")
    number = value / scale
    return (
        f"{number:.0f} {unit}" if number >= 100 or (unit == "µs" and number >= 10) else f"{number:.1f} {unit}"
    )


def size(value: float | None) -> str:
    """Bytes: 34 MiB, 0.7 KiB."""
    if value is None:
        return DASH
    number, units = float(value), ["B", "KiB", "MiB", "GiB"]
    while number >= 1000 and len(units) > 1:
        number /= 1024
        units.pop(0)
    return f"{number:.1f} {units[0]}" if units[0] != "B" and number < 10 else f"{number:,.0f} {units[0]}"


def decimal(value: float | None, places: int = 1) -> str:
    """A cost in its own unit: 41.6"""
    return DASH if value is None else f"{value:,.{places}f}"


def percent(value: float | None) -> str:
    """A number that is already in percent: 106 %, 4.5 %."""
    if value is None:
        return DASH
    return f"{value:.1f} %" if 0 < value < 10 else f"{value:.0f} %"


def share(value: float | None) -> str:
    """A fraction of one: 0.998 is 99.8 %."""
    return DASH if value is None else f"{value * 100:.1f} %".replace(".0 %", " %")


def duration(seconds: float | None) -> str:
    """12 s, 6 min, 2 h 5 min."""
    if seconds is None:
        return DASH
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def when(text: str | None) -> str | Markup:
    """An RFC 3339 time as a <time>; the browser writes it in the viewer's zone."""
    if not text:
        return DASH
    moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(text, f"{moment.day} {moment:%b %Y, %H:%M} UTC")


def knob(value: float | str | None) -> str:
    """A knob's value: 1,024, or the word as it is."""
    return value if isinstance(value, str) else count(value)


def knobs(values: Mapping[str, int | str], most: int = 99) -> str:
    """workers 4, reply worker"""
    return ", ".join(f"{name} {knob(value)}" for name, value in list(values.items())[:most])


def cpus(numbers: Sequence[int] | None) -> str:
    """CPU sets: 0–1, or 0, 2, 5."""
    if not numbers:
        return DASH
    ordered = sorted(numbers)
    if len(ordered) > 1 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{ordered[0]}–{ordered[-1]}"
    return ", ".join(map(str, ordered))


def fact(value: Any) -> str:
    """Any value of an environment or a placement, in words."""
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


def words(name: str) -> str:
    """cpu_model becomes CPU model; known abbreviations keep their capitals, and a unit is said with the value."""
    known = {"cpu": "CPU", "gil": "GIL", "io": "I/O", "python": "Python"}
    text = " ".join(known.get(part, part) for part in name.removesuffix("_bytes").split("_"))
    return text[:1].upper() + text[1:]


def figure(value: float | None, unit: str) -> str:
    """A figure of two runs side by side, by its unit."""
    if value is None:
        return DASH
    sign = "−" if value < 0 else ""
    shown: dict[str, Callable[[float], str]] = {
        "us": us,
        "bytes": size,
        "per_s": rate,
        "ratio": share,
        "count": count,
        "seconds": lambda v: f"{v:.1f} s",
        "per_request": lambda v: decimal(v, 3),
    }
    return sign + shown[unit](abs(value))


def change(value: float | None, unit: str) -> str:
    """A change with its sign: +1.2 ms, −340, 0."""
    return figure(value, unit) if not value or value < 0 else f"+{figure(value, unit)}"


def figure_name(name: str) -> str:
    """p999_us becomes p99.9, achieved_per_s becomes Achieved; the unit stands with the value."""
    known = {
        "p999_us": "p99.9",
        "io_calls": "I/O calls",
        "anon_bytes_per_connection": "Memory per connection",
    }
    plain = name.removesuffix("_us").removesuffix("_per_s").removesuffix("_s")
    return known.get(name) or (
        plain if re.fullmatch(r"p\d+", plain) else words(plain).replace("Rss bytes", "RSS,")
    )
