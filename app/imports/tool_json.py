"""Reads numbers from a load tool's JSON, with a sentence for each value that is missing or invalid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import Invalid

VALUE_MAX = 1e15  # no tool has measured more


@dataclass(frozen=True, slots=True)
class ToolJson:
    """The JSON output of a load tool. A path names a value by the keys that lead to it."""

    tool: str
    content: Mapping[str, Any]

    @classmethod
    def parse(cls, tool: str, text: str) -> ToolJson:
        """Return the output as JSON. Raises Invalid if it is not a JSON object."""
        try:
            content = json.loads(text)
        except ValueError as error:
            raise Invalid(f"Not valid {tool} JSON: {error}.") from None
        except RecursionError:
            raise Invalid(f"Not valid {tool} JSON: it is nested too deeply.") from None
        if not isinstance(content, Mapping):
            raise Invalid(f"Not valid {tool} JSON: it is not an object.")
        return cls(tool, content)

    def has(self, *path: str) -> bool:
        """Return whether there is a value other than null at a path."""
        return self._at(path) is not None

    def number(self, *path: str) -> float:
        """Return the number at a path. Raises Invalid if it is missing or not a valid number."""
        found = self.optional_number(*path)
        if found is None:
            raise Invalid(f"Not valid {self.tool} JSON: {'.'.join(path)} is missing.")
        return found

    def optional_number(self, *path: str) -> float | None:
        """Return the number at a path; None if it is missing or null.

        Raises Invalid if it is of another type, NaN, infinite or negative.
        """
        found = self._at(path)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < VALUE_MAX:
            detail = f"{'.'.join(path)} is {repr(found)[:40]}, not a valid number"
            raise Invalid(f"Not valid {self.tool} JSON: {detail}.")
        return float(found)

    def counts(self, name: str) -> dict[str, int]:
        """Return a top-level object whose values are counts. Raises Invalid if it is missing or not that."""
        found = self._at((name,))
        if not isinstance(found, Mapping):
            raise Invalid(f"Not valid {self.tool} JSON: {name} is missing.")
        return {key: int(self.number(name, key)) for key in found}

    def _at(self, path: tuple[str, ...]) -> Any:
        found: Any = self.content
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found
