"""Inputs and their decisions, for `RequestParser` and for every engine. Each names its row in docs/http.md.

`MALFORMED` and `LIMITS` are rejected: one response with that status, and the connection closes. `ACCEPTED`
are served.
"""

from __future__ import annotations

from typing import NamedTuple

GREETING = b"Hello, World!"
MIB = 1024 * 1024


class Malformed(NamedTuple):
    line: str
    name: str
    data: bytes
    status: int = 400


class Accepted(NamedTuple):
    line: str
    name: str
    data: bytes
    bodies: tuple[bytes, ...] = (GREETING,)
    closes: bool = False


def head(*lines: bytes, first: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    return b"\r\n".join([first, *([host] if host else []), *lines, b"", b""])


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return head(*lines, first=b"POST /echo HTTP/1.1") + body


def chunks(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


def _get(target: bytes, method: bytes = b"GET", host: bytes = b"Host: a") -> bytes:
    return head(first=method + b" " + target + b" HTTP/1.1", host=host)


def _length(line: str, value: bytes) -> Malformed:
    return Malformed(line, f"Content-Length {value!r}", post(b"Content-Length: " + value, body=b"hello"))


def _coding(value: bytes) -> Malformed:
    return Malformed("te-other", f"coding {value!r}", post(b"Transfer-Encoding: " + value, body=b"0\r\n\r\n"))


def _host(value: bytes) -> Malformed:
    return Malformed("host-form", f"Host {value!r}", head(host=b"Host: " + value))


def _target(line: str, target: bytes, method: bytes = b"GET", status: int = 400) -> Malformed:
    return Malformed(line, f"target {method.decode()} {target!r}", _get(target, method), status)


def _version(line: str, protocol: bytes, status: int) -> Malformed:
    return Malformed(line, protocol.decode(), head(first=b"GET / " + protocol), status)


def _chunk(line: str, name: str, body: bytes, status: int = 400) -> Malformed:
    return Malformed(line, name, chunks(body), status)


def _extension(line: str, extension: bytes) -> Malformed:
    return _chunk(line, f"chunk extension {extension!r}", b"5" + extension + b"\r\nhello\r\n0\r\n\r\n")


def _bytes_in(line: str, what: str, template: bytes, *codes: int) -> tuple[Malformed, ...]:
    """The template with each of some bytes in place of its question mark."""
    return tuple(
        Malformed(line, f"byte {code:#04x} in {what}", template.replace(b"?", bytes([code])))
        for code in codes
    )


CONTROLS = (0x00, 0x01, 0x08, 0x0B, 0x0C, 0x1B, 0x1F, 0x7F)

FIRST_LINES = (
    Malformed("line-bare", "bare LF before the request line", b"\n" + head()),
    Malformed("line-bare", "bare CR before the request line", b"\r" + head()),
    Malformed("line-bare", "bare LF after the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    Malformed("line-bare", "bare CR after the request line", b"GET / HTTP/1.1\rHost: a\r\n\r\n"),
    Malformed("line-spaces", "space before the method", b" " + head()),
    Malformed("line-spaces", "two spaces before the target", head(first=b"GET  / HTTP/1.1")),
    Malformed("line-spaces", "two spaces before the version", head(first=b"GET /  HTTP/1.1")),
    Malformed("line-spaces", "two spaces and another target", head(first=b"OPTIONS  * HTTP/1.1")),
    Malformed("line-spaces", "tab instead of a space", head(first=b"GET\t/ HTTP/1.1")),
    Malformed("line-spaces", "space at the end of the line", head(first=b"GET / HTTP/1.1 ")),
    Malformed("line-spaces", "space in the target", head(first=b"GET /a b HTTP/1.1")),
    Malformed("line-spaces", "two spaces and HTTP/1.1 behind them", head(first=b"GET /  HTTP/1.1 HTTP/1.1")),
    Malformed("line-method", "method in lower case", head(first=b"get / HTTP/1.1")),
    Malformed("line-method", "method that is no token", head(first=b"G@T / HTTP/1.1")),
    Malformed("line-method", "method that is not known", head(first=b"FETCH / HTTP/1.1")),
    Malformed("line-method", "method that begins like one", head(first=b"GETX / HTTP/1.1")),
    Malformed("line-method", "method without an end", b"G" * 10_000 + head()),
    Malformed("line-method", "PRI in HTTP/1.1", head(first=b"PRI / HTTP/1.1")),
    Malformed("line-method", "a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    Malformed("line-connect", "CONNECT", head(first=b"CONNECT a:80 HTTP/1.1"), 405),
    Malformed("line-connect", "CONNECT of a path", head(first=b"CONNECT / HTTP/1.1"), 405),
    *(_version("line-version", b"HTTP/" + number, 505) for number in (b"2.0", b"0.9", b"1.2", b"3.0")),
    *(_version("line-version", protocol, 505) for protocol in (b"RTSP/1.0", b"RTSP/1.1")),
    Malformed("line-version", "ICE/1.1", head(first=b"SOURCE / ICE/1.1"), 505),
    Malformed("line-version", "no version", b"GET /\r\nHost: a\r\n\r\n", 505),
    Malformed("line-version", "HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    Malformed(
        "line-version",
        "HTTP/2.0 kept alive by a proxy",
        head(b"Proxy-Connection: keep-alive", first=b"GET / HTTP/2.0"),
        505,
    ),
    *(
        _version("line-version-form", b"HTTP/" + number, 400)
        for number in (b"1.10", b"1", b"1,1", b"01.1", b"x.y", b"")
    ),
    *(
        _version("line-version-form", protocol, 400)
        for protocol in (b"http/1.1", b"HTP/1.1", b"HTTP 1.1", b"ICE/1.1")
    ),
)
TARGETS = (
    *(_target("target-form", target) for target in (b"index", b"a:80", b"a.example:80", b"?a", b"%2F")),
    Malformed("target-form", "no target", head(first=b"GET HTTP/1.1")),
    *_bytes_in("target-bytes", "a target", _get(b"/a?"), *CONTROLS, 0x80, 0xE9, 0xFF),
    Malformed("target-bytes", "byte 0xe9 in a query", _get(b"/a?b=\xe9")),
    _target("target-fragment", b"/#top"),
    _target("target-fragment", b"/a?b#c"),
    _target("target-asterisk", b"*"),
    _target("target-asterisk", b"*", b"POST"),
    _target("target-asterisk", b"*/", b"OPTIONS"),
    _target("target-asterisk", b"**", b"OPTIONS"),
    *(
        _target("target-authority", b"http://" + host + b"/")
        for host in (b"", b"u@a", b"u:p@a", b"a:b", b"[::1", b":80")
    ),
    _target("target-scheme", b"https://a/", status=421),
    _target("target-scheme", b"ftp://a/", status=421),
)
HOSTS = (
    Malformed("host-missing", "no Host", head(host=b"")),
    Malformed("host-missing", "no Host, but an absolute target", _get(b"http://a/", host=b"")),
    Malformed("host-twice", "two Hosts", head(b"Host: a")),
    Malformed("host-twice", "two different Hosts", head(b"Host: b")),
    Malformed("host-twice", "two Hosts in HTTP/1.0", head(b"host: a", first=b"GET / HTTP/1.0")),
    *map(
        _host,
        (
            b"",
            b" ",
            b"a b",
            b"a,b",
            b"a/b",
            b"a?b",
            b"a#b",
            b"a@b",
            b"u:p@a",
            b"a\\b",
            b"a:b",
            b"a:80:80",
            b":80",
        ),
    ),
    *map(_host, (b"[::1", b"::1", b"[::1]x", b"[x]", b"a\xe9", b"a%2", b"<a>", b'"a"')),
)
FIELDS = (
    Malformed("field-line-end", "bare LF", b"GET / HTTP/1.1\r\nHost: a\n\n"),
    Malformed("field-line-end", "bare LF after a field", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
    Malformed("field-line-end", "bare LF at the end of the head", b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    Malformed("field-line-end", "bare CR in a value", head(b"X: a\rb")),
    Malformed("field-line-end", "bare CR at the end of a value", head(b"X: a\r")),
    Malformed("field-line-end", "bare CR at the end of the head", b"GET / HTTP/1.1\r\nHost: a\r\n\rX"),
    Malformed("field-fold", "folded line", head(b"X: a", b" b")),
    Malformed("field-fold", "folded line by a tab", head(b"X: a", b"\tb")),
    Malformed("field-fold", "folded line after no value", head(b"X:", b" b")),
    Malformed("field-fold", "first field begins with a space", head(host=b" Host: a")),
    Malformed("field-colon", "space before the colon", head(b"X : a")),
    Malformed(
        "field-colon", "space before the colon of a length", post(b"Content-Length : 5", body=b"hello")
    ),
    Malformed("field-colon", "tab before the colon", head(b"X\t: a")),
    Malformed("field-colon", "no colon", head(b"X")),
    Malformed("field-name", "no field name", head(b": a")),
    Malformed("field-name", "space in a field name", head(b"X Y: a")),
    *_bytes_in(
        "field-name", "a field name", head(b"X?Y: a"), *CONTROLS, 0x22, 0x28, 0x2F, 0x40, 0x7B, 0x80, 0xE9
    ),
    *_bytes_in("field-value", "a value", head(b"X: a?b"), *CONTROLS),
    *_bytes_in("field-value", "a Connection", head(b"Connection: a?b"), *CONTROLS),
)
FRAMING = (
    Malformed(
        "cl-te", "Content-Length and coding", post(b"Content-Length: 5", b"Transfer-Encoding: chunked")
    ),
    Malformed(
        "cl-te", "coding and Content-Length", post(b"Transfer-Encoding: chunked", b"Content-Length: 5")
    ),
    Malformed(
        "cl-te", "Content-Length 0 and coding", post(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    ),
    Malformed(
        "cl-twice", "unequal lengths", post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!")
    ),
    Malformed("cl-twice", "equal lengths", post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello")),
    *(_length("cl-twice", value) for value in (b"5, 5", b"5,6", b"5,")),
    *(
        _length("cl-digits", value)
        for value in (b"+5", b"-1", b"-0", b"0x5", b"5_0", b"5 5", b"", b"five", b"5.0", b"5e0")
    ),
    *(_length("cl-digits", value) for value in (b"\xb2", b"5;", b'"5"', b"1" + b"0" * 30)),
    *map(
        _coding,
        (b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"identity", b"xchunked", b""),
    ),
    *map(
        _coding,
        (b",chunked", b"chunked,", b"chunked;a=b", b'"chunked"', b"chunked x", b"\x0bchunked", b"chunked\t"),
    ),
    Malformed(
        "te-twice", "chunked said twice", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")
    ),
    Malformed(
        "te-twice", "chunked and then gzip", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip")
    ),
    Malformed(
        "te-1.0",
        "chunked in HTTP/1.0",
        head(b"Transfer-Encoding: chunked", first=b"POST /echo HTTP/1.0") + b"0\r\n\r\n",
    ),
)
HELLO = b"\r\nhello\r\n0\r\n\r\n"
CHUNKS = (
    *(
        _chunk("chunk-size", f"chunk size {s!r}", s + HELLO)
        for s in (b"g", b"+5", b"-5", b"0x5", b"", b"5_", b"5h", b"5.0")
    ),
    *(
        _chunk("chunk-size", f"chunk size {s!r}", s + HELLO)
        for s in (b"5 ", b" 5", b"5\t", b"\t5", b"5\0", b"\xb5")
    ),
    _chunk("chunk-size", "chunk size of more than 64 bits", b"1" + b"0" * 16 + b"5" + HELLO),
    _chunk("chunk-line-end", "bare LF after the chunk size", b"5\nhello\r\n0\r\n\r\n"),
    _chunk("chunk-line-end", "bare CR after the chunk size", b"5\rhello\r\n0\r\n\r\n"),
    _chunk("chunk-line-end", "bare LF after the chunk", b"5\r\nhello\n0\r\n\r\n"),
    _chunk("chunk-line-end", "bare CR after the chunk", b"5\r\nhello\r0\r\n\r\n"),
    _chunk("chunk-line-end", "bare LF after the last chunk", b"0\n\r\n"),
    _chunk("chunk-line-end", "bare LF at the end", b"0\r\n\n"),
    _chunk("chunk-line-end", "bare LF after a trailer", b"0\r\nX: y\n\r\n"),
    _chunk("chunk-data-end", "chunk longer than its size", b"4\r\nhello\r\n0\r\n\r\n"),
    _chunk("chunk-data-end", "no CRLF after the chunk", b"5\r\nhello0\r\n\r\n"),
    *(
        _extension("chunk-ext-form", extension)
        for extension in (b";", b";;", b";;a", b";=b", b";a=", b";a=;b", b';a=b"c"')
    ),
    *(
        _extension("chunk-ext-form", extension)
        for extension in (b';a="b', b';a="b"c', b";a/b", b";a=b=c", b"x")
    ),
    *(
        _extension("chunk-ext-form", extension)
        for extension in (b";a\0", b";a=\x01", b';a="\x7f"', b";a\nb", b";a\rb", b";\xe9")
    ),
    *(
        _extension("chunk-ext-space", extension)
        for extension in (b" ;a", b"; a", b";a =b", b";a= b", b";a=b ", b"\t;a")
    ),
    *(
        _chunk("trailer-framing", f"trailer {t!r}", b"0\r\n" + t + b"\r\n\r\n")
        for t in (b"Content-Length: 5", b"Transfer-Encoding: chunked")
    ),
    *(
        _chunk("trailer-connection", f"trailer {t!r}", b"0\r\n" + t + b"\r\n\r\n")
        for t in (b"Connection: close", b"Proxy-Connection: close")
    ),
    *(
        _chunk("trailer-form", f"trailer {t!r}", b"0\r\n" + t + b"\r\n\r\n")
        for t in (b"X : y", b"X", b": y", b" X: y", b"X: a\r\n b", b"X: \0")
    ),
)
MALFORMED = (*FIRST_LINES, *TARGETS, *HOSTS, *FIELDS, *FRAMING, *CHUNKS)

LONG = b"x" * 9000
LIMITS = (
    Malformed("limit-target", "target of 9,000 bytes", _get(b"/" + LONG), 414),
    Malformed("limit-head", "field of 36,000 bytes", head(b"X: " + LONG * 4), 431),
    Malformed("limit-head", "four fields of 9,000 bytes", head(*(b"X: " + LONG,) * 4), 431),
    Malformed("limit-head", "101 fields", head(*(b"X: y",) * 100), 431),
    Malformed("limit-head", "head without an end", head(b"X: " + LONG * 5)[:-4], 431),
    Malformed("limit-head", "empty lines without an end", b"\r\n" * 21_000, 431),
    Malformed("limit-body", "body by its length", post(b"Content-Length: 1048577"), 413),
    Malformed("limit-body", "body of 10^9", post(b"Content-Length: 1000000000"), 413),
    Malformed(
        "limit-body", "body in chunks", chunks(b"%x\r\n%b\r\n1\r\nx\r\n0\r\n\r\n" % (MIB, b"x" * MIB)), 413
    ),
    Malformed("limit-chunks", "extension of 45,000 bytes", chunks(b"5;" + LONG * 5), 431),
    Malformed(
        "limit-chunks", "an extension at each byte", chunks((b"1;" + b"x" * 900 + b"\r\nx\r\n") * 120), 431
    ),
    Malformed("limit-chunks", "trailers without an end", chunks(b"0\r\n" + b"X: y\r\n" * 8000), 431),
    Malformed(
        "limit-chunks", "101 fields, trailers included", chunks(b"0\r\n" + b"X: y\r\n" * 99 + b"\r\n"), 431
    ),
)

NOTHING_LEFT = (GREETING, GREETING)
ACCEPTED = (
    Accepted("line-empty", "an empty line before a request", b"\r\n" + head()),
    Accepted(
        "line-empty", "empty lines before and behind", b"\r\n\r\n" + head() + b"\r\n" + head(), NOTHING_LEFT
    ),
    Accepted(
        "line-empty",
        "an empty line behind a body",
        post(b"Content-Length: 1", body=b"x") + b"\r\n" + head(),
        (b"x", GREETING),
    ),
    Accepted("target-odd", "bytes that a URI would encode", _get(b'/?"<>\\^`{|}')),
    Accepted("target-odd", "percent signs without a code", _get(b"/?%zz%")),
    Accepted("target-odd", "question marks in the query", _get(b"/?a?b")),
    *(
        Accepted("target-absolute", t.decode(), _get(t))
        for t in (b"http://other", b"http://other/", b"HTTP://a:80/", b"http://a?x=/y")
    ),
    Accepted("target-absolute", "http://[::1]:80/healthz", _get(b"http://[::1]:80/healthz"), (b"ok\n",)),
    *(
        Accepted("host-any", f"Host {host!r}", head(host=b"host:" + host))
        for host in (
            b"a",
            b" a:80 ",
            b"a:",
            b"A-b_c.~!$&'()*+;=",
            b"%41",
            b"[::1]",
            b"[::1]:80",
            b"[v1.a]",
            b"127.0.0.1:65536",
        )
    ),
    Accepted("host-1.0", "HTTP/1.0 without a Host", head(first=b"GET / HTTP/1.0", host=b""), closes=True),
    Accepted("field-value-any", "tabs, and bytes over 127", head(b"X:\ta\xe9\xff\tb \t", b"Y:", b"Z: ")),
    Accepted("field-value-any", "every sign in a name", head(b"!#$%&'*+-.^_`|~09azAZ: x")),
    *(
        Accepted(
            "cl-zeros", f"Content-Length {v!r}", post(b"Content-Length: " + v, body=b"hello"), (b"hello",)
        )
        for v in (b"05", b"0" * 19 + b"5")
    ),
    Accepted("cl-zeros", "Content-Length 000", post(b"Content-Length: 000"), (b"",)),
    Accepted(
        "cl-zeros", "white space around a length", post(b"Content-Length:\t 5 \t", body=b"hello"), (b"hello",)
    ),
    *(
        Accepted("te-chunked", v.decode(), post(b"Transfer-Encoding:" + v, body=b"5" + HELLO), (b"hello",))
        for v in (b" Chunked", b"\tchunked  ")
    ),
    Accepted(
        "te-chunked",
        "zeros before a chunk size",
        chunks(b"0" * 19 + b"5\r\nhello\r\n000\r\n\r\n"),
        (b"hello",),
    ),
    Accepted(
        "te-chunked",
        "chunk size in both cases",
        chunks(b"a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n"),
        (b"01234567890123456789a",),
    ),
    *(
        Accepted(
            "chunk-ext",
            f"chunk extension {x!r}",
            chunks(b"5" + x + b"\r\nhello\r\n0" + x + b"\r\n\r\n"),
            (b"hello",),
        )
        for x in (b";a", b";a=b", b';a="b c"', b';a="\\"\xe9;"', b';a=1;b="2";c', b";a=" + b"x" * 1000)
    ),
    Accepted(
        "trailer",
        "trailers",
        chunks(b"5\r\nhello\r\n0\r\nX: y\r\nHost: a b\r\nExpect: x\r\n\r\n") + head(),
        (b"hello", GREETING),
    ),
    Accepted("conn-1.1", "keep-alive is the rule", head() + head(b"Connection: keep-alive"), NOTHING_LEFT),
    *(
        Accepted("conn-close", f"Connection {v!r}", head(b"Connection:" + v), closes=True)
        for v in (b"close", b" Close", b"keep-alive, close", b" close\t", b"x,,close ,y")
    ),
    Accepted("conn-close", "two Connections", head(b"Connection: x", b"Connection: close"), closes=True),
    *(
        Accepted("conn-not-close", f"Connection {v!r}", head(b"Connection:" + v))
        for v in (b"closed", b"x close", b'"close"', b"")
    ),
    Accepted("conn-1.0", "HTTP/1.0", head(first=b"GET / HTTP/1.0"), closes=True),
    *(
        Accepted("conn-1.0", f"HTTP/1.0 and {v!r}", head(v, first=b"GET / HTTP/1.0"), closes=True)
        for v in (
            b"Connection: close",
            b"Connection: keep-alive, close",
            b"Connection: x",
            b"Proxy-Connection: keep-alive",
        )
    ),
    *(
        Accepted("conn-1.0-keep", f"HTTP/1.0 and {v!r}", head(v, first=b"GET / HTTP/1.0"))
        for v in (b"Connection: keep-alive", b"Connection: Keep-Alive, x")
    ),
    Accepted("conn-proxy", "Proxy-Connection: close", head(b"Proxy-Connection: close"), closes=True),
    Accepted("expect-other", "another expectation", head(b"Expect: 200-ok")),
    Accepted("expect-other", "an expectation without a body", head(b"Expect: 100-continue")),
    *(
        Accepted(
            "upgrade", f"Upgrade {v!r}", head(b"Connection: Upgrade", b"Upgrade: " + v) + head(), NOTHING_LEFT
        )
        for v in (b"websocket", b"h2c", b"TLS/1.0")
    ),
    Accepted("upgrade", "and close", head(b"Connection: Upgrade, close", b"Upgrade: x"), closes=True),
    Accepted(
        "upgrade",
        "in HTTP/1.0",
        head(b"Connection: Upgrade", b"Upgrade: x", first=b"GET / HTTP/1.0"),
        closes=True,
    ),
    Accepted(
        "upgrade",
        "kept alive in HTTP/1.0",
        head(b"Connection: keep-alive, Upgrade", b"Upgrade: x", first=b"GET / HTTP/1.0") + head(),
        NOTHING_LEFT,
    ),
    Accepted(
        "upgrade",
        "with a body",
        post(b"Connection: Upgrade", b"Upgrade: x", b"Content-Length: 5", body=b"hello") + head(),
        (b"hello", GREETING),
    ),
)
