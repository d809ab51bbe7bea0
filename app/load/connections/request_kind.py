"""One kind of request of the work mix: its bytes, the expected response, the recorded latencies.

Warm-up and measurement have separate kinds, so a request that starts in one phase and ends in the next is
counted where it started, without a look at the clock in the hot loop.
"""

from __future__ import annotations

from collections import Counter
from time import monotonic_ns

from app.load.connections.response_reader import ResponseReader
from app.load.connections.response_rule import ResponseRule, response_rule
from app.load.protocol.http_request import HttpRequest
from app.load.protocol.plan import HTTP_KINDS, Work
from app.load.protocol.request_times import RequestTimes

WITH_LENGTH = frozenset(("POST", "PUT", "PATCH"))  # methods that announce a body, also an empty one
RECV_BYTES_MIN = 4096  # recv() allocates its buffer first: 64 KiB costs 1 µs more than 4 KiB
RECV_BYTES_MAX = 256 * 1024


class RequestKind:
    """One kind of request in one phase.

    The hot loops compare each response with `expected_bytes` and `expected_prefix` and call `add_service_us`.

    - `label`: its name in results (`sleep ms=50`). `name`: the work kind (`sleep`).
    - `request`: the bytes to send. `request_bytes`: their number.
    - `rule`: what a correct response is. The reader checks it; the hot loops compare `expected_*`.
    - `expected_bytes`, `expected_prefix`: length and status line of the first correct response with a
      Content-Length. If the length may vary: length and whole head of the last one, because the status line
      does not show that a piece of that length is a whole response. -1 and empty until then.
    - `expected_body`: how such a response ends; empty if any body is correct.
    - `expected_start`: for pipelines, the newest head of a response of that length, with its body if only one
      is correct; empty until then.
    - `recv_bytes`: how much to read at once.
    - `service_us`, `response_us`, `corrected_us`: latencies since the last tick, in µs; see `KindOutcome`. In
      the closed model the three are the same list, because a closed load never waits to send.
    - `second_*`: how often each µs value occurred in the current second. `total_*`: the same in the whole
      phase, quantised.
    - `errors`: failed requests by name. `completed`: correct responses. `bytes_in`: bytes of responses.
    - `times`: when each request was answered; None: not logged.
    """

    __slots__ = (
        "add_service_us",
        "bytes_in",
        "completed",
        "corrected_us",
        "errors",
        "expected_body",
        "expected_bytes",
        "expected_prefix",
        "expected_start",
        "label",
        "name",
        "recv_bytes",
        "request",
        "request_bytes",
        "response_us",
        "rule",
        "second_corrected",
        "second_response",
        "second_service",
        "service_us",
        "times",
        "total_corrected",
        "total_response",
        "total_service",
    )

    def __init__(self, label: str, name: str, request: bytes, rule: ResponseRule, is_open: bool) -> None:
        self.label, self.name = label, name
        self.request, self.request_bytes = request, len(request)
        self.rule = rule
        self.expected_bytes, self.expected_prefix = -1, b""
        self.expected_body, self.expected_start = rule.body or b"", b""
        self.recv_bytes = min(max(RECV_BYTES_MIN, len(rule.body or b"") + 1024), RECV_BYTES_MAX)
        self.service_us: list[int] = []
        self.response_us: list[int] = [] if is_open else self.service_us
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
        self.times: RequestTimes | None = None

    @property
    def sent(self) -> int:
        """Requests that were sent and have ended, with a response or with an error."""
        return self.completed + self.errors.total()

    def expect_response(self, length: int, prefix: bytes) -> None:
        """Set length and first bytes of the responses that the hot loops accept without parsing them."""
        # The recorder adds the length for each response since the last tick, also for earlier ones.
        self.bytes_in += len(self.service_us) * (max(self.expected_bytes, 0) - max(length, 0))
        self.expected_bytes, self.expected_prefix = length, prefix
        # Room for one byte more: else the start of a longer response could have exactly this length.
        self.recv_bytes = max(self.recv_bytes, min(length + 1, RECV_BYTES_MAX))

    def log_times(self) -> None:
        """Log when each request is answered, from now on: in traced runs only, for it costs time."""
        self.times = RequestTimes()
        add, log, clock = self.service_us.append, self.times.append, monotonic_ns

        def add_service_us(us: int) -> None:
            add(us)
            log(clock(), us)

        self.add_service_us = add_service_us

    def record(
        self, reader: ResponseReader, now: int, sent_at: int, intended_at: int, handled_at: int
    ) -> None:
        """Record a correct response that was parsed, and set what the hot loops expect.

        One that is chunked or ends by close sets nothing: its length does not show that it is complete.
        All instants are CLOCK_MONOTONIC in ns: `now` is the arrival of the last byte.
        """
        head = reader.head
        assert head
        if reader.is_repeatable and not head.closes and (self.rule.may_vary or self.expected_bytes < 0):
            prefix = head.raw if self.rule.may_vary else head.status_line
            self.expect_response(reader.total_bytes, prefix)
        # The recorder adds `expected_bytes` for each recorded response.
        self.bytes_in += reader.total_bytes - max(self.expected_bytes, 0)
        self.add_service_us((now - sent_at) // 1000)
        if self.response_us is not self.service_us:
            self.response_us.append((now - intended_at) // 1000)
            self.corrected_us.append((now - handled_at) // 1000)


def request_kind(work: Work, host: str, is_open: bool) -> RequestKind:
    """Return the kind for an item of a work mix; `host` is the value of the Host field."""
    return RequestKind(work.label, work.kind, build_request(work, host), response_rule(work), is_open)


def build_request(work: Work, host: str) -> bytes:
    """Return the bytes of the whole request; `host` is the value of the Host field."""
    if work.kind in HTTP_KINDS:
        return _build_http(work.http, host)
    n: int = work.params.get("n", 0)
    if work.kind == "echo":
        return f"POST /echo HTTP/1.1\r\nHost: {host}\r\nContent-Length: {n}\r\n\r\n".encode() + b"x" * n
    query = "&".join(f"{name}={value}" for name, value in work.params.items())
    path = "/" if work.kind == "plaintext" else f"/{work.kind}?{query}"
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def _build_http(request: HttpRequest, host: str) -> bytes:
    body = request.body.encode()
    fields = {"Host": host, **request.headers}
    if body or request.method in WITH_LENGTH:
        fields["Content-Length"] = str(len(body))
    lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{name}: {fields[name]}" for name in fields)]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
