"""The description of an export, from which API route, page link and command-line flag are derived."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.lab import Lab


@dataclass(frozen=True, slots=True)
class Export:
    """A file that can be exported from one run, comparison or experiment."""

    noun: str  # run, comparison or experiment
    name: str  # the last part of its API path
    suffix: str  # of the file name
    media_type: str
    title: str  # of the link on the page
    contents: str  # a few words beside the link
    description: str  # of the API call
    make: Callable[[Lab, int], str]  # raises Unknown, and NotNow if there is nothing to export yet; may block
    flag: str | None = None  # of the command line: --csv FILE
    needs_result: bool = False  # only available if something was measured

    def file_name(self, id: int) -> str:
        """Return the name of the file for the job with this id: threadlab-run-7.csv."""
        return f"threadlab-{self.noun}-{id}{self.suffix}"


def by_flag(exports: Iterable[Export]) -> dict[str, Export]:
    """Return the exports that have a command-line flag, by their flags."""
    return {export.flag: export for export in exports if export.flag}
