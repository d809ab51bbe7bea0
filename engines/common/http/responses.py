"""From requests to the bytes of their answers, in order: the handler's part of every model."""

from __future__ import annotations

from engines.common.board.board import BoardRow
from engines.common.handler import Handler
from engines.common.http.request_parser import Request

ANSWER_LIMIT = 256 * 1024


def handle_pending(pending: list[Request], handler: Handler, row: BoardRow) -> tuple[bytes, Request]:
    """Handle the requests in `todo` in order; answers their bytes and the last request that was handled.

    Stops once the bytes are many: a peer that pipelines requests and reads nothing must not make us hold
    their answers. What was handled is taken off `todo`, to whose end a reactor may add meanwhile.
    """
    if len(pending) == 1:
        request = pending.pop(0)
        return handler.handle(request, row), request
    responses: list[bytes] = []
    size = taken = 0
    while taken < len(pending) and size < ANSWER_LIMIT:
        request = pending[taken]
        responses.append(handler.handle(request, row))
        size += len(responses[-1])
        taken += 1
        if not request.keep_alive:
            break  # its answer said `Connection: close`: nothing comes after it
    del pending[:taken]
    return b"".join(responses), request
