"""The io_uring of one thread. The only file that imports the binding, and that knows what a machine may lack.

Operations are prepared here, go to the kernel with the next `wait()`, and come back as a `Completion`. Its
`user_data` is the object given with the operation, never the descriptor, which may have been closed and
reused meanwhile.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import TYPE_CHECKING

try:
    import uring_api
except ImportError:  # the model is described all the same, with the reason why it is unavailable
    uring_api = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from uring_api import Completion as Completion
else:
    Completion = object

# Values of `completion.kind` and `completion.flags`: stable numbers of the binding and the kernel.
RECEIVED, SENT = 13, 2
MORE = 1 << 1  # the multishot operation continues; without this flag it must be submitted again

ENTRIES = 1024  # submissions between two waits; a full queue is flushed by the binding
COMPLETIONS = 8192  # multishot operations complete more often than they are submitted; 16 bytes each
POLLIN = 1
# One send means one completion: the kernel continues after a short write.
SEND_FLAGS = socket.MSG_NOSIGNAL | getattr(socket, "MSG_WAITALL", 0)
NEEDED = {
    "IORING_ACCEPT_MULTISHOT": "multishot accept (Linux 5.19)",
    "IORING_BUF_RING": "provided buffer rings (Linux 5.19)",
    "IORING_RECV_MULTISHOT": "multishot receive (Linux 6.0)",
}


def why_unavailable() -> str | None:
    """Return in one sentence why no ring can be created here, or None. Costs 0.2 ms, never raises."""
    if uring_api is None:
        return "the io_uring binding is not installed (pip install uring-api; Linux only)"
    if uring_api.__liburing_version__ == "unavailable":
        return "the io_uring binding lacks liburing (install liburing-dev, then reinstall uring-api)"
    try:
        uring_api.Ring(2).close()
        probed = uring_api.probe()
    except OSError as error:
        return _refusal(error.errno or 0)
    missing = [words for name, words in NEEDED.items() if not probed.get(name)]
    return f"this kernel's io_uring lacks {', '.join(missing)}" if missing else None


def _refusal(number: int) -> str:
    switch = Path("/proc/sys/kernel/io_uring_disabled")
    disabled = switch.read_text().strip() if switch.exists() else "0"
    name = errno.errorcode.get(number, str(number))
    if number == errno.EPERM and disabled != "0":
        return f"io_uring is disabled ({name}: kernel.io_uring_disabled is {disabled}; 0 enables it)"
    if number == errno.EPERM:
        return f"io_uring is blocked ({name}: a container's seccomp profile; see deploy/seccomp.json)"
    if number == errno.ENOSYS:
        return f"io_uring does not exist ({name}: the kernel lacks it, or a seccomp profile hides it)"
    if number == errno.ENOMEM:
        return f"io_uring gets no memory ({name}: raise RLIMIT_MEMLOCK)"
    return f"io_uring cannot be set up ({name})"


def _best_mode() -> int:
    """Return the set-up flags of the best mode that this kernel has.

    One thread submits and waits, so the kernel runs completions only inside the wait and interrupts no
    thread.
    """
    single: int = uring_api.IORING_SETUP_SINGLE_ISSUER
    deferred: int = single | uring_api.IORING_SETUP_DEFER_TASKRUN
    cooperative: int = single | uring_api.IORING_SETUP_COOP_TASKRUN
    return next((mode for mode in (deferred, cooperative) if uring_api.probe(flags=mode)), 0)


class Ring:
    """Submission queue, completion queue, and a pool of shared receive buffers. Used by one thread only."""

    def __init__(self, buffers: int, buffer_size: int) -> None:
        try:
            self._ring = uring_api.Ring(ENTRIES, _best_mode(), cq_entries=COMPLETIONS)
            self.buffers = self._ring.create_buf_group(buffer_size, 1 << (buffers - 1).bit_length())
        except OSError as error:
            raise RuntimeError(_refusal(error.errno or 0)) from error
        # send(fd, data, SEND_FLAGS, user_data): the binding's method; a wrapper costs 80 ns per request.
        self.send = self._ring.prepare_send

    def accept(self, listener: int, user_data: object) -> Completion:
        """Accept, multishot: one completion for each connection, with its descriptor in `res`."""
        # Without SOCK_NONBLOCK: a ring completes with EAGAIN for a non-blocking socket instead of waiting.
        return self._ring.prepare_accept_multishot(listener, socket.SOCK_CLOEXEC, user_data)

    def recv(self, fd: int, user_data: object) -> Completion:
        """Receive, multishot: one completion for each arrival, in a buffer of the pool; idle connections hold
        none.
        """
        return self._ring.prepare_recv_multishot(fd, self.buffers, 0, user_data)

    def poll(self, fd: int, user_data: object) -> Completion:
        """Complete once, when `fd` is readable."""
        return self._ring.prepare_poll(fd, POLLIN, user_data)

    def cancel(self, operation: Completion) -> None:
        """Cancel an operation. It still completes, and only then it is over."""
        self._ring.prepare_cancel_nowait(operation)

    def wait(self, timeout_s: float | None) -> list[Completion]:
        """Submit what was prepared, and block until something completes or `timeout_s` is over (None: no
        limit).
        """
        try:
            return self._ring.wait(timeout_s) or []
        except InterruptedError:
            return []

    def close(self) -> None:
        """Close the ring."""
        self._ring.close()
