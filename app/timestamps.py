"""Timestamps as text: RFC 3339 in UTC with milliseconds, so that the texts sort like the times."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339_now() -> str:
    """Return the current time, such as `2026-11-01T10:00:00.000Z`."""
    return rfc3339(datetime.now(UTC))


def rfc3339(time: datetime) -> str:
    """Return a time-zone-aware time as text."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
