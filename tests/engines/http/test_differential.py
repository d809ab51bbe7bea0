"""Engines, `RequestParser` and h11 parse the same streams alike, or docs/http.md names the difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.engines.differential import ALLOWANCES, MODELS, Panel, ask_many, difference, panel
from tests.engines.malformed import ACCEPTED, MALFORMED, Accepted, Malformed, head
from tests.engines.reference import Answer, opinion
from tests.engines.streams import MUTATIONS, Stream

STREAMS = 600


@pytest.fixture(scope="module")
def judges() -> Iterator[Panel]:
    with panel() as judges:
        yield judges


@pytest.mark.parametrize("count", [100, pytest.param(STREAMS, marks=pytest.mark.full)])
def test_engines_parser_and_h11_agree_on_streams_of_mutated_requests(judges: Panel, count: int) -> None:
    """The same streams in each run; `make fuzz` runs others."""
    asked = judges.asked
    ask_many(judges, count, at_random=False)
    assert judges.asked - asked >= count * 5 // 6
    assert 12 <= len(judges.mutations) <= len(MUTATIONS)
    assert set(judges.allowed) <= set(ALLOWANCES)
    assert sum(judges.allowed.values()) < judges.asked / 5, "what is allowed is the exception"


def test_there_are_many_kinds_of_mutation_and_at_least_four_engines(judges: Panel) -> None:
    assert len(MUTATIONS) >= 12
    assert [engine.variant.model for engine in judges.engines] == MODELS
    assert len(MODELS) >= 4  # the proactor may be unavailable


@pytest.mark.parametrize("bad", MALFORMED, ids=lambda bad: f"{bad.line}: {bad.name}")
def test_the_reference_rejects_what_the_table_rejects(bad: Malformed) -> None:
    if bad.data == b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03":
        return  # no line of it is whole: the engines see it in its first byte
    answers = opinion(head() + bad.data + head(), Counter()).answers
    assert [answer.closes for answer in answers] == [False, True]
    assert answers[1].kind in (4, 5)


@pytest.mark.parametrize("good", ACCEPTED, ids=lambda good: f"{good.line}: {good.name}")
def test_the_reference_accepts_what_the_table_accepts(good: Accepted) -> None:
    answers = opinion(good.data, Counter()).answers
    assert [answer.kind for answer in answers] == [2] * len(good.bodies)
    assert answers[-1].closes == good.closes


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (head(), []),
        (head(), [Answer(4, None, True)]),
        (head(), [Answer(2, None, True)]),
        (head(), [Answer(2, None, False)] * 2),
        (head() + b"GET  / HTTP/1.1\r\n\r\n", [Answer(2, None, False)]),
        (head() + b"GET / HT", [Answer(2, None, False), Answer(2, None, False)]),
        (head(b"Content-Length: 5") + b"hell", [Answer(4, None, True)]),
    ],
)
def test_a_difference_is_detected(data: bytes, got: list[Answer]) -> None:
    with pytest.raises(AssertionError):
        difference(opinion(data, Counter()), got)


def test_a_stream_is_split_at_its_cuts() -> None:
    stream = Stream(b"abcdef", (2, 4, 4, 0), ())
    assert stream.pieces() == [b"ab", b"cd", b"ef"]
    assert stream.pieces(whole_from=3) == [b"ab", b"cdef"]
    assert Stream(b"", (0,), ()).pieces() == []
