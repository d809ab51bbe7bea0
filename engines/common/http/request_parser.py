"""Bytes in, requests out, without sockets: `feed(data)` returns the requests that `data` completes.

A rejection becomes one last `RejectedRequest`, so every model sends it in order like any other response and
then closes the connection. docs/http.md lists what is rejected.
"""

from __future__ import annotations

from collections.abc import Callable

import httptools

from engines.common.http.framing import CLOSED_TOKENIZER, ConnectionDone
from engines.common.http.limits import HEADERS_LIMIT, MESSAGE_BYTES_PER_BODY_BYTE, REQUEST_LINE_LIMIT
from engines.common.http.message_builder import MessageBuilder
from engines.common.http.requests import RejectedRequest, Request
from engines.common.http.strict import (
    BadRequest,
    Rejection,
    check_request_line,
    chunk_size,
    is_plain_request_line,
)

SEEN_BYTES_MAX = 1024  # size of a remembered input
SEEN_MAX = 512  # remembered inputs
SEEN_REQUESTS: set[bytes] = (
    set()
)  # inputs of complete, well-formed requests, of all connections of this process
END_OF_HEAD = b"\r\n\r\n"
_STATUSES = {"Invalid HTTP version": 505, "Pause on PRI/Upgrade": 505}  # by llhttp's error; others are 400


class RequestParser(MessageBuilder):
    """Parses what one connection sends.

    A plain GET costs 0.9 µs, half of it in llhttp and its four callbacks. llhttp accepts some input that RFC
    9112 rejects, so new input is fed in pieces whose lines are checked as well; input that passed once, and
    is complete requests, is remembered and fed in one piece.
    """

    __slots__ = ()

    def feed(self, data: bytes) -> list[Request]:
        """Return the requests that `data` completes, in order. After a rejection, which is last, input is
        ignored.
        """
        if data == self._last_seen:
            self._tokenizer.feed_data(data)
        else:
            self._feed_unseen(data)
        requests = self._requests
        if requests:
            self._requests = []
        return requests

    def _feed_unseen(self, data: bytes) -> None:
        """Feed data that differs from the last, or that begins or ends within a request."""
        tokenizer, at_start = self._tokenizer, not self.partial
        if tokenizer is CLOSED_TOKENIZER or not data:
            return
        if at_start and len(data) <= SEEN_BYTES_MAX and data in SEEN_REQUESTS:
            self._last_seen = data
            tokenizer.feed_data(data)
            return
        self._last_seen = b""
        if at_start and is_plain_request_line(data) and data.find(END_OF_HEAD) == len(data) - 4:
            self._feed_piece(data)
        else:
            self._feed_pieces(data)
        if self.partial:
            if self._body_size != self._counted:
                self._count_body()
        elif at_start and tokenizer is self._tokenizer and len(data) <= SEEN_BYTES_MAX:
            self._remember(data)

    def _count_body(self) -> None:
        """Count an incomplete body that has grown; reject the request if there are too many bytes."""
        if self._bodies.take(self._body_size - self._counted):
            self._counted = self._body_size
        else:
            self._reject(BadRequest(503, "too many bodies are incomplete; try again"))

    def _remember(self, data: bytes) -> None:
        """Remember `data`: complete requests, after which the tokenizer is in its initial state."""
        if self._requests and self._requests[-1].keep_alive:
            self._last_seen = data
            if len(SEEN_REQUESTS) >= SEEN_MAX:
                SEEN_REQUESTS.clear()
            SEEN_REQUESTS.add(data)

    def _feed_pieces(self, data: bytes) -> None:
        """Feed line by line where llhttp is too lenient, so that the lines can be checked.

        Costs 0.8 µs for a whole head in origin-form, and 0.6 µs for any other line.
        """
        at = 0
        while at < len(data) and self._tokenizer is not CLOSED_TOKENIZER:
            check = None
            if self._data_left:
                end = at + self._data_left
                self._data_left -= min(self._data_left, len(data) - at)
            else:
                end = self._end_of_plain_head(data, at)
            if not end:
                end = data.find(b"\n", at) + 1 or len(data)
                check = self._line_check()
            piece = data[at:end]
            at = end
            self._feed_piece(piece)
            if check:
                self._check_line(piece, check)

    def _feed_piece(self, piece: bytes) -> None:
        self.partial = True
        self._parse(piece)
        if self.partial:
            self._limit_progress(len(piece))

    def _end_of_plain_head(self, data: bytes, at: int) -> int:
        """Return where the head ends that begins at `at` with a plain request line; else 0."""
        if self._line or self._target or self.in_body or not is_plain_request_line(data, at):
            return 0
        end = data.find(END_OF_HEAD, at)
        return end + 4 if end > 0 else 0

    def _line_check(self) -> Callable[[bytes], None] | None:
        if self.in_body:
            return None if self._trailing else self._check_chunk_line
        return check_request_line if self._line or not self._target else None

    def _check_chunk_line(self, line: bytes) -> None:
        size = chunk_size(line)
        self._trailing = size == 0
        self._data_left = size + 2 if size else 0  # including its CRLF

    def _check_line(self, piece: bytes, check: Callable[[bytes], None]) -> None:
        """Check a request line or chunk line once it is complete and llhttp has accepted it."""
        self._line += piece
        if piece.endswith(b"\n") and self._tokenizer is not CLOSED_TOKENIZER:
            line, self._line = self._line, b""
            try:
                check(line)
            except BadRequest as error:
                self._reject(error)

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self._tokenizer.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = self._ignore_upgrade(data[upgrade.args[0] :])
            except httptools.HttpParserCallbackError as error:
                self._reject(error.__context__)
                return
            except httptools.HttpParserError as error:
                self._reject(error)
                return

    def _limit_progress(self, fed: int) -> None:
        """Limit input that never reaches a callback (a field, an extension) or adds nothing (trailers).

        Counts the bytes since the request began, and since its body last grew.
        """
        self._plain = False
        self._message_bytes += fed
        self._bytes_without_progress += fed
        if self._body_size != self._body_size_before:
            self._body_size_before, self._bytes_without_progress = self._body_size, 0
        if (
            max(
                self._bytes_without_progress,
                self._message_bytes - MESSAGE_BYTES_PER_BODY_BYTE * self._body_size,
            )
            > REQUEST_LINE_LIMIT + HEADERS_LIMIT
        ):
            reason = "the request head, the chunk extensions or the trailers are longer than 40 KiB"
            self._reject(BadRequest(431, reason))

    def _ignore_upgrade(self, rest: bytes) -> bytes:
        """Continue after `Upgrade`, which is ignored, or reject CONNECT; return what to feed next.

        httptools makes llhttp treat the request as complete at its head. If it has a body, the request is
        taken back, and a new tokenizer is fed its head again without the header, and then the rest.
        """
        request = self._requests[-1]
        if request.method == b"CONNECT":
            self._requests.pop()
            self._reject(BadRequest(405, "this is not a proxy"))
            return b""
        if not self._framing and not request.keep_alive:
            self.close()
            return b""
        self._tokenizer = httptools.HttpRequestParser(self)
        if not self._framing:
            return rest
        self._requests.pop()
        option = b"close" if not request.keep_alive else b"keep-alive"
        return b"%b %b HTTP/1.%d\r\nHost: x\r\nConnection: %b\r\n%b\r\n%b" % (
            request.method,
            request.target,
            type(request) is Request,
            option,
            self._framing,
            rest,
        )

    def _reject(self, error: BaseException | None) -> None:
        if isinstance(error, ConnectionDone) or str(error) == "Data after `Connection: close`":
            return self.close()  # the client announced the end; further input is ignored
        if isinstance(error, BadRequest):
            rejection = error.rejection
        elif error is None or isinstance(error, httptools.HttpParserError):
            rejection = Rejection(_STATUSES.get(str(error), 400), str(error or "malformed request"))
        else:
            raise error
        self._requests.append(RejectedRequest(rejection))
        self.wants_continue = False
        self.close()
