"""A parser that also keeps version and header fields: only an application of the user reads them.

Engines that serve the lab's own work kinds use `RequestParser`, which stores neither.
"""

from __future__ import annotations

from engines.common.http.body_budget import BODIES, BodyBudget
from engines.common.http.limits import HEADER_COUNT_LIMIT
from engines.common.http.request_parser import RequestParser
from engines.common.http.requests import NO_REQUEST, Head


class HeadKeepingParser(RequestParser):
    """Parses what one connection sends; each request has its `head`, and no request object is reused."""

    __slots__ = ("_head_before_upgrade", "_kept_fields")

    def __init__(self, bodies: BodyBudget = BODIES) -> None:
        super().__init__(bodies)
        self._kept_fields: list[tuple[bytes, bytes]] = []
        self._head_before_upgrade: Head | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head; trailers are dropped. A head with too many fields will be rejected."""
        if not self.in_body and len(self._kept_fields) <= HEADER_COUNT_LIMIT:
            self._kept_fields.append((name, value.rstrip(b" \t")))
        super().on_header(name, value)

    def on_message_complete(self) -> None:
        """Append the complete request, with its head, to the results."""
        version = self._tokenizer.get_http_version()
        head = self._head_before_upgrade or Head(version, tuple(self._kept_fields))
        self._head_before_upgrade = None
        self._kept_fields = []
        self._last = NO_REQUEST  # requests with the same target may differ in their fields
        before = len(self._requests)
        try:
            super().on_message_complete()
        finally:  # the last request of a connection is appended, and then the parsing ends with an exception
            if len(self._requests) > before:
                self._requests[-1].head = head

    def _ignore_upgrade(self, rest: bytes) -> bytes:
        """Continue after `Upgrade`: a request with a body is fed again, without most of its fields."""
        if self._framing:
            self._head_before_upgrade = self._requests[-1].head
        return super()._ignore_upgrade(rest)
