"""The catalogue of external servers: TOML files, one table for each server.

The built-in file is `builtin.toml` beside this module; THREADLAB_SERVERS names the operator's own, whose
entries may replace built-in ones. Only these files name commands: no page and no request can.
"""

from __future__ import annotations

import signal
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from app.errors import LabError, shown
from app.load.protocol.plan import KINDS
from app.servers.definition import PLACEHOLDERS, ServerDefinition, placeholders
from engines.common.contract import BadKnob, Knob

T = TypeVar("T")
BUILT_IN = Path(__file__).with_name("builtin.toml")
NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
FILE_BYTES_MAX = 64 * 1024
_TEXTS = (
    "title",
    "model",
    "summary",
    "link",
    "install",
    "directory",
    "ready_path",
    "version_of",
    "stop_signal",
    "source",
)
_LISTS = ("argv", "kinds", "modules", "version_argv")
_TABLES = ("environment", "files", "knobs")


class BadCatalogue(LabError):
    """A catalogue file cannot be used. The message names the file, the entry and the reason."""

    status, title, slug = 503, "Servers unavailable", "bad-catalogue"


class _Wrong(ValueError):
    """An entry is wrong. The message is the reason, without file and entry."""


def load_catalogue(own: Path | None, models: Iterable[str]) -> dict[str, ServerDefinition]:
    """Return the built-in servers, and those of the operator's file, by name. Raises BadCatalogue.

    models: names of the thread models, which no server may have, and of which each server names one.
    """
    known = frozenset(models)
    found = _load(BUILT_IN, known)
    return found | _load(own, known) if own else found


def _load(path: Path, models: frozenset[str]) -> dict[str, ServerDefinition]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadCatalogue(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadCatalogue(f"{path} is not TOML: {error}.") from error
    found = {}
    for name, table in tables.items():
        try:
            found[name] = _definition(name, table, path.parent, models)
        except _Wrong as wrong:
            raise BadCatalogue(f"{path}: server {shown(name)}: {wrong}.") from None
    return found


def _definition(name: str, table: Any, folder: Path, models: frozenset[str]) -> ServerDefinition:
    if not isinstance(table, dict):
        raise _Wrong("must be a table")
    if not NAME_CHARACTERS.issuperset(name) or not name.strip("-"):
        raise _Wrong("a name has lower-case letters, digits and hyphens")
    if name in models:
        raise _Wrong("there is a model of that name")
    if unknown := set(table) - {*_TEXTS, *_LISTS, *_TABLES}:
        raise _Wrong(f"unknown key {shown(min(unknown))}")
    if not table.get("argv"):
        raise _Wrong("argv must have the command, as a list of strings")
    fields: dict[str, Any] = {key: _text(table, key) for key in _TEXTS if key in table}
    fields |= {key: _strings(table, key) for key in _LISTS if key in table}
    environment = _string_table(table, "environment")
    files = {each: _file(folder / source) for each, source in _string_table(table, "files").items()}
    knobs = tuple(_knob(each, values) for each, values in _table(table, "knobs").items())
    made = ServerDefinition(
        **{"title": name, **fields, "name": name, "environment": environment, "files": files, "knobs": knobs}
    )
    _check(made, models)
    return made


def _check(made: ServerDefinition, models: frozenset[str]) -> None:
    names = {*PLACEHOLDERS, *(knob.name for knob in made.knobs)}
    for text in (*made.argv, *made.environment.values()):
        if unknown := placeholders(text) - names:
            raise _Wrong(f"unknown placeholder {{{min(unknown)}}}")
    used = set().union(*map(placeholders, (*made.argv, *made.environment.values(), *made.files.values())))
    if not used & {"port", "address"}:
        raise _Wrong("the command must contain {port} or {address}")
    if made.model and made.model not in models:
        raise _Wrong(f"there is no model {shown(made.model)}")
    if unknown := set(made.kinds) - set(KINDS):
        raise _Wrong(f"unknown work kind {shown(min(unknown))}")
    if not made.ready_path.startswith("/"):
        raise _Wrong("ready_path must begin with /")
    if made.stop_signal not in signal.Signals.__members__:
        raise _Wrong(f"unknown signal {shown(made.stop_signal)}")


def _text(table: Mapping[str, Any], key: str) -> str:
    return _typed(table, key, str, "a string")


def _strings(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = _typed(table, key, list, "a list of strings")
    if not all(isinstance(each, str) for each in values):
        raise _Wrong(f"{key} must be a list of strings")
    return tuple(values)


def _table(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    return _typed(table, key, dict, "a table") if key in table else {}


def _string_table(table: Mapping[str, Any], key: str) -> dict[str, str]:
    found = _table(table, key)
    return {each: _text(found, each) for each in found}


def _typed(table: Mapping[str, Any], key: str, kind: type[T], name: str) -> T:
    value = table[key]
    if not isinstance(value, kind):
        raise _Wrong(f"{key} must be {name}")
    return value


def _file(path: Path) -> str:
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _Wrong(f"{path} cannot be read: {error}") from error
    if len(content) > FILE_BYTES_MAX:
        raise _Wrong(f"{path} is longer than {FILE_BYTES_MAX // 1024} KiB")
    return content


def _knob(name: str, table: Any) -> Knob:
    """Return a knob: an integer with both bounds, or a string that is one of `choices`."""
    if not isinstance(table, dict) or set(table) - {
        "default",
        "help",
        "minimum",
        "maximum",
        "unit",
        "choices",
    }:
        raise _Wrong(f"knob {shown(name)} has default, help, and minimum and maximum or choices")
    try:
        made = Knob(name=name, **{"help": "", **table, "choices": tuple(table.get("choices", ()))})
        if not made.choices and (made.minimum is None or made.maximum is None):
            raise _Wrong(f"knob {shown(name)} needs minimum and maximum, or choices")
        made.parse(made.default)
    except BadKnob as bad:
        raise _Wrong(f"knob {shown(name)}: its default {bad.problem}") from None
    except TypeError as error:
        raise _Wrong(f"knob {shown(name)} needs a default") from error
    return made
