"""Makes docs/screenshots/*.png and hero.webp: `make screenshots`.

It starts a lab on a free port, loads real engines and takes pictures of its pages in Chromium. If the
machine is busy, or a result that it would show is not valid, it exits with 1 and leaves the existing
pictures unchanged.

    python docs/screenshots.py [stills] [hero]      default: both
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pictures.browser import Camera, find_chromium, open_browser, say
from pictures.hero import take_hero
from pictures.lab import temporary_lab
from pictures.stills import take_all
from pictures.validity import InvalidResult, require_quiet_machine

FOLDER = Path(__file__).parent / "screenshots"
PARTS = {"stills": take_all, "hero": take_hero}


def main(argv: Sequence[str]) -> int:
    """Make the pictures and return the exit code."""
    chromium = find_chromium()
    if chromium is None:
        say("No Chromium: install Debian's package chromium, or set CHROMIUM to its path.")
        return 1
    try:
        require_quiet_machine()
        with tempfile.TemporaryDirectory() as temporary:
            make_pictures(chromium, Path(temporary), argv or list(PARTS))
            replace_pictures(Path(temporary))
    except InvalidResult as error:
        say(f"No pictures were changed. {error}")
        return 1
    return 0


def make_pictures(chromium: str, folder: Path, parts: Sequence[str]) -> None:
    """Make the pictures of these parts in a folder. Raises InvalidResult."""
    for part in parts:
        with temporary_lab() as lab, open_browser(chromium) as browser:
            PARTS[part](Camera(browser, folder), lab)


def replace_pictures(folder: Path) -> None:
    """Move all pictures of a folder to docs/screenshots."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for picture in sorted(folder.iterdir()):
        shutil.move(picture, FOLDER / picture.name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
