"""The animated picture of the README: the demonstration of the home page, from the button to the two figures.

One slow request freezes a reactor, while a pool continues. Both servers are real and get the same load.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from pictures.browser import Camera, say
from pictures.lab import Lab
from pictures.validity import InvalidResult

NAME = "hero.webp"
SIZE_MAX = 1_500_000  # bytes
WIDTH, HEIGHT = 1280, 720  # of the page
SIZE = (1080, 608)  # of the picture
FRAMES_PER_S = 8
BEFORE_S, REPLAY_S, AFTER_S = 1.5, 7.5, 4.0  # before the click, and of the finished demonstration
DURATION_MAX_S = 90
ENCODINGS = (80, 65, 50, 35)  # qualities: the first that is small enough is used
STATE = "document.querySelector('[data-demonstration]').dataset.demonstration"


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture and how long it is shown."""

    image: Image.Image
    ms: int


def take_hero(camera: Camera, lab: Lab) -> None:
    """Record the demonstration. Raises InvalidResult if it fails."""
    with camera.page(lab.url, NAME, WIDTH, HEIGHT) as page:
        page.locator("canvas[data-stack]").first.wait_for()
        page.wait_for_timeout(1000)
        frames = joined([*record(page, BEFORE_S), *demonstrate(page), *record(page, REPLAY_S + AFTER_S)])
    write_animation(frames, camera.folder / NAME)


def demonstrate(page: Page) -> Iterator[Image.Image]:
    """Start the demonstration and yield pictures until it has ended. Raises InvalidResult."""
    page.locator("#show").click()
    end_s = time.monotonic() + DURATION_MAX_S
    while (state := page.evaluate(STATE)) != "finished":
        if state == "failed" or time.monotonic() > end_s:
            raise InvalidResult(f"The demonstration has not finished: {state}.")
        yield from record(page, 1 / FRAMES_PER_S)


def record(page: Page, duration_s: float) -> Iterator[Image.Image]:
    """Yield screenshots of the page at FRAMES_PER_S."""
    due_s = time.monotonic()
    for _ in range(round(duration_s * FRAMES_PER_S)):
        picture = Image.open(io.BytesIO(page.screenshot()))
        yield picture.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)
        due_s += 1 / FRAMES_PER_S
        page.wait_for_timeout(max(0.0, due_s - time.monotonic()) * 1000)


def joined(images: Sequence[Image.Image]) -> list[Frame]:
    """Return the images as frames; equal neighbours become one that is shown longer."""
    frames: list[Frame] = []
    for image in images:
        ms = 1000 // FRAMES_PER_S
        if frames and frames[-1].image.tobytes() == image.tobytes():
            frames[-1] = Frame(image, frames[-1].ms + ms)
        else:
            frames.append(Frame(image, ms))
    return frames


def write_animation(frames: Sequence[Frame], path: Path) -> None:
    """Write an animated WebP of at most SIZE_MAX bytes. Raises AssertionError if it stays larger."""
    for quality in ENCODINGS:
        data = encode(frames, quality)
        if len(data) <= SIZE_MAX:
            break
    assert len(data) <= SIZE_MAX, f"{NAME} has {len(data):,} bytes (limit {SIZE_MAX:,})"
    path.write_bytes(data)
    say(f"{NAME}: {len(data):,} bytes, quality {quality}, {len(frames)} frames")


def encode(frames: Sequence[Frame], quality: int) -> bytes:
    """Return the frames as an animated WebP that repeats forever."""
    target = io.BytesIO()
    frames[0].image.save(
        target,
        "WEBP",
        save_all=True,
        append_images=[frame.image for frame in frames[1:]],
        duration=[frame.ms for frame in frames],
        loop=0,
        quality=quality,
        method=4,
        minimize_size=True,
    )
    return target.getvalue()
