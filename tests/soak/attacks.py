"""Soak test: slow header, slow body and slow read by `slowhttptest` on every engine.

    python -m tests.soak.attacks [--seconds 60] [--connections 200] [--model reactor]

Each attack runs twice: on engines with default timeouts, where it is repeated when its connections are
closed, and on engines whose timeouts are longer than the attack. Meanwhile every 100 ms a new connection
sends one plaintext request, which must succeed. `blocking` has a thread per connection, so it passes until
`max_threads` is below the number of attackers: then it must report that it is saturated, and respond again
within 2 s after the attack.
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

PROBE_INTERVAL_S = 0.1
PROBE_TIMEOUT_S = 5.0  # a slower probe has failed
RECOVERY_MAX_S = 2.0
RATE = 100  # connections per second of one attack
LONG = {"header_s": 600, "body_s": 600, "write_s": 600, "idle_s": 600}
FEW_THREADS = Variant("blocking", (("max_threads", 150),))


@dataclass(frozen=True)
class Attack:
    """The arguments of slowhttptest."""

    name: str
    target: str
    flags: tuple[str, ...]
    alone: bool = False  # one engine at a time, because the attack needs much kernel memory


# A slow reader leaves up to 4 MiB in the kernel's send buffer (tcp_wmem), 200 of them 770 MiB. Two engines at
# once reach the limit of all TCP memory (tcp_mem), where the kernel, not the engine, delays all connections.
SLOW_READ = ("-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "10")
ATTACKS = (
    Attack("slow header", "/", ("-H", "-i", "5", "-x", "24")),
    Attack("slow body", "/echo", ("-B", "-i", "5", "-x", "24", "-s", "65536")),
    Attack("slow read", "/bytes?n=1048576", ("-X", *SLOW_READ), alone=True),
)


@dataclass
class Outcome:
    """The result of one attack on one engine."""

    engine: Engine
    held: int = 0  # maximum number of open connections
    was_full: bool = False
    failed: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    recovery_s: float = 0.0  # from the end of the attack to a response

    def sample(self) -> None:
        """Read the board of the engine."""
        board = self.engine.board()
        self.held = max(self.held, sum(thread.connections for thread in board.threads))
        self.was_full = self.was_full or board.saturated

    def probe(self) -> None:
        """Send one request."""
        took_s = ask_once(self.engine.port, PROBE_TIMEOUT_S)
        self.failed += took_s is None
        if took_s is not None:
            self.latencies_ms.append(1000 * took_s)

    @property
    def passed(self) -> bool:
        served = self.was_full if self.has_few_threads else not self.failed
        return served and self.recovery_s < RECOVERY_MAX_S

    @property
    def has_few_threads(self) -> bool:
        return "max_threads" in dict(self.engine.variant.knobs)

    def line(self) -> str:
        """Return the row of the table."""
        if self.latencies_ms:
            cuts = quantiles(self.latencies_ms, n=100)
            latency = f"{cuts[49]:8.1f} {cuts[98]:8.1f} {max(self.latencies_ms):8.1f} ms"
        else:
            latency = f"{'–':>8} {'–':>8} {'–':>8}   "
        return (
            f"{self.held:5} {len(self.latencies_ms):7} {self.failed:7} {latency} "
            f"{'full' if self.was_full else '':5} {self.recovery_s:6.2f} s {'' if self.passed else 'FAILED'}"
        )


def attack_engine(engine: Engine, attack: Attack, seconds: float, connections: int) -> Outcome:
    """Attack one engine, and probe it during and after the attack."""
    outcome = Outcome(engine)
    with run_attack(engine.port, attack, seconds, connections) as over:
        due_s = time.monotonic()
        while not over.wait(max(0.0, due_s - time.monotonic())):
            outcome.sample()
            if not outcome.has_few_threads:  # else it cannot respond
                outcome.probe()
            due_s = max(due_s + PROBE_INTERVAL_S, time.monotonic())
    ended_s = time.monotonic()
    while ask_once(engine.port, PROBE_TIMEOUT_S) is None and time.monotonic() < ended_s + 60:
        pass
    outcome.recovery_s = time.monotonic() - ended_s
    return outcome


@contextlib.contextmanager
def run_attack(port: int, attack: Attack, seconds: float, connections: int) -> Iterator[threading.Event]:
    """Run the attack for `seconds`; repeat it if the engine closes its connections.

    Yields an event for its end.
    """
    over = threading.Event()
    ends_s = time.monotonic() + seconds

    def repeat_attack() -> None:
        while (left_s := ends_s - time.monotonic()) >= 1:
            subprocess.run(
                slowhttptest_command(port, attack, round(left_s), connections),
                capture_output=True,
                timeout=seconds + 60,
            )
        over.set()

    attacker = threading.Thread(target=repeat_attack)
    attacker.start()
    yield over
    attacker.join()


def slowhttptest_command(port: int, attack: Attack, seconds: int, connections: int) -> list[str]:
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


def attack_all(
    variants: Sequence[Variant], attack: Attack, seconds: float, connections: int
) -> Iterator[Outcome]:
    """Run one attack on all engines, at the same time unless it must run alone."""
    at_once = 1 if attack.alone else len(variants)
    for first in range(0, len(variants), at_once):
        yield from attack_together(variants[first : first + at_once], attack, seconds, connections)


def attack_together(
    variants: Sequence[Variant], attack: Attack, seconds: float, connections: int
) -> list[Outcome]:
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(variants)) as threads:
        engines = [stack.enter_context(running(variant)) for variant in variants]
        return list(threads.map(lambda engine: attack_engine(engine, attack, seconds, connections), engines))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--model", choices=list(model_modules()), help="only this model")
    options = parser.parse_args()
    require("slowhttptest")
    allow_descriptors()
    wanted = [v for v in (*VARIANTS, FEW_THREADS) if options.model in (None, v.model)]
    variants = [v for v in wanted if not model_modules()[v.model].MODEL.why_unavailable()]
    failures = [
        f"{variant.name}: {attack.name}"
        for knobs in ({}, LONG)
        for attack in ATTACKS
        for variant in report_attack(variants, attack, knobs, options.seconds, options.connections)
    ]
    if failures:
        raise SystemExit(f"failed: {', '.join(failures)}")


def report_attack(
    variants: Sequence[Variant], attack: Attack, knobs: Mapping[str, int], seconds: float, connections: int
) -> Iterator[Variant]:
    """Run one attack, print its table, and yield the variants that failed."""
    timeouts = "timeouts longer than the attack" if knobs else "default timeouts"
    write_line(f"\n{attack.name}, {connections} connections, {seconds:.0f} s, {timeouts}")
    write_line(
        f"{'':28} {'held':>5} {'served':>7} {'failed':>7} {'p50':>8} {'p99':>8} {'max':>8}    "
        f"{'':5} {'recov.':>6}"
    )
    chosen = [variant.with_knobs(**knobs) for variant in variants]
    for variant, outcome in zip(variants, attack_all(chosen, attack, seconds, connections), strict=True):
        write_line(f"{variant.name:28} {outcome.line()}")
        if not outcome.passed:
            yield variant


def write_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
