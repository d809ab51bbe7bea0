"""The history of runs: search, labels and comments, diffs, imported results."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.errors import Invalid, NotNow, Unknown, shown
from app.history.diff import RunDiff, diff_runs
from app.imports import parsers
from app.runs.queue import ID_MAX
from app.runs.runs import Runs
from app.schemas.imported_result import StoredImport
from app.schemas.run import RunView
from app.store.listing import RunFilter
from app.store.runs import RunStore
from app.timestamps import rfc3339_now

TEXTS_MAX: Mapping[str, int] = {"label": 200, "comment": 2000}  # characters
IMPORTS_MAX = 20  # imported results of one run
BATCH = 100  # runs read at once when all are requested: about 5 KiB each


@dataclass(frozen=True, slots=True)
class FoundRuns:
    """One page of the runs that match a filter, and how many match in total."""

    runs: list[RunView]
    total: int


class History:
    """The stored runs, with the current state of those that are queued or in progress.

    Event loop only, except for `iterate`. Database calls that may be slow run in a thread and are awaited.
    """

    def __init__(self, store: RunStore, runs: Runs) -> None:
        self._store = store
        self._runs = runs
        self._adding = asyncio.Lock()

    async def find(self, which: RunFilter, limit: int, offset: int = 0) -> FoundRuns:
        """Return a page of the runs that match a filter, in its order."""
        kept, total = await asyncio.to_thread(self._store.find, which, limit, offset)
        return FoundRuns([self._runs.refreshed(view) for view in kept], total)

    async def filter_choices(self) -> dict[str, list[str]]:
        """Return the models, scenarios and verdicts that occur in the history."""
        return await asyncio.to_thread(self._store.filter_choices)

    def iterate(self, which: RunFilter) -> Iterator[RunView]:
        """Yield all stored runs that match a filter now, read in batches. Thread-safe."""
        ids = self._store.ids(which)
        for start in range(0, len(ids), BATCH):
            yield from self._store.get_many(ids[start : start + BATCH])

    async def get_many(self, ids: Sequence[int]) -> list[RunView]:
        """Return the runs with these ids in this order. Raises Unknown if one does not exist."""
        possible = [id for id in ids if 0 < id <= ID_MAX]
        kept = {view.id: view for view in await asyncio.to_thread(self._store.get_many, possible)}
        return [self._runs.refreshed(kept[id]) if id in kept else self._runs.get(id) for id in ids]

    async def annotate(self, id: int, texts: Mapping[str, str | None]) -> RunView:
        """Set or remove texts of a run: `label`, `comment` or both. Raises Invalid, Unknown, NotNow."""
        stripped = {name: (text or "").strip() or None for name, text in texts.items()}
        for name, text in stripped.items():
            if text and len(text) > TEXTS_MAX[name]:
                raise Invalid.field(f"/{name}", f"A {name} has at most {TEXTS_MAX[name]:,} characters.")
        return await self._runs.annotate(id, stripped)

    async def diff(self, a: int, b: int) -> RunDiff:
        """Return the diff of run `b` against run `a`. Raises Unknown.

        A run in progress has no figures yet; they are missing from the diff.
        """
        one, other = self._runs.get(a), self._runs.get(b)
        return await asyncio.to_thread(
            lambda: diff_runs(one, other, self._runs.series(a), self._runs.series(b))
        )

    async def add_import(self, id: int, tool: str, text: str) -> StoredImport:
        """Parse the output of another load tool and store it with a run of the same engine.

        Raises Invalid (wrong field), NotNow (the run has no result, or too many imports), Unknown (no such
        run).
        """
        view = self._runs.get(id)
        if view.summary is None:
            raise NotNow(f"Run {id} has no figures to compare with (state: {view.state}).")
        if tool not in parsers.READERS:
            raise Invalid.field(
                "/tool", f"The tool is one of {', '.join(parsers.READERS)}, not {shown(tool)}."
            )
        if len(text) > parsers.TEXT_MAX:
            raise Invalid.field("/text", f"The tool output has at most {parsers.TEXT_MAX:,} characters.")
        async with self._adding:  # otherwise two concurrent calls could both take the last free place
            return await asyncio.to_thread(self._add_import, id, tool, text)

    def _add_import(self, id: int, tool: str, text: str) -> StoredImport:
        if self._store.imported.count(id) >= IMPORTS_MAX:
            raise NotNow(f"Run {id} already has {IMPORTS_MAX} imported results. Remove one first.")
        try:
            result = parsers.read(tool, text)
        except Invalid as error:
            raise Invalid.field("/text", error.detail) from None
        return self._store.imported.add(id, result, rfc3339_now())

    def imports(self, id: int) -> list[StoredImport]:
        """Return the imported results of a run, oldest first. Raises Unknown."""
        self._runs.get(id)
        return self._store.imported.of(id)

    async def delete_import(self, id: int, which: int) -> None:
        """Delete an imported result of a run. Raises Unknown if either does not exist."""
        self._runs.get(id)
        if not (0 < which <= ID_MAX and await asyncio.to_thread(self._store.imported.delete, id, which)):
            raise Unknown(f"Run {id} has no imported result {which}.")
