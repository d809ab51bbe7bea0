"""The work mix: prebuilt requests, what their answers must look like, and in which order they are sent.

Warm-up and measurement have kinds of their own, so that a request started in the one and answered in the other
is counted where it began without any look at the clock in the hot loop.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from itertools import cycle
from math import gcd

from app.load.connections.response_head import ResponseHead
from app.load.protocol.plan import Plan, Work

PLAINTEXT_BYTES = 13
RECV_BYTES_MIN, RECV_BYTES_MAX = (
    4096,
    256 * 1024,
)  # a recv allocates its room first: 64 KiB costs 1 µs more than 4 KiB


class RequestKind:
    """One kind of request in one phase. The hot loops compare with `length` and `prefix`, and call `note`."""

    __slots__ = (
        "add_service_us",
        "body_bytes",
        "bytes_in",
        "completed",
        "corrected_us",
        "errors",
        "expected_bytes",
        "expected_head",
        "expected_prefix",
        "label",
        "name",
        "recv_bytes",
        "request",
        "request_bytes",
        "response_us",
        "second_corrected",
        "second_response",
        "second_service",
        "service_us",
        "total_corrected",
        "total_response",
        "total_service",
    )

    def __init__(self, label: str, name: str, request: bytes, body_bytes: int | None, is_open: bool) -> None:
        self.label, self.name = label, name
        self.request, self.request_bytes = request, len(request)
        self.body_bytes = body_bytes  # None: whatever it is
        self.expected_bytes, self.expected_prefix = -1, b""  # learned from the first answer
        self.expected_head = b""  # of the newest answer of that length that was read with care, for pipelines
        self.recv_bytes = min(max(RECV_BYTES_MIN, (body_bytes or 0) + 1024), RECV_BYTES_MAX)
        # µs since the last tick; in the closed model response is service: it never waits to send.
        self.service_us: list[int] = []
        self.response_us: list[int] = [] if is_open else self.service_us
        # Response time as if the generator had never been late: from the instant at which it handled the request.
        self.corrected_us: list[int] = [] if is_open else self.service_us
        self.add_service_us = self.service_us.append
        self.second_service: dict[int, int] = {}
        self.second_response: dict[int, int] = {}
        self.second_corrected: Counter[int] = Counter()
        self.total_service: dict[int, int] = {}
        self.total_response: dict[int, int] = {} if is_open else self.total_service
        self.total_corrected: dict[int, int] = {} if is_open else self.total_service
        self.errors: Counter[str] = Counter()
        self.completed = self.bytes_in = 0

    @property
    def sent(self) -> int:
        """How many were sent and are over, well or badly."""
        return self.completed + self.errors.total()

    def expect_response(self, length: int, prefix: bytes) -> None:
        self.expected_bytes, self.expected_prefix = length, prefix

    def record(self, head: ResponseHead, now: int, sent_at: int, intended_at: int, handled_at: int) -> None:
        """A right answer, the careful way; the first of its kind teaches the hot loop what to expect."""
        if self.expected_bytes < 0 and not head.closes:
            self.expect_response(head.total_bytes, head.status_line)
        self.bytes_in += head.total_bytes - max(self.expected_bytes, 0)  # the tick adds `length` for each
        self.add_service_us((now - sent_at) // 1000)
        if self.response_us is not self.service_us:
            self.response_us.append((now - intended_at) // 1000)
            self.corrected_us.append((now - handled_at) // 1000)


class RequestMix:
    """The kinds of one phase; `pick()` answers the next one to send.

    A fixed shuffled round, not a throw of dice: the shares are exact after every whole round.
    """

    def __init__(self, plan: Plan, host: str, seed: int = 1) -> None:
        self.kinds = [_kind(work, host, plan.is_open) for work in plan.work]
        share = gcd(*(work.weight for work in plan.work)) or 1
        round_ = [
            kind
            for kind, work in zip(self.kinds, plan.work, strict=True)
            for _ in range(work.weight // share)
        ]
        random.Random(seed).shuffle(round_)
        self.pick: Callable[[], RequestKind] = cycle(round_).__next__


def _kind(work: Work, host: str, is_open: bool) -> RequestKind:
    return RequestKind(work.label, work.kind, build_request(work, host), _body_bytes(work), is_open)


def build_request(work: Work, host: str) -> bytes:
    """The whole request; `host` is the value of its Host field."""
    n = work.params.get("n", 0)
    if work.kind == "echo":
        return f"POST /echo HTTP/1.1\r\nHost: {host}\r\nContent-Length: {n}\r\n\r\n".encode() + b"x" * n
    query = "&".join(f"{name}={value}" for name, value in work.params.items())
    path = "/" if work.kind == "plaintext" else f"/{work.kind}?{query}"
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def _body_bytes(work: Work) -> int | None:
    if work.kind == "plaintext":
        return PLAINTEXT_BYTES
    return work.params.get("n", 0) if work.kind in ("echo", "bytes") else None
