"""Loads every engine with curl, wrk and ab. Exit code 1 if any of them reports an error.

    python -m tests.bench.other_clients [--seconds 5]

ab without -k opens a connection for each request. Prints requests and errors of each client and engine.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.engines.driver import VARIANTS

from .servers import engine, require, wrk

CONNECTIONS = 32


class Counts(NamedTuple):
    """What a client counted."""

    requests: int
    errors: int


def by_curl(port: int, seconds: float) -> Counts:
    """Run curl repeatedly: 500 requests on kept-alive connections, then one POST with a body."""
    requests = errors = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for arguments in (
            [f"http://127.0.0.1:{port}/?[1-500]"],
            ["-d", "x" * 2000, f"http://127.0.0.1:{port}/echo"],
        ):
            # Statuses are printed by -w: -o applies to the first URL only, so the bodies are in stdout too.
            command = ["curl", "-sS", "-w", "\n%{http_code}\n", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
            codes = re.findall(r"^(\d{3})$", done.stdout, re.MULTILINE)
            requests += len(codes)
            errors += sum(code != "200" for code in codes) + (done.returncode != 0) + bool(done.stderr)
    return Counts(requests, errors)


def by_wrk(port: int, seconds: float) -> Counts:
    """Run wrk once."""
    loaded = wrk(port, CONNECTIONS, seconds, cpu=None)
    return Counts(loaded.requests, loaded.errors)


def by_ab(port: int, seconds: float, *flags: str) -> Counts:
    """Run ab once. With -k, connections that are not kept alive count as an error."""
    command = ["ab", "-q", "-t", f"{seconds:.0f}", "-n", "100000000", "-c", str(CONNECTIONS), *flags]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/"],
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        check=False,
    )
    complete = re.search(r"Complete requests:\s+(\d+)", done.stdout)
    if done.returncode or not complete:
        print(done.stdout[-300:], done.stderr[-300:])
        return Counts(int(complete[1]) if complete else 0, 1)
    found = re.findall(r"(?:Failed requests|Write errors|Non-2xx responses):\s+(\d+)", done.stdout)
    kept = re.search(r"Keep-Alive requests:\s+(\d+)", done.stdout)
    not_kept = "-k" in flags and (not kept or int(kept[1]) < int(complete[1]) * 0.99)
    return Counts(int(complete[1]), sum(map(int, found)) + not_kept)


CLIENTS: dict[str, Callable[[int, float], Counts]] = {
    "curl": by_curl,
    "wrk": by_wrk,
    "ab -k": lambda port, seconds: by_ab(port, seconds, "-k"),
    "ab": by_ab,
}


def main() -> None:
    """Run every client against every engine and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    require("curl", "wrk", "ab")
    errors = 0
    print(
        f"requests and errors in {options.seconds:.0f} s\n{'':28}"
        + "".join(f"{name:>18}" for name in CLIENTS)
    )
    for variant in VARIANTS:
        server = engine(variant, cpu=None)
        if server.missing:
            print(f"{server.name:28} skipped: {server.missing}")
            continue
        print(f"{server.name:28}", end="", flush=True)
        for client in CLIENTS.values():
            with server.serve() as serving:
                counts = client(serving.port, options.seconds)
            errors += counts.errors
            print(f"{counts.requests:>12,} {counts.errors:>5}", end="", flush=True)
        print()
    if errors:
        raise SystemExit(f"{errors} errors")


if __name__ == "__main__":
    main()
