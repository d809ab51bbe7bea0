"""The connection grid: whole for a new viewer, then only changes."""

from __future__ import annotations

import base64
import json
from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from app.live.grid import ConnectionGrid


def decoded(text: str) -> tuple[bool, array[int]]:
    grid = json.loads(text)
    return grid["full"], array("I", base64.b64decode(grid["words"]))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.integers(0, 599), st.integers(0, 2**32 - 1), max_size=40), min_size=2, max_size=5
    )
)
def test_changes_of_the_grid_lead_from_one_step_to_the_next(frames: list[dict[int, int]]) -> None:
    grid, words, page = ConnectionGrid(), array("I", [0] * 600), array("I", [0] * 600)
    for number, changed in enumerate(frames):
        for index, word in changed.items():
            words[index] = word
        step = grid.advance(words.tobytes())
        full, sent = decoded(step.text(step.number - 1 if number else None))
        assert full or number, "a new viewer gets all words"
        if full:
            page = sent + array("I", [0] * (600 - len(sent)))
        else:
            for index, word in zip(sent[::2], sent[1::2], strict=True):
                page[index] = word
        assert page == words
        assert decoded(step.text(None))[0] and decoded(step.text(step.number - 2))[0]
