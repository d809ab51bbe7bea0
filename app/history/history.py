"""The history: what was run, found again, named, compared and thrown away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.errors import Invalid, NotNow, Unknown, shown
from app.history.diff import Difference, difference
from app.imports import parsers
from app.runs.queue import ID_MAX
from app.runs.runs import Runs
from app.schemas.imported_result import StoredImport
from app.schemas.run import RunView
from app.store.listing import RunFilter
from app.store.runs import RunStore
from app.timestamps import rfc3339_now

LABEL_MAX = 200
FOREIGN_MAX = 20  # results beside one run
BATCH = 100  # views read at once where all of a history is wanted: some 5 KiB each


@dataclass(frozen=True, slots=True)
class Found:
    """A page of runs, and how many there are in all."""

    runs: list[RunView]
    total: int


class History:
    """Safe to call on the event loop's thread only; what is long there is awaited."""

    def __init__(self, store: RunStore, runs: Runs) -> None:
        self._store = store
        self._runs = runs
        self._adding = asyncio.Lock()

    async def find(self, which: RunFilter, limit: int, offset: int = 0) -> Found:
        """The runs that a filter leaves, in its order; those that are queued or going as they are now."""
        kept, total = await asyncio.to_thread(self._store.find, which, limit, offset)
        return Found([self._runs.refreshed(view) for view in kept], total)

    async def names(self) -> dict[str, list[str]]:
        """The models, scenarios and verdicts that there are runs of."""
        return await asyncio.to_thread(self._store.filter_choices)

    def every(self, which: RunFilter) -> Iterator[RunView]:
        """All that a filter leaves now, read in batches. From any thread."""
        ids = self._store.ids(which)
        for start in range(0, len(ids), BATCH):
            yield from self._store.get_many(ids[start : start + BATCH])

    async def relabel(self, id: int, label: str | None) -> RunView:
        """Give a run another label, or none."""
        label = (label or "").strip() or None
        if label and len(label) > LABEL_MAX:
            raise Invalid.field("/label", f"A label has at most {LABEL_MAX} characters.")
        return await self._runs.relabel(id, label)

    async def some(self, ids: Sequence[int]) -> list[RunView]:
        """The runs of these numbers; raises Unknown where there is none."""
        possible = [id for id in ids if 0 < id <= ID_MAX]
        kept = {view.id: view for view in await asyncio.to_thread(self._store.get_many, possible)}
        return [self._runs.refreshed(kept[id]) if id in kept else self._runs.get(id) for id in ids]

    async def difference(self, a: int, b: int) -> Difference:
        """Run `b` against run `a`; what either of them lacks, as long as it goes, is told as missing."""
        one, other = self._runs.get(a), self._runs.get(b)
        return await asyncio.to_thread(
            lambda: difference(one, other, self._runs.series(a), self._runs.series(b))
        )

    async def add_foreign(self, id: int, tool: str, text: str) -> StoredImport:
        """Keep what another tool has said of the same engine beside a run."""
        view = self._runs.get(id)
        if view.summary is None:
            raise NotNow(f"Run {id} is {view.state} and has no figures to stand beside.")
        if tool not in parsers.READERS:
            raise Invalid.field(
                "/tool", f"The tool is one of {', '.join(parsers.READERS)}, not {shown(tool)}."
            )
        if len(text) > parsers.TEXT_MAX:
            raise Invalid.field(
                "/text", f"What a tool wrote is at most {parsers.TEXT_MAX:,} characters here."
            )
        async with self._adding:  # or two at once could both be the last that has room
            return await asyncio.to_thread(self._add_foreign, id, tool, text)

    def _add_foreign(self, id: int, tool: str, text: str) -> StoredImport:
        if self._store.imported.count(id) >= FOREIGN_MAX:
            raise NotNow(f"{FOREIGN_MAX} results stand beside run {id} already; take one away first.")
        try:
            said = parsers.read(tool, text)
        except Invalid as error:
            raise Invalid.field("/text", error.detail) from None
        return self._store.imported.add(id, said, rfc3339_now())

    def foreign(self, id: int) -> list[StoredImport]:
        """What stands beside a run."""
        self._runs.get(id)
        return self._store.imported.of(id)

    async def delete_foreign(self, id: int, which: int) -> None:
        self._runs.get(id)
        if not (0 < which <= ID_MAX and await asyncio.to_thread(self._store.imported.delete, id, which)):
            raise Unknown(f"There is no result {which} beside run {id}.")
