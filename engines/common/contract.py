"""The contract between a lesson, the process that runs it, and the control plane.

A lesson is a module with `MODEL` and `serve()`. It registers nowhere: `engines.catalogue`
finds every module of the package that satisfies `Lesson`.
"""

from __future__ import annotations

import reprlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from engines.common.board.board import Board
    from engines.common.handler import Handler


_SHORT = reprlib.Repr()  # a value that is told back is never long
_SHORT.maxstring = _SHORT.maxother = 80
SPARE_DESCRIPTORS = 256  # beside the connections: listener, epolls, rings, mailboxes, board, streams


class BadKnob(ValueError):
    """A knob's value is unknown, of the wrong kind, or out of bounds; the text names the knob and its bounds."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Knob:
    """A parameter of a model: a whole number within bounds, or one of some choices."""

    name: str
    default: int | str
    help: str
    minimum: int | None = None
    maximum: int | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()

    def parse(self, value: object) -> int | str:
        """Answer `value` as the knob's own type; raise BadKnob in words that a person can act on."""
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
            unit = f" {self.unit}" if self.unit else ""
            raise BadKnob(
                self.name, f"must be from {self.minimum:,} to {self.maximum:,}{unit}, not {_told(number)}"
            )
        return number

    def _number(self, value: object) -> int:
        try:
            if isinstance(value, bool) or not isinstance(value, int | str):
                raise ValueError
            return int(value)
        except ValueError:
            raise BadKnob(self.name, f"must be a whole number, not {_SHORT.repr(value)}") from None


def _told(number: int) -> str:
    return f"{number:,}" if number.bit_length() <= 64 else "one of more digits"


@dataclass(frozen=True, slots=True)
class Role:
    """What a thread of a model is there for, in the literature's words and in the restaurant's."""

    name: str
    title: str
    does: str
    restaurant: str = ""


def _available() -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Model:
    """The idea that a lesson implements, as cards, API and docs show it."""

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
    why_unavailable: Callable[[], str | None] = field(default=_available)

    def board_rows(self, knobs: Mapping[str, Any]) -> int:
        """How many board rows these knobs can need, at most."""
        threads = knobs.get("max_threads", 0) + knobs.get("workers", 0) * knobs.get(
            "reactors", knobs.get("rings", 1)
        )
        return int(threads + knobs.get("reactors", 0) + knobs.get("rings", 0) + knobs.get("processes", 0) + 2)

    def descriptor_words(self, knobs: Mapping[str, Any]) -> int:
        """How many board words for descriptors: each process counts its own from 0, so each has a range of them."""
        return int(knobs["max_connections"] + SPARE_DESCRIPTORS * knobs.get("processes", 1))


# Every model has these: they bound what one engine may take, and say when a silent peer is let go.
COMMON_KNOBS = (
    Knob(
        "backlog",
        4096,
        "Accept queue: connections the kernel completes before the engine takes them.",
        1,
        65535,
    ),
    Knob(
        "max_connections",
        15000,
        "Connections held at once; beyond them the engine stops accepting.",
        1,
        100_000,
    ),
    Knob("idle_s", 15, "Silence between two requests of a connection before it is closed.", 1, 86_400, "s"),
    Knob("header_s", 10, "Time for a whole request head to arrive.", 1, 3600, "s"),
    Knob("body_s", 30, "Time for a whole request body to arrive.", 1, 3600, "s"),
    Knob("write_s", 10, "Time for a peer to take an answer.", 1, 3600, "s"),
    Knob("grace_s", 5, "Time to finish requests in flight when asked to stop.", 0, 600, "s"),
)


def all_knobs(model: Model) -> tuple[Knob, ...]:
    """The model's own knobs first, then those that every model has."""
    return model.knobs + COMMON_KNOBS


def parse_knobs(model: Model, given: Mapping[str, object]) -> dict[str, int | str]:
    """Defaults overlaid with `given`; raises BadKnob for the first that is unknown or out of bounds."""
    known = {knob.name: knob for knob in all_knobs(model)}
    for name in given:
        if name not in known:
            raise BadKnob(name, f"is not a knob of {model.name}; it has {', '.join(known)}")
    return {name: knob.parse(given.get(name, knob.default)) for name, knob in known.items()}


@dataclass(frozen=True, slots=True)
class Setup:
    """What the process lends a lesson.

    `stopping` is a descriptor that becomes readable when the engine must go (a signal, or the end of the
    control plane), so that a loop waits for its end like for any other event. `ready()` is called once
    every thread is up.
    """

    handler: Handler
    board: Board
    knobs: SimpleNamespace
    stopping: int
    ready: Callable[[], None]


class ModelModule(Protocol):
    """A module that implements one model."""

    MODEL: Model

    def serve(self, listener: socket.socket, setup: Setup) -> None:
        """Serve `listener` (listening, non-blocking) until `setup.stopping`, then drain and return."""
        ...
