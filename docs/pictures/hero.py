"""The animated picture of the README: one slow handler stops a reactor, while a reactor pool continues.

Both engines get the same load at the same time. The side-by-side page shows their threads.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page

from pictures.browser import Camera, say
from pictures.lab import Lab

NAME = "hero.webp"
SIZE_MAX = 1_500_000  # bytes
WIDTH, HEIGHT = 1000, 560
FRAMES, FRAMES_PER_S = 64, 8  # the page changes twice per second while a run is measured
LANES_FILLED_MS = 16_000
# (quality, every n-th frame): the first that is small enough is used
ENCODINGS = ((80, 1), (65, 1), (50, 1), (50, 2), (35, 2))
PLAN: dict[str, Any] = {
    "executor": "constant-arrival-rate",
    "rate_per_s": 400,
    "spacing": "poisson",
    "vus": 32,
    "duration_s": 60,
    "warmup_s": 1,
    # 0.5 % slow requests, two per second: the p99 shows only their effect on other requests.
    "work": [
        {"kind": "plaintext", "weight": 199},
        {"kind": "sleep", "weight": 1, "params": {"ms": 250}},
    ],
    "trace": True,
}


def take_hero(camera: Camera, lab: Lab) -> None:
    """Record the side-by-side page while both engines are under load."""
    engines = [lab.start("reactor"), lab.start("reactor-pool")]
    runs = lab.load_concurrently(engines, PLAN)
    lab.wait(runs[0], lambda view: view["state"] == "running")
    query = "&".join(f"engine={each}" for each in engines)
    with camera.page(f"{lab.url}/live?{query}", NAME, WIDTH, HEIGHT) as page:
        page.wait_for_timeout(LANES_FILLED_MS)
        frames = record(page)
    for run in runs:
        lab.stop_run(run)
    for engine in engines:
        lab.stop_engine(engine)
    write_animation(frames, camera.folder / NAME)


def record(page: Page) -> list[Image.Image]:
    """Return screenshots of the page at FRAMES_PER_S."""
    frames, due_s = [], time.monotonic()
    for _ in range(FRAMES):
        picture = Image.open(io.BytesIO(page.screenshot()))
        frames.append(picture.convert("RGB"))
        due_s += 1 / FRAMES_PER_S
        page.wait_for_timeout(max(0.0, due_s - time.monotonic()) * 1000)
    return frames


def write_animation(frames: Sequence[Image.Image], path: Path) -> None:
    """Write an animated WebP of at most SIZE_MAX bytes. Raises AssertionError if it stays larger."""
    for quality, step in ENCODINGS:
        data = encode(frames[::step], quality, 1000 * step // FRAMES_PER_S)
        if len(data) <= SIZE_MAX:
            break
    assert len(data) <= SIZE_MAX, f"{NAME} has {len(data):,} bytes (limit {SIZE_MAX:,})"
    path.write_bytes(data)
    say(f"{NAME}: {len(data):,} bytes, quality {quality}, {len(frames[::step])} frames")


def encode(frames: Sequence[Image.Image], quality: int, frame_ms: int) -> bytes:
    """Return the frames as an animated WebP that repeats forever."""
    target = io.BytesIO()
    frames[0].save(
        target,
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=frame_ms,
        loop=0,
        quality=quality,
        method=4,
        minimize_size=True,
    )
    return target.getvalue()
