"""From requests to the bytes of their answers, in order: the handler's part of every model."""

from __future__ import annotations

from engines.common.board.board import Row
from engines.common.http.inbox import Request
from engines.common.work import Handler

ANSWER_LIMIT = 256 * 1024


def answer_some(todo: list[Request], handler: Handler, row: Row) -> tuple[bytes, Request]:
    """Handle the requests in `todo` in order; answers their bytes and the last request that was handled.

    Stops once the bytes are many: a peer that pipelines requests and reads nothing must not make us hold
    their answers. What was handled is taken off `todo`, to whose end a reactor may add meanwhile.
    """
    if len(todo) == 1:
        request = todo.pop(0)
        return handler.handle(request, row), request
    answers: list[bytes] = []
    size = taken = 0
    while taken < len(todo) and size < ANSWER_LIMIT:
        request = todo[taken]
        answers.append(handler.handle(request, row))
        size += len(answers[-1])
        taken += 1
        if not request.keep_alive:
            break  # its answer said `Connection: close`: nothing comes after it
    del todo[:taken]
    return b"".join(answers), request
