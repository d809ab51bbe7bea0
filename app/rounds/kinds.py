"""Which hosts measured rounds, and what depends on their kind. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.schemas.host import HostView, RoundHost

KINDS_DIFFER = "The result depends on the kind of host: "  # begins the note


def with_round(hosts: Sequence[RoundHost], host: HostView) -> tuple[RoundHost, ...]:
    """Return the hosts with one round more of `host`, by name."""
    found = {(each.name, each.kind): each for each in hosts}
    before = found.get((host.name, host.kind), RoundHost(host.name, host.kind, 0))
    found[host.name, host.kind] = replace(before, rounds=before.rounds + 1)
    return tuple(sorted(found.values(), key=lambda each: each.name))


def differ(by_kind: Mapping[str, str]) -> str | None:
    """Return the note that results differ between kinds of hosts; None: they are equal.

    `by_kind`: the result in words, by the kind of host.
    """
    if len(set(by_kind.values())) < 2:
        return None
    return KINDS_DIFFER + "; ".join(f"{result} on {kind}" for kind, result in by_kind.items()) + "."


def noted(notes: Sequence[str], of_kinds: str | None) -> tuple[str, ...]:
    """Return the notes with the newest one about kinds of hosts, which replaces an earlier one."""
    others = (each for each in notes if not each.startswith(KINDS_DIFFER))
    return (*others, of_kinds) if of_kinds else tuple(others)
