"""What a correct response to a kind of request is."""

from __future__ import annotations

from dataclasses import dataclass

from app.load.protocol.http_request import HttpRequest
from app.load.protocol.plan import Work

PLAINTEXT = b"Hello, World!"


@dataclass(frozen=True, slots=True)
class ResponseRule:
    """The rule by which a response is correct.

    - `status`: the status that it must have; a redirect is never followed.
    - `has_body`: False for the response to HEAD, which has none whatever its fields say.
    - `body`: what its body must be; None: anything.
    - `may_vary`: whether the length of a correct response may change from one to the next.
    """

    status: int = 200
    has_body: bool = True
    body: bytes | None = None
    may_vary: bool = False


def response_rule(work: Work) -> ResponseRule:
    """Return the rule for an item of a work mix; the engines define what their paths respond with."""
    match work.kind:
        case "http" | "app":
            return _http_rule(work.http)
        case "plaintext":
            return ResponseRule(body=PLAINTEXT)
        case "echo" | "bytes":
            return ResponseRule(body=b"x" * work.params.get("n", 0))
    return ResponseRule()


def _http_rule(request: HttpRequest) -> ResponseRule:
    return ResponseRule(request.status, has_body=request.method != "HEAD", may_vary=True)
