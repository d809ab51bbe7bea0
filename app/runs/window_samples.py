"""Samples of the measured window: the states of the engine's threads, and the depth of its accept queue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from app.fleet.engine import Engine
from app.results.observation import DepthSamples, ThreadSamples
from app.servers import kernel_states
from engines.common.board.board import BLOCKED, ENDED, IDLE_STATES

MANY_THREADS = (
    256  # with more threads, states are sampled every tenth time: one sample of 1,000 threads takes 2 ms
)
MANY_THREADS_INTERVAL = 10
IDLE = IDLE_STATES | kernel_states.IDLE
WITHOUT_CPU = {BLOCKED} | kernel_states.BLOCKED


class WindowSamples:
    """Samples one engine: call `sample` at each look. Event loop only.

    count: samples of the threads' states. accept_queue: samples of its depth, also with many threads.
    """

    def __init__(self, engine: Engine) -> None:
        self.count = 0
        self.accept_queue = DepthSamples()
        self._engine = engine
        self._calls = 0
        self._roles: list[str] = []  # by slot
        # Each by role and slot: a slot may pass to a thread of another role.
        self._live: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._occupied: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._blocked: defaultdict[tuple[str, int], int] = defaultdict(int)

    def update_roles(self) -> None:
        """Read the roles again, once per second: a slot may belong to another thread by now."""
        assert self._engine.board
        self._roles = self._engine.board.roles()

    def sample(self, threads: int) -> None:
        """Sample the accept queue and the threads, of which there were `threads` at the window's start."""
        if queue := self._engine.read_accept_queue():
            self.accept_queue = self.accept_queue.add(queue.depth)
        self._calls += 1
        if threads <= MANY_THREADS or self._calls % MANY_THREADS_INTERVAL == 0:
            self._sample_threads()

    def _sample_threads(self) -> None:
        assert self._engine.board
        self.count += 1
        states = self._engine.board.states()
        if len(states) != len(self._roles):
            self.update_roles()
        for slot, (state, role) in enumerate(zip(states, self._roles, strict=False)):
            if state != ENDED:
                self._live[role, slot] += 1
                if state not in IDLE:
                    self._occupied[role, slot] += 1
                    if state in WITHOUT_CPU:
                        self._blocked[role, slot] += 1

    def occupancy(self, inactive: Collection[int] = ()) -> dict[str, float]:
        """By role: share of samples in which a thread had work; mean over the threads of the role.

        inactive: slots of threads of an external server that hardly ran. One that sleeps is a supervisor
        between two looks, and not a handler that waits.
        """
        shares: defaultdict[str, list[float]] = defaultdict(list)
        for each in self.threads():
            occupied = each.occupied - (each.blocked if each.slot in inactive else 0)
            shares[each.role].append(occupied / each.total)
        return {role: sum(each) / len(each) for role, each in shares.items()}

    def threads(self) -> tuple[ThreadSamples, ...]:
        """Return the samples of each thread."""
        return tuple(
            ThreadSamples(role, slot, live, self._occupied[role, slot], self._blocked[role, slot])
            for (role, slot), live in self._live.items()
        )
