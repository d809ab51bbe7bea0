"""Hosts that are not there, for tests of what is decided about them."""

from __future__ import annotations

from typing import Any

from app.schemas.host import HostRole, HostState, HostUse, HostView


def host_view(**changed: Any) -> HostView:
    """Return a host of a cluster that is ready for load and rounds, with some fields changed."""
    fields: dict[str, Any] = {
        "name": "a",
        "address": "tls://10.0.0.2:41234",
        "state": HostState.READY,
        "reason": None,
        "roles": (HostRole.LOAD, HostRole.ROUNDS),
        "cores": 2,
        "cpu_model": "AMD EPYC",
        "memory_bytes": 2**34,
        "descriptor_limit": 20_000,
        "python": "CPython 3.11.7",
        "kernel": "Linux 6.18",
        "version": "0.1.0",
        "clock_offset_us": 0.0,
        "clock_error_us": 50.0,
        "wall_offset_us": 0.0,
        "rtt_us": 400.0,
    }
    return HostView(**{**fields, **changed})


def host_use(name: str = "a", **changed: Any) -> HostUse:
    """Return the part of a host in a run, before its clock and round trip were measured."""
    return HostUse(
        **{"name": name, "cores": 2, "kernel": "Linux 6.18", "python": "CPython 3.11.7", **changed}
    )
