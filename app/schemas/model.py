"""A thread model as pages, API and command line show it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnobView:
    """A setting of a model, with its default and bounds (None: no bound, or not a number)."""

    name: str
    default: int | str
    minimum: int | None
    maximum: int | None
    unit: str
    choices: tuple[str, ...]
    help: str
    common: bool  # every model has it; the card shows it collapsed


@dataclass(frozen=True, slots=True)
class RoleView:
    """The role of a thread in a model: its name, its task, and the same task in a restaurant."""

    name: str
    title: str
    does: str
    threads: tuple[str, ...]  # knobs whose product is the number of such threads; none: one thread
    own_process: bool  # each is the only thread of a forked process
    restaurant: str


@dataclass(frozen=True, slots=True)
class TermView:
    """A name that the literature uses for a model or for a part of it."""

    name: str
    says: str
    source: str


@dataclass(frozen=True, slots=True)
class ModelView:
    """A thread model: description, roles, knobs, source code, and whether it can run on this machine."""

    name: str
    title: str
    order: int
    aliases: tuple[str, ...]
    summary: str
    pros: tuple[str, ...]
    cons: tuple[str, ...]
    used_by: tuple[str, ...]
    when_to_use: tuple[str, ...]
    linux: str  # what the model is like there; empty: nothing is known
    windows: str
    literature: tuple[TermView, ...]
    roles: tuple[RoleView, ...]
    knobs: tuple[KnobView, ...]
    available: bool
    unavailable_reason: str | None
    doc: str  # docstring of the model module
    file: str  # engines/reactor.py
    source: str
