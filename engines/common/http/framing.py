"""Parts of the parser that a plain GET does not use: the end of parsing, HTTP/1.0 keep-alive, upgrades."""

from __future__ import annotations


class ConnectionDone(Exception):
    """Ends parsing after the request that is complete now."""


class ClosedTokenizer:
    """Replaces the tokenizer of a closed parser: ignores all input."""

    def feed_data(self, data: bytes) -> None:
        """Ignore `data`."""


CLOSED_TOKENIZER = ClosedTokenizer()


def keep_alive_requested(options: bytes) -> bool:
    """Return whether the options of `Connection` alone ask for keep-alive.

    llhttp also obeys `Proxy-Connection`, and lets keep-alive override close.
    """
    found = {option.strip(b" \t") for option in options.split(b",")}
    return b"keep-alive" in found and b"close" not in found


def framing_header(chunked: bool, length: bytes | None, wants_continue: bool) -> bytes:
    """Return the header lines that announce a request's body; b"" without a body."""
    if not chunked and length in (None, b"0"):
        return b""
    expect = b"Expect: 100-continue\r\n" if wants_continue else b""
    if chunked:
        return expect + b"Transfer-Encoding: chunked\r\n"
    return expect + b"Content-Length: %b\r\n" % (length or b"0")
