"""The signals that stop a command early: INT, TERM and HUP."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from app.errors import NotNow

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(NotNow):
    """A stop signal has arrived; `number` is which."""

    def __init__(self, number: int) -> None:
        super().__init__("Interrupted again. What the remote lab has started continues there.")
        self.number = number


class DeferredSignals:
    """Holds the first stop signal back until `delivered` allows it; a second one is raised at once.

    Main thread only, where Python runs signal handlers.
    """

    def __init__(self) -> None:
        self._pending: int | None = None
        self._is_delivering = False

    def handle(self, number: int, _frame: object) -> None:
        """The signal handler. Raises Interrupted, unless it is the first signal and held back."""
        if self._is_delivering or self._pending is not None:
            raise Interrupted(number)
        self._pending = number

    @contextlib.contextmanager
    def delivered(self) -> Iterator[None]:
        """Raise Interrupted for a signal that was held back, and for each that arrives during the block."""
        self._is_delivering = True
        try:
            if self._pending is not None:
                number, self._pending = self._pending, None
                raise Interrupted(number)
            yield
        finally:
            self._is_delivering = False


@contextlib.contextmanager
def deferred() -> Iterator[DeferredSignals]:
    """Handle stop signals by DeferredSignals during the block. Only the main thread receives them."""
    signals = DeferredSignals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {number: signal.signal(number, signals.handle) for number in STOP_SIGNALS}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
