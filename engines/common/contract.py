"""The contract between a model module, the process that runs it, and the control plane.

A model module has `MODEL` and `serve()`; no base class and no registration. `engines.catalogue` finds every
module that satisfies `ModelModule`. The control plane never imports one: it rebuilds `Model` from the JSON
that `python -m engines --describe` prints, so everything that it needs to know of a model is data.
"""

from __future__ import annotations

import math
import reprlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from engines.common.board.row import BoardRow
    from engines.common.board.writer import Board
    from engines.common.http.request_parser import RequestParser
    from engines.common.http.requests import Request


_SHORT = reprlib.Repr()  # an error message quotes at most 80 characters of a value
_SHORT.maxstring = _SHORT.maxother = 80
APPLICATION_STACK_KIB = 1024
SPARE_DESCRIPTORS = 256  # for each process: listener, epolls, rings, mailboxes, board, streams
SHARED, EXCLUSIVE, REUSEPORT = ACCEPT_CHOICES = ("shared", "exclusive", "reuseport")  # of a knob `accept`


class BadKnob(ValueError):
    """A knob is unknown, or its value is of the wrong type or out of bounds. The message names the knob."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Knob:
    """A setting of a model: an integer from `minimum` to `maximum` in `unit`, or one of `choices`."""

    name: str
    default: int | str
    help: str
    minimum: int | None = None
    maximum: int | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()

    def parse(self, value: object) -> int | str:
        """Return `value` as the knob's type; an integer may be given as a string. Raises BadKnob."""
        if self.choices:
            if value not in self.choices:
                raise BadKnob(
                    self.name, f"must be one of {', '.join(self.choices)}, not {_SHORT.repr(value)}"
                )
            return str(value)
        number = self._number(value)
        if (self.minimum is not None and number < self.minimum) or (
            self.maximum is not None and number > self.maximum
        ):
            raise BadKnob(self.name, f"must be from {self.bounds}, not {_quoted(number)}")
        return number

    @property
    def bounds(self) -> str:
        """The allowed values as text: `1 to 86,400 s`, or the choices. One open end is written as `…`."""
        if self.choices:
            return ", ".join(self.choices)
        low, high = ("…" if end is None else f"{end:,}" for end in (self.minimum, self.maximum))
        return f"{low} to {high}{f' {self.unit}' if self.unit else ''}"

    def _number(self, value: object) -> int:
        try:
            if isinstance(value, bool) or not isinstance(value, int | str):
                raise ValueError
            return int(value)
        except ValueError:
            raise BadKnob(self.name, f"must be a whole number, not {_SHORT.repr(value)}") from None


def _quoted(number: int) -> str:
    return f"{number:,}" if number.bit_length() <= 64 else "a number of more digits"


@dataclass(frozen=True, slots=True)
class Role:
    """What a thread of a model does, and how many threads do it.

    `threads` names the knobs whose product is the number of threads, such as `("reactors", "workers")`;
    without a name there is one thread. Each is a row of the metrics board. `own_process`: each of them is the
    only thread of a forked process, which numbers its descriptors from 0. `restaurant` is an analogy for
    beginners.
    """

    name: str
    title: str
    does: str
    threads: tuple[str, ...] = ()
    own_process: bool = False
    restaurant: str = ""

    def thread_count(self, knobs: Mapping[str, Any]) -> int:
        """Return the largest number of threads that can have this role at the same time."""
        return math.prod(int(knobs[name]) for name in self.threads)


def _always_available() -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Model:
    """A thread model as cards, API and docs show it.

    `order` sorts the catalogue. `summary` is one sentence. `aliases`, `pros`, `cons` and `used_by` may stand
    in engines/literature.toml instead. `why_unavailable` returns one sentence where this machine cannot run
    the model, else None; it must be cheap and must not raise.
    """

    name: str
    title: str
    order: int
    summary: str
    roles: tuple[Role, ...]
    knobs: tuple[Knob, ...]
    aliases: tuple[str, ...] = ()
    pros: tuple[str, ...] = ()
    cons: tuple[str, ...] = ()
    used_by: tuple[str, ...] = ()
    why_unavailable: Callable[[], str | None] = field(default=_always_available)

    @property
    def has_worker_processes(self) -> bool:
        """Whether the engine forks processes, which handle all requests."""
        return any(role.own_process for role in self.roles)

    def board_rows(self, knobs: Mapping[str, Any]) -> int:
        """Return how many rows of the metrics board an engine with these knobs needs: one for each thread."""
        return sum(role.thread_count(knobs) for role in self.roles)

    def descriptor_words(self, knobs: Mapping[str, Any]) -> int:
        """Return how many descriptor words the board needs: a range for each process of the engine."""
        forked = sum(role.thread_count(knobs) for role in self.roles if role.own_process)
        return int(knobs["max_connections"]) + SPARE_DESCRIPTORS * max(1, forked)


# Limits and timeouts that every model has.
COMMON_KNOBS = (
    Knob(
        "backlog", 4096, "Accept queue: connections that the kernel holds until they are accepted.", 1, 65535
    ),
    Knob("max_connections", 15000, "Open connections; at the limit the engine stops accepting.", 1, 100_000),
    Knob("idle_s", 15, "Keep-alive timeout: an idle connection is closed after it.", 1, 86_400, "s"),
    Knob("header_s", 10, "Time limit for receiving a whole request head.", 1, 3600, "s"),
    Knob("body_s", 30, "Time limit for receiving a whole request body.", 1, 3600, "s"),
    Knob("write_s", 10, "Time limit for a client to receive a response.", 1, 3600, "s"),
    Knob("grace_s", 5, "Time to finish requests in flight when the engine stops.", 0, 600, "s"),
    Knob(
        "switch_interval_us",
        5000,
        "Time after which a thread that waits for the GIL makes the running thread release it.",
        10,
        1_000_000,
        "µs",
    ),
)


def all_knobs(model: Model) -> tuple[Knob, ...]:
    """Return the model's own knobs, then those that every model has."""
    return model.knobs + COMMON_KNOBS


def parse_knobs(model: Model, given: Mapping[str, object]) -> dict[str, int | str]:
    """Return a value for every knob, `given` over the defaults. Raises BadKnob for the first wrong one."""
    known = {knob.name: knob for knob in all_knobs(model)}
    for name in given:
        if name not in known:
            raise BadKnob(name, f"is not a knob of {model.name}; it has {', '.join(known)}")
    return {name: knob.parse(given.get(name, knob.default)) for name, knob in known.items()}


def application_knobs(model: Model) -> dict[str, int | str]:
    """Return the knobs that have another default with an application of the user: it needs larger stacks."""
    return {knob.name: APPLICATION_STACK_KIB for knob in model.knobs if knob.name == "stack_kib"}


def listens_by_itself(knobs: Mapping[str, Any]) -> bool:
    """Return whether each process of the engine binds and listens on its own (`accept` is `reuseport`).

    `serve()` then gets a socket that is bound with SO_REUSEPORT and does not listen: it holds the port.
    """
    return knobs.get("accept") == REUSEPORT


class RequestHandler(Protocol):
    """Turns requests into responses: the lab's work kinds, or an application of the user. Thread-safe.

    `draining` is set by a model that must stop: every response then has `Connection: close`.
    """

    draining: bool

    def load(self) -> None:
        """Load what the responses need. Called once in each process that serves, after it was forked."""
        ...

    def update_date(self, now_s: float) -> None:
        """Renew the `Date` header if the second has changed. `now_s` is monotonic; call after each wait."""
        ...

    def handle(self, request: Request, row: BoardRow) -> bytes:
        """Return the response to `request`, counted on `row`, whose thread calls this. Raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Setup:
    """What the process provides to `serve()`.

    `new_parser` returns the parser of a new connection. `knobs` has an attribute for each knob. `stopping` is
    a descriptor that becomes readable when the engine must stop (a signal, or the end of the control plane),
    so a loop waits for it as for any other event. `ready()` is called once every thread runs.
    """

    handler: RequestHandler
    new_parser: Callable[[], RequestParser]
    board: Board
    knobs: SimpleNamespace
    stopping: int
    ready: Callable[[], None]


class ModelModule(Protocol):
    """A module that implements one model."""

    MODEL: Model

    def serve(self, listener: socket.socket, setup: Setup) -> None:
        """Serve `listener` until `setup.stopping` is readable, then drain and return.

        It is non-blocking, and it listens, except with the knobs of `listens_by_itself`.
        """
        ...
