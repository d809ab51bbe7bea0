"""Fifty pages at 10 Hz: how old is a frame when it arrives? And ten more that take nothing: are they closed, and does
anybody notice?

    python -m tests.bench.viewers [--viewers 50] [--stalled 10] [--seconds 20]

Five engines run, one of them under load; every page asks for threads, lanes and connections of that one. A frame says
when it was made (CLOCK_MONOTONIC, one clock for all processes here). Exit code 1 if p99 of the age is 250 ms or more,
or if a stalled page is not closed.
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
LOOK_S = 0.5
HEAD = re.compile(r'"seq":(\d+),"t_s":([\d.]+),"skipped":(\d+)')


class Ages:
    """What the pages have seen."""

    def __init__(self) -> None:
        self.ms: list[float] = []
        self.frames: Counter[int] = Counter()
        self.skipped = self.size = 0


async def page(url: str, wants: str, ends_s: float, ages: Ages, number: int) -> None:
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


async def look(url: str, wants: str, number: int, seconds: float) -> Ages:
    ages = Ages()
    ends_s = time.monotonic() + seconds
    await asyncio.gather(*(page(url, wants, ends_s, ages, each) for each in range(number)))
    return ages


def stall(lab: LabProcess, wants: str) -> socket.socket:
    """A page that asks for everything and never takes it."""
    sock = socket.create_connection(("127.0.0.1", lab.port))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    head = (
        f"GET /ws/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{lab.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
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
    """When all have come, and the lab has let the stalled ones go; to half a second, from now."""
    began_s = time.monotonic()
    for wanted in (viewers + stalled, viewers):
        while await asyncio.to_thread(viewers_of, lab) != wanted:
            await asyncio.sleep(LOOK_S)
    return time.monotonic() - began_s


async def look_beside(lab: LabProcess, wants: str, asked: argparse.Namespace) -> tuple[Ages, float | None]:
    """The same beside stalled pages, and after how many seconds those were closed; None if not in that time."""
    closed = asyncio.create_task(closed_after_s(lab, asked.viewers, asked.stalled))
    ages = await look(live_url(lab), wants, asked.viewers, asked.seconds)
    return ages, closed.result() if closed.done() else None


def live_url(lab: LabProcess) -> str:
    return f"ws{lab.url[4:]}/ws/v1/live"


def told(name: str, ages: Ages, viewers: int, seconds: float) -> float:
    cuts = statistics.quantiles(ages.ms, n=100)
    fewest = min(ages.frames.values()) / seconds if len(ages.frames) == viewers else 0.0
    print(
        f"{name:24} age of a frame, ms: p50 {cuts[49]:6.1f}  p99 {cuts[98]:6.1f}  max {max(ages.ms):6.1f}   "
        f"n = {len(ages.ms):,} frames of {ages.size / len(ages.ms) / 1024:.1f} KiB, {ages.skipped:,} skipped, "
        f"at least {fewest:.1f} a second at each",
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
    asked = parser.parse_args()
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
        lab.submit(engine=engines[2], plan={**load, "duration_s": 2 * asked.seconds + 40, "warmup_s": 1})
        alone = asyncio.run(look(live_url(lab), wants, asked.viewers, asked.seconds))
        p99 = told("viewers", alone, asked.viewers, asked.seconds)
        until(lambda: viewers_of(lab) == 0, "they have gone", CLOSED_WITHIN_S)
        stalled = [stall(lab, wants) for _ in range(asked.stalled)]
        beside, closed_s = asyncio.run(look_beside(lab, wants, asked))
        worse = told(f"beside {asked.stalled} stalled ones", beside, asked.viewers, asked.seconds)
        until(lambda: viewers_of(lab) == 0, "the stalled ones are closed", CLOSED_WITHIN_S)
        after = "later than that" if closed_s is None else f"{closed_s:.1f} s after they came"
        print(f"the stalled ones were closed, {after}")
        for sock in stalled:
            sock.close()
        lab.clean_up()
    if max(p99, worse) >= AGE_P99_MAX_MS:
        raise SystemExit(
            f"a frame is {max(p99, worse):.0f} ms old at its p99; the target is {AGE_P99_MAX_MS:.0f} ms"
        )


if __name__ == "__main__":
    main()
