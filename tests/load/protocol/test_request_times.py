"""Times of single requests: encoding, the limit, and what a traced load logs."""

from __future__ import annotations

import pytest

from app.load.protocol import histogram, request_times
from app.load.protocol.request_times import RequestTimes, merge_times
from tests.load.driver import OPEN, ServerMaker, run_load

MIX = [{"kind": "plaintext", "weight": 3}, {"kind": "bytes", "params": {"n": 100_000}}]


def times(*rows: tuple[int, int]) -> RequestTimes:
    found = RequestTimes()
    for answered_ns, service_us in rows:
        found.append(answered_ns, service_us)
    return found


def test_encoded_times_are_read_back() -> None:
    found = RequestTimes.decode(times((5_000_000, 1000), (9_000_000, 8999)).encode())
    assert list(found) == [(4_000_000, 5_000_000), (1_000, 9_000_000)]


def test_no_times_are_encoded_as_nothing() -> None:
    assert RequestTimes().encode() == "" and len(RequestTimes.decode("")) == 0


def test_the_times_of_shards_are_added() -> None:
    merged = merge_times([times((5, 0)).encode(), "", times((9, 0)).encode()])
    assert list(RequestTimes.decode(merged)) == [(5, 5), (9, 9)]
    assert merge_times(["", ""]) == ""


def test_only_the_first_requests_are_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_times, "LOGGED_MAX", 2)
    assert len(times((1, 0), (2, 0), (3, 0))) == 2


@pytest.mark.parametrize(
    "plan",
    [
        {"work": MIX},
        {"work": MIX, "executor": OPEN, "rate_per_s": 300.0},
        {"churn": True},
        {"pipeline": 8},
    ],
    ids=["closed", "open", "churn", "pipeline"],
)
def test_a_traced_load_logs_every_request_of_the_measured_window(
    serve: ServerMaker, plan: dict[str, object]
) -> None:
    outcome = run_load(serve().port, warmup_s=0.1, trace=True, **plan)
    for kind in outcome.kinds:
        found = RequestTimes.decode(kind.times)
        assert len(found) == kind.requests > 0
        assert all(outcome.measured_from_ns <= answered for _, answered in found)
        longest = max(answered - sent for sent, answered in found) / 1000
        counted = histogram.decode(kind.service).get_max_value()
        assert histogram.quantise(int(longest)) == histogram.quantise(counted)


def test_a_load_without_trace_logs_nothing(serve: ServerMaker) -> None:
    assert [kind.times for kind in run_load(serve().port).kinds] == [""]


def test_an_outcome_is_stored_without_times(serve: ServerMaker) -> None:
    outcome = run_load(serve().port, trace=True)
    assert [kind.times for kind in outcome.without_times().kinds] == [""]
    assert outcome.without_times().requests == outcome.requests
