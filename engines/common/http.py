"""Bytes in, requests out. No socket here: `Inbox.feed(bytes)` answers the requests that they complete.

httptools (llhttp) is the tokenizer, `Inbox` is the judge: it bounds what one peer may send, refuses what is
ambiguous, and turns every refusal into one last `Request` that carries it, so that a refusal is answered in
order like any request, on every model, and then the connection closes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import httptools

REQUEST_LINE_LIMIT = 8 * 1024
HEADERS_LIMIT = 32 * 1024
HEADER_COUNT_LIMIT = 100
SHORT_FIELD = 300  # 100 fields of this length cannot pass HEADERS_LIMIT
BODY_LIMIT = 1024 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served: the status and one line for the peer to read."""

    status: int
    reason: str


class Request:
    """One whole request. `keep_alive` says whether the connection may go on after the answer."""

    __slots__ = ("body", "keep_alive", "method", "target")
    refusal: Refusal | None = None
    says_keep_alive = False  # HTTP/1.0: keeping alive has to be said in the answer

    def __init__(self, method: bytes, target: bytes, body: bytes, keep_alive: bool) -> None:
        self.method = method
        self.target = target
        self.body = body
        self.keep_alive = keep_alive


class OldRequest(Request):
    """An HTTP/1.0 request that asks for keep-alive."""

    __slots__ = ()
    says_keep_alive = True


class RefusedRequest(Request):
    """What was asked is not served, and nothing after it is parsed: the answer says why, and closes."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(b"", b"", b"", keep_alive=False)
        self.refusal = refusal


class BadRequest(Exception):
    """The peer's fault; ends the connection after the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.refusal = Refusal(status, reason)


class Inbox:
    """What one connection has sent so far. Feed it bytes, take whole requests.

    A plain GET costs 1.1 µs here, half of it in llhttp and its four callbacks: so nothing is built that no one
    reads, and whatever a plain GET does not have is judged on a second path.
    """

    __slots__ = (
        "_body", "_body_size", "_chunked", "_expects", "_fields", "_framing", "_grown_to", "_host", "_hosts", "_last",
        "_length", "_long_size", "_parser", "_plain", "_ready", "_target", "_unparsed", "in_body", "partial",
        "wants_continue",
    )  # fmt: skip

    def __init__(self) -> None:
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._ready: list[Request] = []
        self._host = b""  # the last Host that was found well-formed
        self._last = NO_REQUEST
        self._framing = b""  # of a request that asked for an upgrade
        self._target = b""
        self._fields = self._hosts = 0
        self.in_body = self.partial = False
        self._forget()

    def _forget(self) -> None:
        """Clear what only requests that are not plain have touched."""
        self._plain = True
        self._long_size = self._unparsed = self._body_size = self._grown_to = 0
        self._length: bytes | None = None
        self._body: list[bytes] | None = None
        self._chunked = self._expects = self.wants_continue = False

    def feed(self, data: bytes) -> list[Request]:
        """The requests that `data` completes, in order; the last may be a refusal, after which all is ignored."""
        if self._parser is None:
            return []
        self.partial = True
        while data:
            try:
                self._parser.feed_data(data)
                if self.partial:
                    self._bound_progress(len(data))
                break
            except httptools.HttpParserUpgrade as upgrade:
                parsed = upgrade.args[0]
            except httptools.HttpParserCallbackError as error:
                self._refuse(error.__context__)
                break
            except (httptools.HttpParserError, BadRequest) as error:
                self._refuse(error)
                break
            data = self._ignore_upgrade(data[parsed:])
        ready = self._ready
        if ready:
            self._ready = []
        return ready

    def close(self) -> None:
        """Let go of the parser: it holds this object's methods, and a cycle would wait for the collector."""
        self._parser = None

    # Callbacks of httptools.

    def on_url(self, part: bytes) -> None:
        self._target = self._target + part if self._target else part
        self.partial = True  # also when it follows another request in the same bytes
        if len(self._target) > REQUEST_LINE_LIMIT:
            raise BadRequest(414, "the request line is longer than 8 KiB")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if len(name) + len(value) > SHORT_FIELD:
            self._sum_long(len(name) + len(value))
        if name == b"Host" and value == self._host:
            self._hosts += 1
        elif len(name) in _LENGTHS_THAT_MATTER:
            self._note(name.lower(), value)

    def _sum_long(self, size: int) -> None:
        """100 short fields cannot pass the limit, so only long ones are summed."""
        self._plain = False
        self._long_size += size
        if self._long_size > HEADERS_LIMIT - HEADER_COUNT_LIMIT * 4:
            raise BadRequest(431, "the header fields are longer than 32 KiB")

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            self._hosts += 1
            if _NOT_IN_HOST.search(value.rstrip(b" \t")):  # llhttp leaves white space at the end
                raise BadRequest(400, "Host is malformed")
            self._host = value
            return
        value = value.rstrip(b" \t")
        self._plain = False
        if name == b"content-length":
            self._length = value
            if len(self._length) > 7 or int(self._length) > BODY_LIMIT:
                raise BadRequest(413, "the body is longer than 1 MiB")
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked" or self._chunked:
                raise BadRequest(400, "the only transfer coding here is chunked, said once")
            self._chunked = True
        elif name == b"expect":
            self._expects = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        self.in_body = True
        # Without `Connection`, only HTTP/1.1 keeps alive; get_http_version() would cost 320 ns.
        if not self._plain or self._hosts != 1 or self._fields > 100 or not self._parser.should_keep_alive():  # type: ignore[union-attr]
            self._judge()

    def _judge(self) -> None:
        self._plain = False
        version = self._parser.get_http_version()  # type: ignore[union-attr]
        if self._fields > HEADER_COUNT_LIMIT:
            raise BadRequest(431, "there are more than 100 header fields")
        if version == "1.1":
            if self._hosts != 1:
                raise BadRequest(400, "HTTP/1.1 needs exactly one Host")
            self.wants_continue = self._expects and self._has_body
        elif version != "1.0":
            raise BadRequest(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
        elif self._hosts > 1 or self._chunked:
            raise BadRequest(400, "HTTP/1.0 knows no Transfer-Encoding, and at most one Host")

    @property
    def _has_body(self) -> bool:
        return self._chunked or self._length not in (None, b"0")

    def on_body(self, part: bytes) -> None:
        self._plain = False
        self._body_size += len(part)
        if self._body_size > BODY_LIMIT:
            raise BadRequest(413, "the body is longer than 1 MiB")
        if self._body is None:
            self._body = []
        self._body.append(part)

    def on_message_complete(self) -> None:
        method = self._parser.get_method()  # type: ignore[union-attr]
        last = self._last
        if not self._plain:
            self._complete(method)
        elif last.target == self._target and last.method == method:
            self._ready.append(last)  # the same question again is the same object: saves 150 ns
        else:
            self._last = Request(method, self._target, b"", True)
            self._ready.append(self._last)
        self._target = b""
        self._fields = self._hosts = 0
        self.in_body = self.partial = False

    def _complete(self, method: bytes) -> None:
        """A request with a body, with `Connection`, or otherwise out of the plain."""
        parser = self._parser
        keep_alive = parser.should_keep_alive()  # type: ignore[union-attr]
        kind = OldRequest if keep_alive and parser.get_http_version() == "1.0" else Request  # type: ignore[union-attr]
        self._ready.append(kind(method, self._target, b"".join(self._body or ()), keep_alive))
        if parser.should_upgrade():  # type: ignore[union-attr]
            self._framing = b"Content-Length: %b\r\n" % (self._length or b"0")
            if self._chunked:
                self._framing = b"Transfer-Encoding: chunked\r\n"
        self._forget()

    # What a plain request never meets.

    def _bound_progress(self, fed: int) -> None:
        """What never ends reaches no callback (a field, an extension), or brings nothing (trailers): count the bytes
        that were fed since the request began, or since its body last grew."""
        self._plain = False
        if self._body_size != self._grown_to:
            self._grown_to, self._unparsed = self._body_size, 0
            return
        self._unparsed += fed
        if self._unparsed > REQUEST_LINE_LIMIT + HEADERS_LIMIT:
            raise BadRequest(431, "the request head, an extension or the trailers are longer than 40 KiB")

    def _ignore_upgrade(self, rest: bytes) -> bytes:
        """We never upgrade, and a CONNECT is refused. llhttp has called the message complete at its head: take the
        request back, and answer what a new parser is to be fed: its head again, without the header, and the rest."""
        request = self._ready.pop()
        if request.method == b"CONNECT":
            self._refuse(BadRequest(405, "this is not a proxy"))
            return b""
        close = b"" if request.keep_alive else b"Connection: close\r\n"
        self._parser = httptools.HttpRequestParser(self)
        return b"%b %b HTTP/1.1\r\nHost: x\r\n%b%b\r\n%b" % (
            request.method, request.target, close, self._framing, rest,
        )  # fmt: skip

    def _refuse(self, error: BaseException | None) -> None:
        if str(error) == "Data after `Connection: close`":
            return self.close()  # the peer said that it was done; what it still sends is not answered
        if isinstance(error, BadRequest):
            refusal = error.refusal
        elif error is None or isinstance(error, httptools.HttpParserError):
            refusal = Refusal(400, str(error or "malformed request"))
        else:
            raise error
        self._ready.append(RefusedRequest(refusal))
        self.partial = self.wants_continue = False
        self.close()


NO_REQUEST = Request(b"", b"", b"", True)
_LENGTHS_THAT_MATTER = frozenset(
    map(len, (b"host", b"content-length", b"transfer-encoding", b"expect", b"connection", b"upgrade"))
)
_NOT_IN_HOST = re.compile(rb"[ \t,/?#@\\]")
