"""The work mix: exact shares, and requests of any size."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from app.load.connections.request_mix import RequestMix
from app.load.protocol import histogram
from app.load.protocol.plan import Plan, Work
from tests.load.driver import HELD_S, OPEN, ServerMaker, Starter, run_load
from tests.load.driver import until as until
from tests.load.server import plain


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 3))
def test_shares_are_exact_over_whole_rounds(weights: list[int], rounds: int) -> None:
    plan = Plan(work=tuple(Work("bytes", weight, {"n": n}) for n, weight in enumerate(weights)))
    mix = RequestMix(plan, "h:1")
    picked = Counter(mix.pick().label for _ in range(sum(weights) * rounds))
    assert [picked[kind.label] for kind in mix.kinds] == [weight * rounds for weight in weights]


MIX = [
    {"kind": "plaintext", "weight": 30},
    {"kind": "echo", "weight": 10, "params": {"n": 100}},
    {"kind": "bytes", "weight": 20, "params": {"n": 300_000}},
]  # a round of six: three, one and two


def test_the_work_mix_of_an_open_load_has_exact_shares(serve: ServerMaker) -> None:
    server = serve(plain, delay_s=0.001)
    outcome = run_load(server.port, work=MIX, executor=OPEN, rate_per_s=400.0, duration_s=0.3)
    assert outcome.errors == {}
    assert [kind.requests for kind in outcome.kinds] == [60, 20, 40]
    assert server.requested == {"/": 60, "/echo": 20, "/bytes?n=300000": 40}
    assert [kind.label for kind in outcome.kinds] == ["plaintext", "echo n=100", "bytes n=300000"]
    assert [histogram.decode(kind.service).total_count for kind in outcome.kinds] == [60, 20, 40]


def test_the_work_mix_of_a_closed_load_keeps_its_shares(serve: ServerMaker, start: Starter) -> None:
    server = serve(plain, delay_s=0.005)
    load = start(server.port, work=MIX, duration_s=HELD_S)
    load.complete(60)
    outcome, unanswered = load.stop(), load.unanswered
    assert outcome.errors == {}
    plaintext, echo, large = (kind.requests for kind in outcome.kinds)
    assert plaintext + echo + large == outcome.requests >= 60
    assert abs(plaintext - 3 * echo) <= 3 * (1 + unanswered)  # a round that is not complete
    assert abs(large - 2 * echo) <= 2 * (1 + unanswered)
    for path, count in (("/", plaintext), ("/echo", echo), ("/bytes?n=300000", large)):
        assert count <= server.requested[path] <= count + unanswered


def test_a_request_larger_than_the_socket_buffer_is_sent_completely(
    serve: ServerMaker, start: Starter
) -> None:
    server = serve(delay_s=0.001)
    load = start(server.port, work=[{"kind": "echo", "params": {"n": 1_000_000}}], vus=2, duration_s=HELD_S)
    load.complete(6)
    outcome = load.stop()
    assert outcome.errors == {}
    assert 6 <= outcome.requests <= server.requests <= outcome.requests + load.unanswered
    assert outcome.bytes_out > outcome.requests * 1_000_000
