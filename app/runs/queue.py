"""The job queue of runs and of comparisons: queue places, history, and results that are not yet saved."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from app.errors import Busy, LabError, NotNow, Unknown
from app.schemas.states import JobState, RunState
from app.store.database import SAVE_ERRORS, error_reason

ID_MAX = 2**63 - 1  # the largest integer of SQLite


class View(Protocol):
    """A job as clients see it."""

    @property
    def id(self) -> int: ...

    @property
    def state(self) -> RunState | JobState: ...


V = TypeVar("V", bound=View)


class Job(Protocol[V]):
    """A queued or running job; `done` is set when it has ended and its result is saved."""

    view: V
    done: asyncio.Event


J = TypeVar("J", bound=Job)  # type: ignore[type-arg]


class ViewStore(Protocol[V]):
    """The history of one kind of job. Methods that write raise one of `SAVE_ERRORS` if the database fails."""

    def add_all(self, views: Sequence[V]) -> list[V]:
        """Insert jobs, all or none, and return them with their ids."""

    def save(self, view: V) -> None:
        """Update a job."""

    def get(self, id: int) -> V | None:
        """Return a job; None: there is no such job."""

    def newest(self, limit: int, offset: int) -> list[V]:
        """Return at most `limit` jobs, newest first, after the first `offset`."""

    def owner(self, id: int) -> int | None:
        """Return the pid of another living process that runs the job; None: there is none."""


class JobQueue(Generic[J, V]):
    """The jobs of one kind: those of this process, and the history of all.

    Event loop only; the store is called in threads where a call may take long.
    """

    def __init__(self, noun: str, capacity: int, store: ViewStore[V], current_view: Callable[[J], V]) -> None:
        """Create an empty queue.

        `noun`: for error messages, such as "run". `capacity`: jobs that may wait. `current_view`: returns the
        view of a job with its progress.
        """
        self.active: dict[int, J] = {}  # queued or running, by id
        self.capacity = capacity
        self._noun = noun
        self._store = store
        self._current_view = current_view
        self._reserved = 0  # places of jobs that are being saved
        self._unsaved: dict[int, V] = {}  # ended jobs whose result could not be saved

    async def add(self, views: Sequence[V], waiting: int | None) -> list[V]:
        """Save new jobs, all or none, and return them with their ids.

        `waiting`: number of jobs that occupy a place now; None: the new ones need no place. Raises Busy if
        the queue is full, LabError if the jobs cannot be saved; nothing is queued then.
        """
        places = 0 if waiting is None else len(views)
        if waiting is not None and waiting + self._reserved + places > self.capacity:
            raise Busy(f"The queue is full ({self.capacity} {self._noun}s).")
        self._reserved += places
        try:
            return await asyncio.to_thread(self._store.add_all, views)
        except SAVE_ERRORS as error:
            raise LabError(
                f"The {self._noun} was not queued: it could not be saved ({error_reason(error)})."
            ) from error
        finally:
            self._reserved -= places

    def get(self, id: int) -> V:
        """Return any job as it is now. Raises Unknown."""
        if job := self.active.get(id):
            return self._current_view(job)
        view = self._unsaved.get(id) or (self._store.get(id) if 0 < id <= ID_MAX else None)
        if view is None:
            raise Unknown(f"There is no {self._noun} {id}.")
        return view

    async def newest(self, limit: int, offset: int = 0) -> list[V]:
        """Return a page of all jobs, newest first, as they are now."""
        stored = await asyncio.to_thread(self._store.newest, limit, offset)
        return [self.refreshed(view) for view in stored]

    def refreshed(self, stored: V) -> V:
        """Return the current view of a job that was read from the store: it may have ended since."""
        if stored.id not in self.active and not stored.state.is_unfinished:
            return stored
        with contextlib.suppress(Unknown):  # deleted since
            return self.get(stored.id)
        return stored

    async def finished(self, id: int) -> V:
        """Block until a job has ended, and return it. Raises Unknown."""
        if job := self.active.get(id):
            await job.done.wait()
        return self.get(id)

    def require_active(self, id: int) -> J:
        """Return an active job. Raises Unknown, or NotNow if it has ended or another process runs it."""
        view = self.get(id)
        if id not in self.active:
            self.require_ours(id)
            raise NotNow(f"{self._noun.capitalize()} {id} is already {view.state}.")
        return self.active[id]

    def require_ended(self, id: int) -> None:
        """Raise NotNow unless a job has ended and no other process runs it. Raises Unknown."""
        self.get(id)
        if id in self.active:
            raise NotNow(
                f"{self._noun.capitalize()} {id} is still {self.active[id].view.state}; stop it first."
            )
        self.require_ours(id)

    def require_ours(self, id: int) -> None:
        """Raise NotNow if another process on the same data directory runs this job."""
        if (pid := self._store.owner(id)) is not None:
            raise NotNow(
                f"{self._noun.capitalize()} {id} is run by another process (pid {pid}); stop it there."
            )

    async def save_result(self, ended: V, write: Callable[[], None], failed: Callable[[str], V]) -> V:
        """Save a result by `write` in a thread, and return it.

        If it cannot be saved, return `failed(reason)` instead and keep that until `save_unsaved` succeeds.
        """
        try:
            await asyncio.to_thread(write)
        except SAVE_ERRORS as error:
            ended = self._unsaved[ended.id] = failed(f"The result could not be saved: {error_reason(error)}.")
        return ended

    def close(self, job: J, ended: V) -> None:
        """Move an ended job from the active ones to the history, in one step for all clients."""
        job.view = ended
        del self.active[ended.id]
        job.done.set()

    def forget(self, id: int) -> None:
        """Discard an unsaved result: the job was deleted, or was saved after a change."""
        self._unsaved.pop(id, None)

    async def save_unsaved(self) -> None:
        """Retry to save the results that could not be saved."""
        with contextlib.suppress(*SAVE_ERRORS):
            for view in tuple(self._unsaved.values()):
                await asyncio.to_thread(self._store.save, view)
                self._unsaved.pop(view.id, None)


def report_bug(error: Exception, job: str) -> str:
    """Log an unexpected exception with its traceback, and return the sentence with which `job` fails.

    A bug in the lab fails the job in which it occurs, not the jobs behind it.
    """
    asyncio.get_running_loop().call_exception_handler(
        {"message": f"{job}: unexpected error", "exception": error}
    )
    return f"Internal error: {type(error).__name__}: {error}. The log of the lab has the traceback."
