"""Slow header, slow body and slow read by `slowhttptest`, 200 connections for 60 s, on every engine.

    python -m tests.soak.attacks [--seconds 60] [--connections 200] [--model reactor]

Each attack comes twice: at engines with their own deadlines, where it is begun again whenever its connections are
gone, and at engines whose deadlines are longer than the attack, which have to live with all of it. Meanwhile a new
connection asks for one plaintext answer every 100 ms, and must get it. `blocking` has a thread for each connection,
so it stands this too, until its `max_threads` are fewer than the attackers: then it must say that it is full, and
answer again within 2 s after the attack.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import quantiles

from engines.catalogue import model_modules
from tests.bench.servers import require
from tests.engines.crowds import allow_descriptors, ask_once
from tests.engines.driver import VARIANTS, Engine, Variant, running

PROBE_EVERY_S = 0.1
PATIENCE_S = 5.0  # beyond it a probe has failed
BACK_WITHIN_S = 2.0
RATE = 100  # connections a second of one attack
LONG = {"header_s": 600, "body_s": 600, "write_s": 600, "idle_s": 600}
FEW_THREADS = Variant("blocking", (("max_threads", 150),))


@dataclass(frozen=True)
class Attack:
    """What slowhttptest is told."""

    name: str
    target: str
    flags: tuple[str, ...]
    alone: bool = False  # one engine at a time: the attack costs more of the kernel than of an engine


# Who reads slowly leaves up to 4 MiB in the kernel's send buffer (tcp_wmem), 200 of them 770 MiB. Two engines at once
# bring this machine to the limit of all TCP memory (tcp_mem), where the kernel, not the engine, delays everybody.
SLOWLY = ("-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "10")
ATTACKS = (
    Attack("slow header", "/", ("-H", "-i", "5", "-x", "24")),
    Attack("slow body", "/echo", ("-B", "-i", "5", "-x", "24", "-s", "65536")),
    Attack("slow read", "/bytes?n=1048576", ("-X", *SLOWLY), alone=True),
)


@dataclass
class Outcome:
    """How an engine stood one attack."""

    engine: Engine
    held: int = 0  # at most, at the same time
    said_full: bool = False
    failed: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    back_s: float = 0.0  # from the end of the attack to an answer

    def look(self) -> None:
        board = self.engine.board()
        self.held = max(self.held, sum(thread.connections for thread in board.threads))
        self.said_full = self.said_full or board.saturated

    def probe(self) -> None:
        took_s = ask_once(self.engine.port, PATIENCE_S)
        self.failed += took_s is None
        if took_s is not None:
            self.latencies_ms.append(1000 * took_s)

    @property
    def stood(self) -> bool:
        served = self.said_full if self.has_few_threads else not self.failed
        return served and self.back_s < BACK_WITHIN_S

    @property
    def has_few_threads(self) -> bool:
        return "max_threads" in dict(self.engine.variant.knobs)

    def line(self) -> str:
        if self.latencies_ms:
            cuts = quantiles(self.latencies_ms, n=100)
            latency = f"{cuts[49]:8.1f} {cuts[98]:8.1f} {max(self.latencies_ms):8.1f} ms"
        else:
            latency = f"{'–':>8} {'–':>8} {'–':>8}   "
        return (
            f"{self.held:5} {len(self.latencies_ms):7} {self.failed:7} {latency} {'full' if self.said_full else '':5} "
            f"{self.back_s:6.2f} s {'' if self.stood else 'DID NOT STAND'}"
        )


def suffer(engine: Engine, attack: Attack, seconds: float, connections: int) -> Outcome:
    """Attack one engine, and see how others are served meanwhile and afterwards."""
    outcome = Outcome(engine)
    with attacking(engine.port, attack, seconds, connections) as over:
        due_s = time.monotonic()
        while not over.wait(max(0.0, due_s - time.monotonic())):
            outcome.look()
            if not outcome.has_few_threads:  # it cannot answer: it says so
                outcome.probe()
            due_s = max(due_s + PROBE_EVERY_S, time.monotonic())
    ended_s = time.monotonic()
    while ask_once(engine.port, PATIENCE_S) is None and time.monotonic() < ended_s + 60:
        pass
    outcome.back_s = time.monotonic() - ended_s
    return outcome


@contextlib.contextmanager
def attacking(port: int, attack: Attack, seconds: float, connections: int) -> Iterator[threading.Event]:
    """Attack until `seconds` are over, again and again where the engine lets go of the attackers."""
    over = threading.Event()
    ends_s = time.monotonic() + seconds

    def attack_on() -> None:
        while (left_s := ends_s - time.monotonic()) >= 1:
            subprocess.run(
                order(port, attack, round(left_s), connections), capture_output=True, timeout=seconds + 60
            )
        over.set()

    attacker = threading.Thread(target=attack_on)
    attacker.start()
    yield over
    attacker.join()


def order(port: int, attack: Attack, seconds: int, connections: int) -> list[str]:
    return [
        "slowhttptest",
        "-u",
        f"http://127.0.0.1:{port}{attack.target}",
        "-c",
        str(connections),
        "-r",
        str(RATE),
        "-l",
        str(seconds),
        "-p",
        "3",
        *attack.flags,
    ]


def campaign(
    variants: Sequence[Variant], attack: Attack, seconds: float, connections: int
) -> Iterator[Outcome]:
    """One attack on all engines, at the same time if it can be."""
    at_once = 1 if attack.alone else len(variants)
    for first in range(0, len(variants), at_once):
        yield from together(variants[first : first + at_once], attack, seconds, connections)


def together(variants: Sequence[Variant], attack: Attack, seconds: float, connections: int) -> list[Outcome]:
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(variants)) as threads:
        engines = [stack.enter_context(running(variant)) for variant in variants]
        return list(threads.map(lambda engine: suffer(engine, attack, seconds, connections), engines))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--model", choices=list(model_modules()), help="only this one")
    asked = parser.parse_args()
    require("slowhttptest")
    allow_descriptors()
    wanted = [v for v in (*VARIANTS, FEW_THREADS) if asked.model in (None, v.model)]
    variants = [v for v in wanted if not model_modules()[v.model].MODEL.why_unavailable()]
    fell = [
        f"{variant.name}: {attack.name}"
        for knobs in ({}, LONG)
        for attack in ATTACKS
        for variant in tabled(variants, attack, knobs, asked.seconds, asked.connections)
    ]
    if fell:
        raise SystemExit(f"did not stand it: {', '.join(fell)}")


def tabled(
    variants: Sequence[Variant], attack: Attack, knobs: Mapping[str, int], seconds: float, connections: int
) -> Iterator[Variant]:
    """Print a table of one attack; answers who did not stand it."""
    deadlines = "deadlines longer than the attack" if knobs else "its own deadlines"
    say(f"\n{attack.name}, {connections} connections, {seconds:.0f} s, {deadlines}")
    say(
        f"{'':28} {'held':>5} {'served':>7} {'failed':>7} {'p50':>8} {'p99':>8} {'max':>8}    {'':5} {'back':>6}"
    )
    chosen = [variant.with_knobs(**knobs) for variant in variants]
    for variant, outcome in zip(variants, campaign(chosen, attack, seconds, connections), strict=True):
        say(f"{variant.name:28} {outcome.line()}")
        if not outcome.stood:
            yield variant


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
