"""A handler that raises is a 500 and a counted error, and the engine continues.

`--calibration` makes it fail: with 10^300 iterations per microsecond, `/cpu` and `/hash` overflow in the
handler.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from .conftest import variants
from .driver import GET, GREETING, HOST, PATIENCE_S, Engine, until

ABSURD = json.dumps({"cpu_per_us": 1e300, "hash_per_us": 1e300})
FAILS = b"GET /hash?us=1 HTTP/1.1\r\n" + HOST + b"\r\n"


@pytest.fixture(params=variants())
def failing(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Start an engine whose `/hash` fails; the last `--calibration` is the one that counts."""
    engine = Engine(request.param, arguments=("--calibration", ABSURD))
    try:
        yield engine
        ended = engine.stop(deadline_s=PATIENCE_S)
        assert ended.code == 0, "it has gone on to its ordinary end"
        assert ended.stderr.count("OverflowError") == 4
    finally:
        engine.close()


def test_a_handler_that_raises_is_a_500_and_the_engine_continues(failing: Engine) -> None:
    with failing.connect() as other:
        assert other.ask().body == GREETING
        for sent in (FAILS + GET, GET + FAILS + GET, FAILS, FAILS.replace(b"1.1", b"1.0")):
            with failing.connect() as client:
                client.send(sent)
                if sent.startswith(GET):
                    assert client.answer().body == GREETING
                answer = client.answer()
                assert (answer.status, answer.closes) == (500, True)
                assert b"log" in answer.body
                assert client.rest() == b"", "nothing after it is answered"
        assert other.ask().body == GREETING, "other clients are not affected"
    until(lambda: failing.board().counters["requests_5xx"] == 4, "the errors are counted")
