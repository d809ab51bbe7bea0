"""Builds requests from the callbacks of the tokenizer, and checks what HTTP allows it to accept.

httptools (llhttp) splits the bytes into target, fields and body. This module limits their sizes, rejects
ambiguous framing, and appends complete requests to a list. It is the hot path of every engine: nothing is
built here that has no reader, and a plain GET (HTTP/1.1, one Host, no body, no `Connection`) skips every
check that it cannot fail.
"""

from __future__ import annotations

from typing import Any

import httptools

from engines.common.http.body_budget import BODIES, BodyBudget
from engines.common.http.framing import CLOSED_TOKENIZER, ConnectionDone, framing_header, keep_alive_requested
from engines.common.http.limits import (
    BODY_LIMIT,
    HEADER_COUNT_LIMIT,
    HEADERS_LIMIT,
    REQUEST_LINE_LIMIT,
    SHORT_FIELD_BYTES,
)
from engines.common.http.requests import NO_REQUEST, Http10KeepAliveRequest, Request
from engines.common.http.strict import BadRequest, is_host

NO_HOST = b" "  # never equal to a field value: values do not begin with a space
_CHECKED_NAMES = (
    b"host",
    b"content-length",
    b"transfer-encoding",
    b"expect",
    b"connection",
    b"proxy-connection",
)
_CHECKED_NAME_LENGTHS = frozenset(map(len, _CHECKED_NAMES))


class MessageBuilder:
    """The state of one connection's request, from the first byte to the last.

    `partial`: a request has begun and is not complete. `in_body`: its head is complete. `wants_continue`: the
    client waits for `100 Continue`. `bodies` counts the bytes of incomplete bodies, by default those of the
    whole process.
    """

    __slots__ = (
        "_bodies",
        "_body",
        "_body_size",
        "_body_size_before",
        "_bytes_without_progress",
        "_chunked",
        "_counted",
        "_data_left",
        "_deferred_error",
        "_expects",
        "_fields",
        "_framing",
        "_host",
        "_hosts",
        "_last",
        "_last_seen",
        "_length",
        "_line",
        "_long_field_bytes",
        "_message_bytes",
        "_options",
        "_plain",
        "_requests",
        "_target",
        "_tokenizer",
        "_trailing",
        "_version",
        "in_body",
        "partial",
        "wants_continue",
    )

    def __init__(self, bodies: BodyBudget = BODIES) -> None:
        self._bodies = bodies
        self._counted = 0  # bytes of the body that `bodies` counts
        self._tokenizer: Any = httptools.HttpRequestParser(self)
        self._requests: list[Request] = []
        self._host = NO_HOST  # the last well-formed Host
        self._last = NO_REQUEST
        self._last_seen = b""  # the last input, if the parser remembers it as well-formed
        self._line = b""  # the beginning of a line that the parser is to check
        self._version = ""
        self._framing = b""  # framing header of a request with `Upgrade` and a body
        self._target = b""
        self._fields = self._hosts = 0
        self.partial = False
        self._reset()

    def _reset(self) -> None:
        """Clear what only requests beyond the plain ones have changed."""
        self._release_body()
        self._plain = True
        self._long_field_bytes = self._bytes_without_progress = self._message_bytes = self._body_size = (
            self._body_size_before
        ) = 0
        self._length: bytes | None = None
        self._deferred_error: BadRequest | None = None
        self._options = b""
        self._data_left = 0
        self._chunked = self._trailing = self._expects = self.wants_continue = self.in_body = False

    def _release_body(self) -> None:
        self._body: bytes | bytearray | None = None
        if self._counted:
            self._bodies.give_back(self._counted)
            self._counted = 0

    def close(self) -> None:
        """Ignore all further input; release the tokenizer and the body.

        The tokenizer holds bound methods of this object: the cycle would wait for the garbage collector. The
        body is released because the connection of a rejected request may linger for a second.
        """
        self._tokenizer = CLOSED_TOKENIZER
        self._release_body()
        self._last_seen = b""
        self.partial = False

    # Callbacks of httptools.

    def on_url(self, part: bytes) -> None:
        """Append a part of the request target."""
        self._target = self._target + part if self._target else part
        self.partial = True  # also for a request that follows another in the same input
        if len(self._target) > REQUEST_LINE_LIMIT:
            raise BadRequest(414, "the request line is longer than 8 KiB")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a field, and note those that decide about framing and the connection."""
        if value == self._host and name == b"Host":
            self._hosts += 1
            return
        self._fields += 1
        if len(name) + len(value) > SHORT_FIELD_BYTES:
            self._add_long_field(len(name) + len(value))
        if len(name) in _CHECKED_NAME_LENGTHS:
            self._framing_field(name.lower(), value)

    def _add_long_field(self, size: int) -> None:
        """Sum the sizes of long fields; 100 short ones cannot reach the limit."""
        self._plain = False
        self._long_field_bytes += size
        if self._long_field_bytes > HEADERS_LIMIT - HEADER_COUNT_LIMIT * 4:
            raise BadRequest(431, "the header fields are longer than 32 KiB")

    def _framing_field(self, name: bytes, value: bytes) -> None:
        if self.in_body:
            return self._trailer_field(name)
        if name == b"host":
            self._host_field(value)
            return
        value = value.rstrip(b" \t")  # llhttp keeps white space at the end
        self._plain = False
        if name == b"content-length":
            self._length = value.lstrip(b"0") or b"0"
            if len(self._length) > 7 or int(self._length) > BODY_LIMIT:
                self._defer_error(413, "the body is longer than 1 MiB")
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked" or self._chunked:
                self._defer_error(400, "the only transfer coding supported is chunked, once")
            self._chunked = True
        elif name == b"expect":
            self._expects = value.lower() == b"100-continue"
        elif name == b"connection":
            self._options += b"," + value.lower()

    def _host_field(self, value: bytes) -> None:
        self._hosts += 1
        self._fields -= 1  # counted in _hosts
        if value == self._host:
            return  # the field name is not spelled `Host`
        if not is_host(value.rstrip(b" \t")):
            self._defer_error(400, "Host is malformed")
        elif len(value) <= SHORT_FIELD_BYTES:
            self._host = value

    def _trailer_field(self, name: bytes) -> None:
        """Reject Connection as a trailer: llhttp would obey it. Other trailers are dropped."""
        if name in (b"connection", b"proxy-connection"):
            self._defer_error(400, "Connection must not be a trailer")

    def _defer_error(self, status: int, reason: str) -> None:
        """Reject the request once its head, or its trailers, are complete.

        httptools reports a field only when the next one has begun, and that one may be malformed. Deferring
        makes the response independent of how the input was split.
        """
        self._plain = False
        self._deferred_error = self._deferred_error or BadRequest(status, reason)

    def on_headers_complete(self) -> None:
        """Check the head, unless it is one of a plain request."""
        # Without `Connection`, only HTTP/1.1 is keep-alive; get_http_version() would cost 320 ns.
        if (
            not self._plain
            or self._hosts != 1
            or self._fields > 99
            or not self._tokenizer.should_keep_alive()
        ):
            self._check_head()

    def _check_head(self) -> None:
        self._plain = False
        self.in_body = True
        self._version = version = self._tokenizer.get_http_version()
        if self._deferred_error:
            raise self._deferred_error
        if self._fields + self._hosts > HEADER_COUNT_LIMIT:
            raise BadRequest(431, "there are more than 100 header fields")
        if version == "1.1":
            if self._hosts != 1:
                raise BadRequest(400, "HTTP/1.1 needs exactly one Host")
            self.wants_continue = self._expects and self._has_body
        elif version != "1.0":
            raise BadRequest(505, "only HTTP/1.1 and HTTP/1.0 are supported")
        elif self._hosts > 1 or self._chunked:
            raise BadRequest(400, "HTTP/1.0 has no Transfer-Encoding and at most one Host")
        self._data_left = int(self._length or 0)

    @property
    def _has_body(self) -> bool:
        return self._chunked or self._length not in (None, b"0")

    def on_body(self, part: bytes) -> None:
        """Append a part of the body."""
        self._plain = False
        self._body_size += len(part)
        if self._body_size > BODY_LIMIT:
            raise BadRequest(413, "the body is longer than 1 MiB")
        if self._body is None:
            self._body = part
            return
        if isinstance(self._body, bytes):
            self._body = bytearray(self._body)  # a list of parts of 2 bytes would take 20 MiB per MiB
        self._body += part

    def on_message_complete(self) -> None:
        """Append the complete request to the results."""
        method = self._tokenizer.get_method()
        last = self._last
        if not self._plain:
            self._complete(method)
        elif last.target == self._target and last.method == method:
            self._requests.append(last)  # reusing the object saves 150 ns
        else:
            self._last = last = Request(method, self._target, b"", True)
            last.simple = method == b"GET"
            self._requests.append(last)
        self._target = b""
        self._fields = self._hosts = 0
        self.partial = False

    def _complete(self, method: bytes) -> None:
        """Append a request that is not plain: with a body, with `Connection`, or of HTTP/1.0."""
        tokenizer = self._tokenizer
        if self._fields + self._hosts > HEADER_COUNT_LIMIT:
            raise BadRequest(431, "there are more than 100 fields, trailers included")
        if self._deferred_error:
            raise self._deferred_error
        keep_alive = tokenizer.should_keep_alive()
        kind = Request
        if self._version == "1.0":
            keep_alive = keep_alive and keep_alive_requested(self._options)
            kind = Http10KeepAliveRequest if keep_alive else Request
        self._requests.append(kind(method, self._target, bytes(self._body or b""), keep_alive))
        if tokenizer.should_upgrade():
            self._framing = framing_header(self._chunked, self._length, self.wants_continue)
        elif not keep_alive:
            self.close()
            if tokenizer.should_keep_alive():
                raise ConnectionDone  # llhttp would continue
        self._reset()
