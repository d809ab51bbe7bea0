"""An external server of the catalogue, as pages, API and command line show it."""

from __future__ import annotations

from dataclasses import dataclass

from app.schemas.model import KnobView


@dataclass(frozen=True, slots=True)
class ServerView:
    """An external server: its command, its knobs, and whether it can be started here.

    `model` is the thread model that it has; empty: not said. `argv` has placeholders such as `{port}`.
    `kinds` are the work kinds that it serves, besides `http`. `install` is the command that installs it.
    """

    name: str
    title: str
    model: str
    summary: str
    argv: tuple[str, ...]
    knobs: tuple[KnobView, ...]
    kinds: tuple[str, ...]
    available: bool
    unavailable_reason: str | None
    install: str
    link: str
