"""The age of a frame when it arrives at fifty viewers at 10 Hz, without and with ten stalled viewers.

    python -m tests.bench.viewers [--viewers 50] [--stalled 10] [--seconds 20]

Five engines run, one of them under load. Every viewer subscribes to threads, lanes and connections of that
one. A frame has the time at which it was made (CLOCK_MONOTONIC, the same for all processes). Exit code 1 if
the p99 of the age is 250 ms or more, or if a stalled viewer is not closed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import socket
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

from websockets.asyncio.client import connect

from tests.app.driver import LabProcess, until

AGE_P99_MAX_MS = 250.0
CLOSED_WITHIN_S = 30.0
POLL_S = 0.5
HEAD = re.compile(r'"seq":(\d+),"t_s":([\d.]+),"skipped":(\d+)')


class Ages:
    """The frames that all viewers received."""

    def __init__(self) -> None:
        self.ms: list[float] = []
        self.frames: Counter[int] = Counter()
        self.skipped = self.size = 0


async def view(url: str, wants: str, ends_s: float, ages: Ages, number: int) -> None:
    async with connect(url, max_size=None) as socket:
        await socket.send(wants)
        while (left := ends_s - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                text = str(await asyncio.wait_for(socket.recv(), left))
                now_s = time.monotonic()
                if text.startswith('{"type":"frame"') and (found := HEAD.search(text)):
                    ages.ms.append((now_s - float(found[2])) * 1000)
                    ages.frames[number] += 1
                    ages.skipped += int(found[3])
                    ages.size += len(text)


async def view_all(url: str, wants: str, number: int, seconds: float) -> Ages:
    ages = Ages()
    ends_s = time.monotonic() + seconds
    await asyncio.gather(*(view(url, wants, ends_s, ages, each) for each in range(number)))
    return ages


def stall(lab: LabProcess, wants: str) -> socket.socket:
    """Open a viewer that subscribes and never reads a frame."""
    sock = socket.create_connection(("127.0.0.1", lab.port))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    head = (
        f"GET /ws/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{lab.port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    sock.sendall(head.encode())
    assert sock.recv(12).startswith(b"HTTP/1.1 101")
    data = wants.encode()
    size = bytes((0x80 | 126, *len(data).to_bytes(2))) if len(data) > 125 else bytes((0x80 | len(data),))
    sock.sendall(b"\x81" + size + b"\0\0\0\0" + data)  # masked with zeros
    return sock


def viewers_of(lab: LabProcess) -> int:
    found = re.search(r"^threadlab_viewers (\d+)", lab.http.get("/metrics").text, re.MULTILINE)
    assert found
    return int(found[1])


async def closed_after_s(lab: LabProcess, viewers: int, stalled: int) -> float:
    """Return after how many seconds the lab has closed the stalled viewers, to half a second."""
    began_s = time.monotonic()
    for wanted in (viewers + stalled, viewers):
        while await asyncio.to_thread(viewers_of, lab) != wanted:
            await asyncio.sleep(POLL_S)
    return time.monotonic() - began_s


async def view_beside_stalled(
    lab: LabProcess, wants: str, args: argparse.Namespace
) -> tuple[Ages, float | None]:
    """View while others are stalled. Return the ages, and when those were closed (None: they were not)."""
    closed = asyncio.create_task(closed_after_s(lab, args.viewers, args.stalled))
    ages = await view_all(live_url(lab), wants, args.viewers, args.seconds)
    return ages, closed.result() if closed.done() else None


def live_url(lab: LabProcess) -> str:
    return f"ws{lab.url[4:]}/ws/v1/live"


def print_ages(name: str, ages: Ages, viewers: int, seconds: float) -> float:
    cuts = statistics.quantiles(ages.ms, n=100)
    fewest = min(ages.frames.values()) / seconds if len(ages.frames) == viewers else 0.0
    print(
        f"{name:24} age of a frame, ms: p50 {cuts[49]:6.1f}  p99 {cuts[98]:6.1f}  max {max(ages.ms):6.1f}   "
        f"n = {len(ages.ms):,} frames of {ages.size / len(ages.ms) / 1024:.1f} KiB, "
        f"{ages.skipped:,} skipped, "
        f"at least {fewest:.1f} frames/s per viewer",
        flush=True,
    )
    return cuts[98]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--stalled", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(LabProcess(Path(folder))) as lab:
        engines = [
            lab.start(model)["id"] for model in ("reactor", "blocking", "reactor-pool", "main-sub", "prefork")
        ]
        wants = json.dumps(
            {
                "type": "subscribe",
                "engines": [engines[2]],
                "threads": True,
                "trace": True,
                "connections": True,
            }
        )
        load = {"executor": "constant-arrival-rate", "rate_per_s": 500, "vus": 32, "trace": True}
        lab.submit(engine=engines[2], plan={**load, "duration_s": 2 * args.seconds + 40, "warmup_s": 1})
        alone = asyncio.run(view_all(live_url(lab), wants, args.viewers, args.seconds))
        p99 = print_ages("viewers", alone, args.viewers, args.seconds)
        until(lambda: viewers_of(lab) == 0, "all viewers are closed", CLOSED_WITHIN_S)
        stalled = [stall(lab, wants) for _ in range(args.stalled)]
        beside, closed_s = asyncio.run(view_beside_stalled(lab, wants, args))
        worse = print_ages(f"with {args.stalled} stalled", beside, args.viewers, args.seconds)
        until(lambda: viewers_of(lab) == 0, "the stalled viewers are closed", CLOSED_WITHIN_S)
        after = "after the measurement" if closed_s is None else f"{closed_s:.1f} s after they connected"
        print(f"the stalled viewers were closed {after}")
        for sock in stalled:
            sock.close()
        lab.clean_up()
    if max(p99, worse) >= AGE_P99_MAX_MS:
        raise SystemExit(
            f"p99 of the age of a frame: {max(p99, worse):.0f} ms; target: {AGE_P99_MAX_MS:.0f} ms"
        )


if __name__ == "__main__":
    main()
