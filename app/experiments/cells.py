"""Entries and cells that several claims need, so that they are measured once for all of them."""

from __future__ import annotations

from typing import Any

from app.experiments.claim import Cell, Entry

BLOCKING = Entry("blocking")
REACTOR = Entry("reactor")
POOL = Entry("reactor-pool")
MAIN_SUB = Entry("main-sub")
PROACTOR = Entry("proactor")
PREFORK = Entry("prefork")

CLOSED, OPEN = "constant-vus", "constant-arrival-rate"
RATE_PER_S = 10_000  # a rate that every model sustains on one core
HASH_US = 2000  # at 1 ms, the load generator needs more than a tenth of a slow CPU
CPU_US = 5000


def work(kind: str, weight: int = 1, **params: int) -> dict[str, Any]:
    """Return one kind of a request mix."""
    return {"kind": kind, "weight": weight, "params": params}


def hash_shared(*entries: Entry) -> Cell:
    """Return 16 connections of work that releases the GIL, with all CPUs for server and load generator."""
    plan = {"executor": CLOSED, "vus": 16, "placement": "shared", "work": [work("hash", us=HASH_US)]}
    return Cell("hash", f"hash {HASH_US / 1000:g} ms, GIL released, all CPUs", plan, entries)


def cpu_shared(*entries: Entry) -> Cell:
    """Return 16 connections of work that holds the GIL, with all CPUs for server and load generator."""
    plan = {"executor": CLOSED, "vus": 16, "placement": "shared", "work": [work("cpu", us=CPU_US)]}
    return Cell("cpu", f"cpu {CPU_US / 1000:g} ms, GIL held, all CPUs", plan, entries)


def plaintext_maximum(*entries: Entry, vus: int = 64) -> Cell:
    """Return plaintext as fast as `vus` connections carry it."""
    plan = {"executor": CLOSED, "vus": vus}
    return Cell(f"plaintext-{vus}", f"plaintext, {vus:,} connections, maximum", plan, entries)


def plaintext_rate(*entries: Entry) -> Cell:
    """Return plaintext at a fixed rate over 64 connections. The A/A pair has the same cell."""
    plan = {"executor": OPEN, "rate_per_s": RATE_PER_S, "vus": 64}
    return Cell("plaintext-rate", f"plaintext at {RATE_PER_S:,} req/s", plan, entries)


def idle(connections: int, *entries: Entry) -> Cell:
    """Return 16 active connections beside idle ones."""
    plan = {"executor": CLOSED, "vus": 16, "idle_connections": connections, "think_time_ms": 10}
    return Cell(f"idle-{connections}", f"{connections:,} idle and 16 active connections", plan, entries)
