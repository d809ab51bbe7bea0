"""curl, wrk and ab against every engine: programs of other people, which must not meet a single error.

    python -m tests.bench.foreign [--seconds 5]

ab without -k opens a connection for each request. Prints requests and errors; exit code 1 if there was an error.
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


class Told(NamedTuple):
    requests: int
    errors: int


def by_curl(port: int, seconds: float) -> Told:
    """One curl after the other, each with 500 requests on kept connections and one POST with a body."""
    requests = errors = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for arguments in (
            [f"http://127.0.0.1:{port}/?[1-500]"],
            ["-d", "x" * 2000, f"http://127.0.0.1:{port}/echo"],
        ):
            # By -w, for -o is for the first URL only; the bodies go to the same place and are of no interest.
            command = ["curl", "-sS", "-w", "\n%{http_code}\n", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
            codes = re.findall(r"^(\d{3})$", done.stdout, re.MULTILINE)
            requests += len(codes)
            errors += sum(code != "200" for code in codes) + (done.returncode != 0) + bool(done.stderr)
    return Told(requests, errors)


def by_wrk(port: int, seconds: float) -> Told:
    loaded = wrk(port, CONNECTIONS, seconds, cpu=None)
    return Told(loaded.requests, loaded.errors)


def by_ab(port: int, seconds: float, *more: str) -> Told:
    command = ["ab", "-q", "-t", f"{seconds:.0f}", "-n", "100000000", "-c", str(CONNECTIONS), *more]
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
        return Told(int(complete[1]) if complete else 0, 1)
    counts = re.findall(r"(?:Failed requests|Write errors|Non-2xx responses):\s+(\d+)", done.stdout)
    kept = re.search(r"Keep-Alive requests:\s+(\d+)", done.stdout)
    not_kept = "-k" in more and (not kept or int(kept[1]) < int(complete[1]) * 0.99)
    return Told(int(complete[1]), sum(map(int, counts)) + not_kept)


PROGRAMS: dict[str, Callable[[int, float], Told]] = {
    "curl": by_curl,
    "wrk": by_wrk,
    "ab -k": lambda port, seconds: by_ab(port, seconds, "-k"),
    "ab": by_ab,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5)
    asked = parser.parse_args()
    require("curl", "wrk", "ab")
    errors = 0
    print(
        f"requests and errors in {asked.seconds:.0f} s\n{'':28}" + "".join(f"{name:>18}" for name in PROGRAMS)
    )
    for variant in VARIANTS:
        server = engine(variant, cpu=None)
        if server.missing:
            print(f"{server.name:28} skipped: {server.missing}")
            continue
        print(f"{server.name:28}", end="", flush=True)
        for program in PROGRAMS.values():
            with server.serve() as serving:
                told = program(serving.port, asked.seconds)
            errors += told.errors
            print(f"{told.requests:>12,} {told.errors:>5}", end="", flush=True)
        print()
    if errors:
        raise SystemExit(f"{errors} errors")


if __name__ == "__main__":
    main()
