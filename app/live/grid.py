"""The connection grid: the board's descriptor words, whole for who sees them first, then only what has changed."""

from __future__ import annotations

import base64
import json
from array import array
from dataclasses import dataclass
from functools import cached_property

FEW = 1024  # pairs that are not worth to be held against the whole, which takes 0.4 ms
BLOCK = 1024  # bytes compared at once: most connections of a crowd do nothing


@dataclass
class Step:
    """The words at one frame. Both texts are made when first asked for, and then shared."""

    number: int
    now: bytes
    before: bytes | None

    @cached_property
    def whole(self) -> str:
        """All words by index, up to the highest ever used."""
        return _text(True, self.now[: -(-len(self.now.rstrip(b"\0")) // 4) * 4])

    @cached_property
    def changes(self) -> str | None:
        """(index, word) of each that is not as in the step before; None where the whole is shorter."""
        if self.before is None:
            return None
        pairs = array("I")
        for start in range(0, len(self.now), BLOCK):
            new, old = self.now[start : start + BLOCK], self.before[start : start + BLOCK]
            if new != old:
                words = zip(memoryview(new).cast("I"), memoryview(old).cast("I"), strict=True)
                for index, (word, past) in enumerate(words, start // 4):
                    if word != past:
                        pairs.extend((index, word))
        few = len(pairs) <= FEW or len(pairs) * 4 <= len(self.now.rstrip(b"\0"))
        return _text(False, pairs.tobytes()) if few else None

    def text(self, seen: int | None) -> str:
        """For somebody who has seen step number `seen`."""
        return (self.changes or self.whole) if seen == self.number - 1 else self.whole


class Grid:
    """One engine's words from frame to frame."""

    def __init__(self) -> None:
        self._last: Step | None = None

    def step(self, words: bytes) -> Step:
        last = self._last
        self._last = Step(last.number + 1, words, last.now) if last else Step(1, words, None)
        return self._last


def _text(full: bool, words: bytes) -> str:
    return json.dumps({"full": full, "words": base64.b64encode(words).decode()}, separators=(",", ":"))
