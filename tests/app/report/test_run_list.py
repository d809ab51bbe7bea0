"""An exported list of runs leaves the control plane in few large parts, unchanged."""

from __future__ import annotations

from app.report.run_list import CHUNK_LENGTH, chunked


def test_short_parts_are_joined_and_unchanged() -> None:
    lines = [f"{number:099}\r\n" for number in range(2_000)]
    chunks = list(chunked(lines))
    assert "".join(chunks) == "".join(lines)
    assert [len(chunk) >= CHUNK_LENGTH for chunk in chunks] == [True, True, True, False]


def test_no_parts_make_no_chunk() -> None:
    assert list(chunked([])) == []
