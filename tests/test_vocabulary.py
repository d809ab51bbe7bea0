"""Old wording and old names occur nowhere: pages, code and docs use the field's terms.

Left out are words with a legitimate meaning elsewhere in the tree: "told", "said" (JSON field `said` of a
comparison), "foreign" (URLs of imported results), "legs" (JSON field of a hot swap), "by-hand" (value of the
filter `scenario`), "idle-crowd" (name of a scenario in the API), "kept up", "held", "noisy" and "occupied".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("app", "engines", "templates", "static", "docs", "README.md")
SUFFIXES = frozenset((".py", ".toml", ".html", ".css", ".js", ".md"))
# Folders that still have old wording, with the number of places. It may only shrink.
PENDING: dict[str, int] = {}

# Distinctive parts of old phrases; any case, any white space.
PHRASES = (
    "a crowd",
    "a pixel is",
    "A run is going",
    "Alive, but not well",
    "all about it",
    "as fast as answers",
    "as fast as it goes",
    "as the API gives it",
    "beside another tool",
    "blocked in a handler",
    "both clocks",
    "by hand",
    "by its own fault",
    "by the spoonful",
    "by whomever",
    "change and run",
    "CPU a request",
    "could not be known here",
    "deals connections",
    "edit to go by hand",
    "generator busy",
    "generator used of its",
    "Half a second of nothing",
    "how much it can take",
    "I/O is submitted beforehand",
    "intended send",
    "key figure",
    "idle, just used",
    "idle beside",
    "In three lines",
    "it ended, and left",
    "it was kept",
    "legs of the relay",
    "longest each second",
    "longest round",
    "Lost the lab",
    "no reason was left",
    "None were asked for",
    "not this lab's token",
    "nothing else was ranked",
    "numbers are of",
    "numbers are old",
    "point at a state",
    "press Start on one",
    "Trace the threads:",
    "thing to know",
    "things to know",
    "a ramp to the knee",
    "explain it as a restaurant",
    "what callers must know",
    "put it beside",
    "Queue this run",
    "Read the result",
    "readers that take",
    "requests a second",
    "responses a second",
    "samples here, ten a second",
    "single keys do",
    "Sixteen requests at a time",
    "so it wants its token",
    "take it away",
    "take it out",
    "ten thousand idle",
    "The same again",
    "The same lab for programs",
    "The same rate for everyone",
    "The same work, without",
    "the usual one",
    "then takes over",
    "thousand idle connections",
    "to know first",
    "trials that count",
    "waiting for events",
    "waiting for work",
    "what came of it",
    "what happened when",
    "what it costs",
    "what it gives",
    "what it wrote",
    "what one request costs",
    "what the file says",
    "which rests on",
    "who does what",
    "words in label",
)
# Old names of classes, functions, files and attributes; whole words.
NAMES = (
    r"\bCrew\b",
    r"\bCrowd\b",
    r"\bTold\b",
    r"\b_stranger\b",
    r"\bstranger",
    r"\blessons?\b",
    r"\bspoonful\b",
    r"\bwork_off\b",
    r"\bbury\b",
    r"\bFOLDED\b",
    r"data-live-said",
    r"data-diagram-says",
    r"data-by-hand",
    r"\b(?:run|comparison)_going\b",
)
PHRASE = re.compile("|".join(r"\s+".join(map(re.escape, each.split())) for each in PHRASES), re.I)
NAME = re.compile("|".join(NAMES))


def files(folder: str) -> Iterator[Path]:
    """Yield the files that are checked in a folder, without third-party code."""
    place = ROOT / folder
    for path in [place] if place.is_file() else sorted(place.rglob("*")):
        if path.suffix in SUFFIXES and "vendor" not in path.parts:
            yield path


def old_words(text: str) -> Iterator[tuple[int, str]]:
    """Yield line number and match of each old phrase or name in a text."""
    for pattern in (PHRASE, NAME):
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, " ".join(match[0].split())


def found_in(folder: str) -> list[str]:
    """Return `path:line: match` of each old phrase or name in a folder."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {word}"
        for path in files(folder)
        for number, word in old_words(path.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_old_wording_occurs_nowhere(folder: str) -> None:
    found = found_in(folder)
    assert len(found) <= PENDING.get(folder, 0), "\n".join(found)


def test_what_is_pending_shrinks() -> None:
    assert {folder: len(found_in(folder)) for folder in PENDING} == PENDING, "lower the numbers in PENDING"


def test_an_old_phrase_over_two_lines_and_an_old_name_are_found() -> None:
    text = "first\nCPU a\n   request\nclass Crew:\n"
    assert list(old_words(text)) == [(2, "CPU a request"), (4, "Crew")]
