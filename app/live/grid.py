"""The connection grid: the board's descriptor words, all of them for a new viewer, then only the changes."""

from __future__ import annotations

import base64
import json
from array import array
from dataclasses import dataclass
from functools import cached_property

PAIRS_MAX = 1024  # more pairs are compared with the size of all words, which takes 0.4 ms
BLOCK_BYTES = 1024  # blocks without a change are skipped: most idle connections do nothing


@dataclass
class GridStep:
    """The words at one frame. Both texts are built when first needed, and then shared.

    number: counts the steps of one engine from 1.
    """

    number: int
    words: bytes
    previous_words: bytes | None

    @cached_property
    def full_text(self) -> str:
        """JSON of all words by index, up to the highest that was ever used."""
        return _text(True, self.words[: -(-len(self.words.rstrip(b"\0")) // 4) * 4])

    @cached_property
    def changes_text(self) -> str | None:
        """JSON of (index, word) of each changed word; None if all words are shorter."""
        if self.previous_words is None:
            return None
        pairs = array("I")
        for start in range(0, len(self.words), BLOCK_BYTES):
            new = self.words[start : start + BLOCK_BYTES]
            old = self.previous_words[start : start + BLOCK_BYTES]
            if new != old:
                words = zip(memoryview(new).cast("I"), memoryview(old).cast("I"), strict=True)
                for index, (word, previous) in enumerate(words, start // 4):
                    if word != previous:
                        pairs.extend((index, word))
        is_shorter = len(pairs) <= PAIRS_MAX or len(pairs) * 4 <= len(self.words.rstrip(b"\0"))
        return _text(False, pairs.tobytes()) if is_shorter else None

    def text(self, seen_step: int | None) -> str:
        """Return the JSON for a viewer that has step number `seen_step`; None: it has none."""
        return (self.changes_text or self.full_text) if seen_step == self.number - 1 else self.full_text


class ConnectionGrid:
    """The words of one engine from frame to frame. Event loop only."""

    def __init__(self) -> None:
        self._last: GridStep | None = None

    def advance(self, words: bytes) -> GridStep:
        """Return the next step. `words`: one little-endian 32-bit word per descriptor."""
        last = self._last
        self._last = GridStep(last.number + 1, words, last.words) if last else GridStep(1, words, None)
        return self._last


def _text(full: bool, words: bytes) -> str:
    return json.dumps({"full": full, "words": base64.b64encode(words).decode()}, separators=(",", ":"))
