"""The intervals and the age of live frames, and the durations of states in lanes."""

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
    """Return the seconds between frames, by the clock of the lab."""
    return [b["t_s"] - a["t_s"] for a, b in pairwise(frames)]


def summary(values: list[float]) -> str:
    ordered = sorted(values)
    return f"median {1000 * statistics.median(ordered):.0f} ms, highest {1000 * ordered[-1]:.0f} ms"


@contextmanager
def sleeping_thread(every_s: float) -> Iterator[Callable[[], list[float]]]:
    """Run a thread that only sleeps. The gaps between its wake-ups show the noise of the machine."""
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


def test_frames_arrive_at_the_interval_within_50_ms(lab: LabProcess, report: Report) -> None:
    """Noise: the control is a thread that only sleeps for the same interval while the viewer reads. The
    medians of 50 gaps are compared, and the longest gap with the longest of the control."""
    lab.start("reactor")
    ages: list[float] = []
    with viewer(lab) as view, sleeping_thread(INTERVAL_S) as control:
        view.frame()
        frames = []
        for _ in range(FRAMES):
            frames.append(view.frame())
            ages.append(time.monotonic() - frames[-1]["t_s"])
        frame_gaps, sleep_gaps = gaps(frames), control()
    report(
        f"gaps {summary(frame_gaps)}; control {summary(sleep_gaps)}; ages {summary(ages)}; "
        f"skipped {sum(frame['skipped'] for frame in frames)}"
    )
    assert 0.8 * INTERVAL_S <= statistics.median(frame_gaps) < 1.5 * statistics.median(sleep_gaps)
    assert max(frame_gaps) < 5 * max(sleep_gaps) + 0.1
    assert statistics.median(ages) < 0.05 + statistics.median(sleep_gaps) - INTERVAL_S


def test_an_interval_five_times_as_long_has_a_fifth_of_the_frames(lab: LabProcess, report: Report) -> None:
    """Noise: both viewers read from the same lab at the same time, and the ratio of their median gaps
    counts."""
    with viewer(lab) as slow, viewer(lab) as fast:
        slow.send(type="subscribe", engines="all", threads=False, interval_ms=500)
        slow.frame(), slow.frame()
        slow_frames, fast_frames = [slow.frame()], [fast.frame()]
        while len(slow_frames) < 11:
            slow_frames.append(slow.frame())
            while fast_frames[-1]["seq"] < slow_frames[-1]["seq"]:
                fast_frames.append(fast.frame())
    ratio = statistics.median(gaps(slow_frames)) / statistics.median(gaps(fast_frames))
    report(
        f"slow {summary(gaps(slow_frames))}; fast {summary(gaps(fast_frames))}; ratio {ratio:.2f}, 5 expected"
    )
    assert 4 < ratio < 6.5


def test_a_stalled_viewer_does_not_delay_another(lab: LabProcess, report: Report) -> None:
    """Noise: the gaps of the other viewer while one is stalled are compared with its gaps before, with the
    same lab and the same engine of 250 threads. The ratio of the medians counts."""
    engine = lab.start("blocking", idle_s=600)
    clients = [socket.create_connection(("127.0.0.1", engine["port"])) for _ in range(250)]
    try:
        with viewer(lab) as view:
            before = read(view)
            with stalled(lab, threads=True):
                until(lambda: viewer_count(lab) == 2, "both viewers are connected")
                while_stalled = read(view)
    finally:
        for each in clients:
            each.close()
    skipped = sum(frame["skipped"] for frame in while_stalled)
    report(f"before {summary(gaps(before))}; stalled {summary(gaps(while_stalled))}; skipped {skipped}")
    assert statistics.median(gaps(while_stalled)) < 1.5 * statistics.median(gaps(before)) + 0.02
    assert max(gaps(while_stalled)) < 5 * max(gaps(before)) + 0.2
    assert skipped <= 10


def read(view: Viewer) -> list[Any]:
    return [view.frame() for _ in range(30)]


def test_a_lane_shows_the_duration_of_a_sleep_within_20_ms(lab: LabProcess, report: Report) -> None:
    """Noise: the control of each of nine sleeps of the handler is a sleep of the same length in this process.
    The median in the lane is compared with the median of the controls."""
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
    in_lane, in_control = statistics.median(lanes.durations_ms(BLOCKED)), statistics.median(control)
    report(
        f"lane {in_lane:.2f} ms, control {in_control:.2f} ms, {SLEEP_MS} ms requested; "
        f"highest {max(lanes.durations_ms(BLOCKED)):.1f}"
    )
    assert SLEEP_MS <= in_lane < in_control + 20
