"""How many CPU cores an engine uses, or would use if no other process had them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from tests.engines.driver import HOST, Client, Engine

ROUNDS = 5


def cores_used(engine: Engine, act: Callable[[], None]) -> float:
    """CPU seconds that the engine used per second of `act`. Other processes can only lower it."""
    began_s, cpu_s = time.monotonic(), engine.cpu_s()
    act()
    return (engine.cpu_s() - cpu_s) / (time.monotonic() - began_s)


def cores_wanted(engine: Engine, act: Callable[[], None]) -> float:
    """Seconds that the engine's threads ran, or were ready to run and had to wait for a CPU, per second of
    `act`.
    """
    began_s, cpu_s, wait_s = time.monotonic(), engine.cpu_s(), engine.run_queue_s()
    act()
    wall_s = time.monotonic() - began_s
    return (engine.cpu_s() - cpu_s + engine.run_queue_s() - wait_s) / wall_s


def request_of(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\n".encode() + HOST + b"\r\n"


def ask_together(clients: Sequence[Client], target: str) -> None:
    """All ask, and then each reads its answer."""
    for client in clients:
        client.send(request_of(target))
    for client in clients:
        assert client.answer().status == 200


def ask_in_sequence(clients: Sequence[Client], target: str) -> None:
    for client in clients:
        ask_together([client], target)


def overlap(engine: Engine, clients: Sequence[Client], target: str) -> float:
    """Cores wanted when the clients ask at the same time, relative to one after the other: the median of
    alternated rounds. 1: the work does not overlap.
    """
    ratios = []
    for _ in range(ROUNDS):
        control = cores_wanted(engine, lambda: ask_in_sequence(clients, target))
        ratios.append(cores_wanted(engine, lambda: ask_together(clients, target)) / control)
    return statistics.median(ratios)


def most_cores(engine: Engine, clients: Sequence[Client], target: str) -> float:
    """The most cores that were used in any round in which the clients asked at the same time."""
    return max(cores_used(engine, lambda: ask_together(clients, target)) for _ in range(ROUNDS))
