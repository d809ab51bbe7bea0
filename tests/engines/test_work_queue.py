"""The queue of the worker pools: no item is lost, and no thread is woken for nothing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from engines.common.work_queue import WorkQueue

TIMEOUT_S = 30.0


def never() -> None:
    raise AssertionError("it would block")


def take(queue: WorkQueue[int], before_wait: Callable[[], object]) -> int:
    """Take an item on a thread of its own, which fails the test if it blocks."""
    taken: list[int] = []
    thread = threading.Thread(target=lambda: taken.append(queue.take(before_wait)), daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    assert taken, "it blocks although there is an item"
    return taken[0]


def waiting_thread(queue: WorkQueue[int]) -> threading.Lock:
    """Make the queue believe that a thread waits; return its lock, which is released to wake it."""
    lock = threading.Lock()
    lock.acquire()
    queue._waiting.append(lock)
    return lock


def test_items_are_taken_in_order() -> None:
    queue = WorkQueue[int]()
    for item in range(3):
        queue.put(item)
    assert len(queue) == 3
    assert [queue.take(never) for _ in range(3)] == [0, 1, 2]
    assert len(queue) == 0


def test_a_round_of_events_wakes_one_thread_and_each_that_leaves_items_wakes_the_next() -> None:
    queue = WorkQueue[int]()
    threads = [waiting_thread(queue) for _ in range(3)]
    for item in range(3):
        queue.put(item)
    assert all(thread.locked() for thread in threads), "put wakes no thread"
    queue.wake()
    queue.wake()
    assert [thread.locked() for thread in threads] == [True, True, False], "none while one is being woken"
    queue._waking = False  # it runs
    assert queue.take(never) == 0
    assert [thread.locked() for thread in threads] == [True, False, False], "it leaves two items"


def test_the_last_item_wakes_no_thread() -> None:
    queue = WorkQueue[int]()
    thread = waiting_thread(queue)
    queue.wake()
    queue.put(1)
    assert queue.take(never) == 1
    assert thread.locked()


def test_an_item_that_arrives_before_the_thread_waits_is_taken_without_blocking() -> None:
    queue = WorkQueue[int]()
    assert take(queue, lambda: queue.put(1)) == 1
    assert queue._waiting == []


class At(deque[int]):
    """Items; `call` is called once when a thread looks whether there are any."""

    call: Callable[[], None] | None = None

    def __bool__(self) -> bool:
        call, self.call = self.call, None
        if call:
            call()
        return len(self) > 0


def test_a_thread_that_is_woken_while_it_looks_for_the_last_time_takes_the_item() -> None:
    queue = WorkQueue[int]()
    items = queue._items = At()

    def put_and_wake() -> None:
        items.append(1)
        queue.wake()

    items.call = put_and_wake
    assert take(queue, lambda: None) == 1
    assert not queue._waking, "or no thread would be woken again"


class LeftByItself(list[Any]):
    """Waiting threads, the only one of which returns at the moment of `pop`, while `then` happens."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__([None])
        self.then: Callable[[], None] | None = then

    def pop(self, *_: Any) -> Any:
        then, self.then = self.then, None
        if then is None:
            return super().pop()
        self.clear()
        then()
        raise IndexError


def test_a_thread_that_waits_anew_is_woken_if_the_one_to_be_woken_has_returned() -> None:
    queue = WorkQueue[int]()
    queue.put(1)
    woken: list[threading.Lock] = []
    queue._waiting = LeftByItself(lambda: woken.append(waiting_thread(queue)))
    queue.wake()
    assert not woken[0].locked(), "its item came while the other was to be woken: it would wait forever"


@pytest.mark.parametrize("takers", [1, 4])
def test_threads_take_each_item_once(takers: int) -> None:
    queue = WorkQueue[int]()
    taken: list[list[int]] = [[] for _ in range(takers)]

    def take_all(into: list[int]) -> None:
        while (item := queue.take(lambda: None)) >= 0:
            into.append(item)

    threads = [threading.Thread(target=take_all, args=(into,), daemon=True) for into in taken]
    for thread in threads:
        thread.start()
    for item in range(20_000):
        queue.put(item)
        if item % 7 == 0:
            queue.wake()
    for _ in threads:
        queue.put(-1)
    queue.wake()
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(item for into in taken for item in into) == list(range(20_000))
    assert all(into == sorted(into) for into in taken)
    assert len(queue) == 0
