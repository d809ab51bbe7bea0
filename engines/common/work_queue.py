"""A queue between an event loop and its worker threads that wakes no more threads than it has to.

`queue.SimpleQueue` may wake a thread for each item. The threads then compete for the GIL with the loop and
with one another, and each request causes context switches. Here the loop wakes one thread after each round of
events, and none while one is being woken. A thread that takes an item and leaves others wakes the next, so as
many run as there is work for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class WorkQueue(Generic[T]):
    """A first-in, first-out queue. Thread-safe. `_waiting` has a locked lock for each thread that waits."""

    __slots__ = ("_items", "_waiting", "_waking")

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._waiting: list[threading.Lock] = []
        self._waking = False  # a thread was woken and has not run yet; it will see all items put until then

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Append `item`. It wakes no thread: call `wake` after the last of several, or `take`."""
        self._items.append(item)

    def wake(self) -> None:
        """Wake a thread if there are items and threads that wait, unless one is being woken."""
        while self._items and self._waiting and not self._waking:
            self._waking = True
            try:
                self._waiting.pop().release()  # the last one: its data is still in the CPU's caches
                return
            except IndexError:
                # It has returned by itself. If another waits by now, its item may have come meanwhile.
                self._waking = False

    def take(self, before_wait: Callable[[], object]) -> T:
        """Remove the first item and return it. While there is none, call `before_wait` and block."""
        items = self._items
        while True:
            try:
                item = items.popleft()
            except IndexError:
                before_wait()
                self._wait()
            else:
                if items and self._waiting and not self._waking:
                    self.wake()
                return item

    def _wait(self) -> None:
        woken = threading.Lock()
        woken.acquire()
        self._waiting.append(woken)
        if self._items:  # put before this thread was in the list: it may not be woken
            try:
                self._waiting.remove(woken)
                return
            except ValueError:
                pass  # it is being woken
        woken.acquire()
        self._waking = False
