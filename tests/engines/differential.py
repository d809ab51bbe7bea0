"""The same bytes to every engine, to `RequestParser` with the same splits, and to h11: they must agree.

ALLOWANCES has what may differ, each with its row in docs/http.md; how often each was used is counted. `python
-m tests.engines.differential 20000` (make fuzz) runs as many random streams, and prints the counts.
"""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from hypothesis import HealthCheck, given, settings

from engines.catalogue import model_modules
from engines.common.http.request_parser import RequestParser

from .driver import PATIENCE_S, Engine, Variant, running, take_answer
from .reference import Answer, Opinion, opinion
from .streams import Stream, streams

MODELS = [name for name, module in model_modules().items() if module.MODEL.why_unavailable() is None]
# Where the engines and the reference may differ: name of the line in docs/http.md, and when it holds.
ALLOWANCES = ("cut-early", "two-faults")


class Disagreement(AssertionError):
    pass


class Panel:
    """The engines, the reference, and the counts so far."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = engines
        self.rules: Counter[str] = Counter()  # of the table, in which h11 is milder
        self.allowed: Counter[str] = Counter()
        self.mutations: Counter[str] = Counter()
        self.asked = self.answers = 0

    def ask(self, stream: Stream) -> None:
        expected = opinion(stream.data, self.rules)
        pieces = stream.pieces(expected.read if expected.ended and expected.read < len(stream.data) else None)
        said = [cleaned(data) for data in exchange([engine.port for engine in self.engines], pieces)]
        for engine, data in zip(self.engines, said, strict=True):
            if data != said[0]:
                raise Disagreement(
                    f"{engine.variant.name}: {data!r}, {self.engines[0].variant.name}: {said[0]!r}"
                )
        self._compare(expected, read_answers(said[0], expected))
        self._compare(expected, by_parser(pieces, expected))
        self.mutations.update(stream.mutations)
        self.asked += 1
        self.answers += len(expected.answers)

    def _compare(self, expected: Opinion, got: list[Answer]) -> None:
        allowance = difference(expected, got)
        if allowance:
            self.allowed[allowance] += 1


def difference(expected: Opinion, got: list[Answer]) -> str:
    """Return None, or the allowance by which the responses differ."""
    wanted = expected.answers
    if got == wanted:
        return ""
    *before, last = got or [Answer(0, None, False)]
    if last.kind in (4, 5) and last.closes:
        if before == wanted and not (expected.all_whole or expected.in_body):
            return "cut-early"
        if before == wanted[:-1] and wanted and {last.kind, wanted[-1].kind} == {4, 5} and wanted[-1].closes:
            return "two-faults"
    raise Disagreement(f"expected {wanted}, got {got}")


def exchange(ports: Sequence[int], pieces: Sequence[bytes]) -> list[bytes]:
    """Send the pieces on a connection to each, end the stream, and read until the end."""
    with contextlib.ExitStack() as stack:
        socks = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_S)) for port in ports
        ]
        for sock in socks:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for piece in pieces:
                    sock.sendall(piece)
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
        return [read_all(sock) for sock in socks]


def read_all(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def cleaned(data: bytes) -> bytes:
    """Return the responses without what may differ: the date, and whether a 100 was needed."""
    return re.sub(rb"\r\nDate: [^\r]*|HTTP/1\.1 100 Continue\r\n\r\n", b"", data)


def read_answers(data: bytes, expected: Opinion) -> list[Answer]:
    rest = bytearray(data)
    answers: list[Answer] = []
    while rest:
        at = len(answers)
        answer = take_answer(rest, head=at < len(expected.heads) and expected.heads[at])
        if answer is None:
            raise Disagreement(f"half an answer: {bytes(rest)!r}")
        echoed = at < len(expected.answers) and expected.answers[at].body is not None and answer.status == 200
        answers.append(Answer(answer.status // 100, answer.body if echoed else None, answer.closes))
    return answers


def by_parser(pieces: Sequence[bytes], expected: Opinion) -> list[Answer]:
    """Return what `RequestParser` alone makes of exactly these pieces."""
    parser = RequestParser()
    answers: list[Answer] = []
    for request in [request for piece in pieces for request in parser.feed(piece)]:
        at = len(answers)
        known = expected.answers[at] if at < len(expected.answers) else Answer(2, None, False)
        if request.rejection:
            answers.append(Answer(request.rejection.status // 100, None, True))
        else:
            body = request.body if known.body is not None else None
            answers.append(Answer(known.kind, body, not request.keep_alive))
    return answers


@contextlib.contextmanager
def panel() -> Iterator[Panel]:
    with contextlib.ExitStack() as stack:
        yield Panel([stack.enter_context(running(Variant(model))) for model in MODELS])


def ask_many(panel: Panel, count: int, at_random: bool) -> None:
    """Run so many streams; the same ones each time unless `at_random`."""

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=not at_random,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(streams())
    def agree(stream: Stream) -> None:
        panel.ask(stream)

    agree()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    began_s = time.monotonic()
    with panel() as judges:
        ask_many(judges, count, at_random=True)
        seconds = time.monotonic() - began_s
        say = sys.stdout.write
        say(f"{judges.asked} streams, {judges.answers} answers, {len(MODELS)} engines, {seconds:.0f} s\n")
        for title, counts in (
            ("mutations", judges.mutations),
            ("rules", judges.rules),
            ("allowed", judges.allowed),
        ):
            say(f"{title}: " + ", ".join(f"{name} {number}" for name, number in counts.most_common()) + "\n")


if __name__ == "__main__":
    main()
