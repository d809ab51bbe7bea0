"""When frames of the live channel come, and how long a state lasts in a lane."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from threading import Event, Thread
from typing import Any

from tests.app.driver import LabProcess, until
from tests.app.live.test_live import Viewer, stalled, viewer, viewer_count
from tests.app.live.test_live_trace import BLOCKED, SLEEP, SLEEP_MS, Lanes, client
from tests.measure.conftest import Report

INTERVAL_S = 0.1
FRAMES = 50
SLEEPS = 9


def gaps(frames: list[Any]) -> list[float]:
    """Seconds between frames, by the lab's clock."""
    return [b["t_s"] - a["t_s"] for a, b in pairwise(frames)]


def told(values: list[float]) -> str:
    ordered = sorted(values)
    return f"median {1000 * statistics.median(ordered):.0f} ms, highest {1000 * ordered[-1]:.0f} ms"


@contextmanager
def ticking(every_s: float) -> Iterator[Callable[[], list[float]]]:
    """A thread that only sleeps, beside what is measured: how far apart it wakes is the machine's share of the gaps."""
    woken, end = [time.monotonic()], Event()

    def tick() -> None:
        while not end.is_set():
            time.sleep(every_s)
            woken.append(time.monotonic())

    thread = Thread(target=tick)
    thread.start()
    try:
        yield lambda: [b - a for a, b in pairwise(woken)]
    finally:
        end.set()
        thread.join()


def test_frames_come_at_the_interval_and_are_young(lab: LabProcess, report: Report) -> None:
    """Noise: a thread that only sleeps for the same interval runs beside the viewer, and its gaps are the control: the
    medians of 50 gaps are compared, and the highest only with the highest of the control."""
    lab.start("reactor")
    ages: list[float] = []
    with viewer(lab) as view, ticking(INTERVAL_S) as control:
        view.frame()
        frames = []
        for _ in range(FRAMES):
            frames.append(view.frame())
            ages.append(time.monotonic() - frames[-1]["t_s"])
        seen, slept = gaps(frames), control()
    report(
        f"gaps {told(seen)}; control {told(slept)}; ages {told(ages)}; skipped {sum(f['skipped'] for f in frames)}"
    )
    assert 0.8 * INTERVAL_S <= statistics.median(seen) < 1.5 * statistics.median(slept)
    assert max(seen) < 5 * max(slept) + 0.1
    assert statistics.median(ages) < 0.05 + statistics.median(slept) - INTERVAL_S


def test_a_slow_interval_gets_a_fifth_of_the_frames(lab: LabProcess, report: Report) -> None:
    """Noise: both viewers are of the same lab at the same time, and the ratio of their median gaps counts."""
    with viewer(lab) as slow, viewer(lab) as fast:
        slow.send(type="subscribe", engines="all", threads=False, interval_ms=500)
        slow.frame(), slow.frame()
        slow_frames, fast_frames = [slow.frame()], [fast.frame()]
        while len(slow_frames) < 11:
            slow_frames.append(slow.frame())
            while fast_frames[-1]["seq"] < slow_frames[-1]["seq"]:
                fast_frames.append(fast.frame())
    ratio = statistics.median(gaps(slow_frames)) / statistics.median(gaps(fast_frames))
    report(f"slow {told(gaps(slow_frames))}; fast {told(gaps(fast_frames))}; ratio {ratio:.2f}, 5 asked for")
    assert 4 < ratio < 6.5


def test_a_stalled_viewer_does_not_delay_another(lab: LabProcess, report: Report) -> None:
    """Noise: the gaps of the other viewer while one is stalled are compared with its gaps before, on the same lab and
    the same engine with 250 threads: the ratio of their medians counts."""
    engine = lab.start("blocking", idle_s=600)
    clients = [socket.create_connection(("127.0.0.1", engine["port"])) for _ in range(250)]
    try:
        with viewer(lab) as view:
            before = read(view)
            with stalled(lab, threads=True):
                until(lambda: viewer_count(lab) == 2, "both are there")
                while_stalled = read(view)
    finally:
        for each in clients:
            each.close()
    skipped = sum(frame["skipped"] for frame in while_stalled)
    report(f"before {told(gaps(before))}; stalled {told(gaps(while_stalled))}; skipped {skipped}")
    assert statistics.median(gaps(while_stalled)) < 1.5 * statistics.median(gaps(before)) + 0.02
    assert max(gaps(while_stalled)) < 5 * max(gaps(before)) + 0.2
    assert skipped <= 10


def read(view: Viewer) -> list[Any]:
    return [view.frame() for _ in range(30)]


def test_a_lane_shows_how_long_a_handler_slept_and_not_much_more(lab: LabProcess, report: Report) -> None:
    """Noise: nine sleeps of the handler, each beside a sleep of the same length in this process: the median of what the
    lane shows is compared with the median that the control took."""
    engine = lab.start("blocking", idle_s=600)
    control: list[float] = []
    with viewer(lab) as view, client(engine) as asker:
        lanes = Lanes(view, engine["id"])
        for number in range(1, SLEEPS + 1):
            asker.send(SLEEP)
            before = time.monotonic()
            time.sleep(SLEEP_MS / 1000)
            control.append(1000 * (time.monotonic() - before))
            assert asker.answer().status == 200

            def is_drawn(number: int = number) -> bool:
                lanes.read()
                return len(lanes.durations_ms(BLOCKED)) == number

            until(is_drawn, "the sleep is in a lane")
    seen, asked = statistics.median(lanes.durations_ms(BLOCKED)), statistics.median(control)
    report(
        f"lane {seen:.2f} ms, control {asked:.2f} ms, {SLEEP_MS} ms requested; "
        f"highest {max(lanes.durations_ms(BLOCKED)):.1f}"
    )
    assert SLEEP_MS <= seen < asked + 20
