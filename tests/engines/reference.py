"""A second opinion: a server on h11, in memory, with the decisions of docs/http.md in which h11 is more
lenient.

h11 parses. Each rule below is one row of the table, checks the bytes of a request that h11 has accepted, and
is counted when it decides. A difference between the engines and h11 is therefore either a rule with a name or
an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import h11

BODY_LIMIT = 1024 * 1024
KNOWN = ("/", "/healthz", "/cpu", "/hash", "/sleep", "/bytes")
# Methods that llhttp knows beside those of RFC 9110, such as WebDAV. All are 405 except for /echo.
METHODS = frozenset(
    b"DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH "
    b"UNLOCK BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE "
    b"UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK UNLINK SOURCE QUERY".split()
)


class Answer(NamedTuple):
    """What a client sees of one response. `body` only where the request's own body is returned."""

    kind: int  # 2, 4, 5: the class of its status
    body: bytes | None
    closes: bool


class Opinion(NamedTuple):
    answers: list[Answer]
    heads: list[bool]  # which answer HEAD
    ended: bool  # by us: it was refused, or the peer said close
    all_whole: bool  # else the peer stopped in mid-request, and only then
    in_body: bool  # of a length that was said: no byte of it can be malformed
    read: int  # bytes up to the end of the last whole request


class Refused(Exception):
    def __init__(self, line: str, kind: int = 4) -> None:
        super().__init__(line)
        self.line = line
        self.kind = kind


class Incomplete(Exception):
    pass


def opinion(data: bytes, used: Counter[str]) -> Opinion:
    """Return the expected responses to `data` followed by the end of the stream; `used` counts the rules
    applied.
    """
    answers: list[Answer] = []
    heads: list[bool] = []
    at = 0
    while True:
        while data.startswith(b"\r\n", at):
            used["line-empty"] += 1
            at += 2
        if at == len(data):
            return Opinion(answers, heads, False, True, False, at)
        message = Message(data[at:])
        try:
            message.read()
        except Incomplete:
            return Opinion(answers, heads, False, False, message.counted, at)
        except Refused as refused:
            used[refused.line] += 1
            return Opinion(
                [*answers, Answer(refused.kind, None, True)], [*heads, False], True, True, False, len(data)
            )
        at += message.size
        closes = message.closes(used)
        kind, body = serve(message.request, message.body)
        answers.append(Answer(kind, body, closes))
        heads.append(message.request.method == b"HEAD")
        if closes:
            return Opinion(answers, heads, True, True, False, at)


class Message:
    """One request at the beginning of `data`."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        self.body = b""
        self.counted = False

    def read(self) -> None:
        judge_first_line(self.data)
        self.connection.receive_data(self.data)
        request = self._next()
        assert isinstance(request, h11.Request)
        self.request = request
        head = self.data[: self._taken()]
        fields = request.headers.raw_items()
        names = [name.lower() for name, _ in fields]
        for line, rule in HEAD_RULES.items():
            if rule(head, request, names):
                raise Refused(line)
        if request.method == b"CONNECT":
            raise Refused("line-connect")
        self.counted = b"transfer-encoding" not in names
        try:
            self._read_body()
        except Incomplete:
            self._judge_sizes(b"" if self.counted else self.data[len(head) :])
            raise
        self.size = self._taken()
        if not self.counted:
            judge_chunks(self.data[len(head) : self.size])

    def _judge_sizes(self, raw: bytes) -> None:
        """Reject a chunk size of more than 64 bits, for which h11 would wait."""
        at = 0
        while line := CHUNK_LINE.match(raw, at):
            at = line.end() + int(line[1], 16) + 2
            if at >= 1 << 64:
                raise Refused("chunk-size")

    def _read_body(self) -> None:
        while not isinstance(event := self._next(), h11.EndOfMessage):
            assert isinstance(event, h11.Data)
            self.body += event.data

    def _next(self) -> object:
        try:
            event = self.connection.next_event()
        except h11.RemoteProtocolError:
            raise Refused("h11") from None
        if event is h11.NEED_DATA:
            raise Incomplete
        return event

    def _taken(self) -> int:
        return len(self.data) - len(self.connection.trailing_data[0])

    def closes(self, used: Counter[str]) -> bool:
        """Decide as h11 does, except that h11 never keeps HTTP/1.0 alive and ignores `Proxy-Connection`."""
        options = self._options(b"connection")
        if self.request.http_version == b"1.0" and b"keep-alive" in options and b"close" not in options:
            used["conn-1.0-keep"] += 1
            return False
        if b"close" in self._options(b"proxy-connection"):
            used["conn-proxy"] += 1
            return True
        self.connection.send(h11.Response(status_code=200, headers=[(b"content-length", b"0")]))
        self.connection.send(h11.EndOfMessage())
        return self.connection.our_state is h11.MUST_CLOSE

    def _options(self, name: bytes) -> set[bytes]:
        values = [value for field, value in self.request.headers if field == name]
        return {option.strip(b" \t").lower() for value in values for option in value.split(b",")}


FIRST_LINE = re.compile(rb"([^ ]*) ([^ ]*) HTTP/([0-9])\.([0-9])\r\n")


def judge_first_line(data: bytes) -> None:
    """Check the request line by RFC 9112 3: h11 accepts any token and any target."""
    line = data[: data.find(b"\n") + 1]
    if not line:
        raise Incomplete
    parts = FIRST_LINE.fullmatch(line)
    if not parts:
        raise Refused(
            "line-version" if _other_protocol(line) else "line-form", 5 if _other_protocol(line) else 4
        )
    method, target, major, minor = parts.groups()
    if method not in METHODS:
        raise Refused("line-method")
    judge_target(method, target)
    if (major, minor) not in ((b"1", b"1"), (b"1", b"0")):
        raise Refused("line-version", 5)


def _other_protocol(line: bytes) -> bool:
    return re.fullmatch(rb"[A-Z-]+ [!-~]+(| RTSP/\d\.\d| ICE/\d\.\d)\r\n", line) is not None


def judge_target(method: bytes, target: bytes) -> None:
    if not re.fullmatch(rb"[!-~]+", target) or b"#" in target:
        raise Refused("target-bytes")
    absolute = re.fullmatch(rb"([A-Za-z]+)://([^/?]*)([/?].*)?", target)
    if target.startswith(b"/") or method == b"CONNECT" or (target, method) == (b"*", b"OPTIONS"):
        return
    if not absolute or not is_host(absolute[2]):
        raise Refused("target-form")
    if absolute[1].lower() != b"http":
        raise Refused("target-scheme")


def is_host(value: bytes) -> bool:
    name, _, port = value.partition(b"]:") if value.startswith(b"[") else value.partition(b":")
    if value.startswith(b"["):
        name = (name + b"]") if b"]:" in value else name
        known = re.fullmatch(rb"\[[0-9a-fA-F:.]+\]|\[v[0-9a-f]+\.[\w.~!$&'()*+,;=:-]+\]", name)
    else:
        known = re.fullmatch(rb"([A-Za-z0-9._~!$&'()*+;=-]|%[0-9a-fA-F]{2})+", name)
    return bool(known) and (port == b"" or port.isdigit())


Rule = Callable[[bytes, h11.Request, list[bytes]], object]


def _values(request: h11.Request, name: bytes) -> list[bytes]:
    return [value for field, value in request.headers if field == name]


HEAD_RULES: dict[str, Rule] = {
    "field-line-end": lambda head, request, names: re.search(rb"(?<!\r)\n|\r(?!\n)", head),
    "field-fold": lambda head, request, names: re.search(rb"\n[ \t]", head),
    "field-value": lambda head, request, names: re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", head),
    "host-form": lambda head, request, names: not all(map(is_host, _values(request, b"host"))),
    "cl-te": lambda head, request, names: {b"content-length", b"transfer-encoding"} <= set(names),
    "cl-twice": lambda head, request, names: (
        re.search(rb"(?i)\ncontent-length:[^\n]*(,|\ncontent-length:)", head)
        or head.lower().count(b"\ncontent-length:") > 1
    ),
    "te-1.0": lambda head, request, names: request.http_version == b"1.0" and b"transfer-encoding" in names,
    "te-other": lambda head, request, names: (
        re.search(rb"(?i)\ntransfer-encoding:[^\n]*\t *\r\n", head)
        and not re.search(rb"(?i)\ntransfer-encoding:[ \t]*chunked *\r\n", head)
    ),
    "limit-body": lambda head, request, names: any(
        int(v) > BODY_LIMIT for v in _values(request, b"content-length")
    ),
}

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]+)(?:;"
    + TOKEN
    + rb"(?:=(?:"
    + TOKEN
    + rb'|"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*\r\n'
)


def judge_chunks(raw: bytes) -> None:
    """Check the framing of a chunked body: h11 accepts white space after the size, and any extension."""
    at = 0
    while True:
        line = CHUNK_LINE.match(raw, at)
        if not line:
            raise Refused("chunk-form")
        at, size = line.end(), int(line[1], 16)
        if not size:
            break
        at += size + 2
    judge_trailers(raw[at:])


def judge_trailers(raw: bytes) -> None:
    names = {line.partition(b":")[0].lower() for line in raw.split(b"\r\n")}
    if re.search(rb"(?<!\r)\n|\r(?!\n)|\n[ \t]|^[ \t]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", raw):
        raise Refused("trailer-form")
    if names & {b"content-length", b"transfer-encoding"}:
        raise Refused("trailer-framing")
    if names & {b"connection", b"proxy-connection"}:
        raise Refused("trailer-connection")


def serve(request: h11.Request, body: bytes) -> tuple[int, bytes | None]:
    """Return the class of the response, and the body where it is the request's."""
    target = request.target.decode("latin-1")
    if not target.startswith(("/", "*")):
        target = re.sub(r"^[A-Za-z]+://[^/?]*/?", "/", target)
    path = target.partition("?")[0]
    if path == "/echo":
        return 2, None if request.method == b"HEAD" else body
    if request.method == b"OPTIONS" and path in ("*", *KNOWN):
        return 2, None
    return (2 if path in KNOWN and request.method in (b"GET", b"HEAD") else 4), None
