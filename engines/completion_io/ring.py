"""The io_uring of one thread: the only file that knows the binding, and what may be missing on a machine.

Nothing is done when it is asked for here. It is put into the submission queue, goes to the kernel with the next
`wait()`, and comes back as a `Completion` whose `user_data` is the object that it was asked for (`about`): never
the descriptor, for that may be closed and given to another connection by then.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import TYPE_CHECKING

try:
    import uring_api
except (
    ImportError
):  # a platform without the binding: the lesson is still described, and says why it cannot run
    uring_api = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from uring_api import Completion as Completion
else:
    Completion = object

# What `completion.kind` and `completion.flags` say (the binding's and the kernel's numbers, stable by contract).
RECEIVED = 13
MORE = 1 << 1  # the multishot operation goes on; without it, it has ended and must be submitted again

ENTRIES = 1024  # submissions between two waits; a full queue is flushed by the binding
COMPLETIONS = 8192  # multishot operations complete more often than they are submitted; 16 bytes each
POLLIN = 1
# One call to send means one completion: the kernel itself goes on after a short write.
SEND_FLAGS = socket.MSG_NOSIGNAL | getattr(socket, "MSG_WAITALL", 0)
NEEDED = {
    "IORING_ACCEPT_MULTISHOT": "multishot accept (Linux 5.19)",
    "IORING_BUF_RING": "provided buffer rings (Linux 5.19)",
    "IORING_RECV_MULTISHOT": "multishot receive (Linux 6.0)",
}


def why_unavailable() -> str | None:
    """Why no ring can be had here, in one sentence; None when it can. Costs 0.2 ms, and never raises."""
    if uring_api is None:
        return "the io_uring binding is not installed here (pip install uring-api; Linux only)"
    if uring_api.__liburing_version__ == "unavailable":
        return "the io_uring binding was built without liburing here (install liburing-dev, then uring-api again)"
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
        return f"io_uring is switched off here ({name}: kernel.io_uring_disabled is {disabled}; 0 allows it)"
    if number == errno.EPERM:
        return f"io_uring is refused here ({name}: a container's seccomp profile; see deploy/seccomp.json)"
    if number == errno.ENOSYS:
        return (
            f"io_uring is not there ({name}: a kernel built without it, or a seccomp profile that hides it)"
        )
    if number == errno.ENOMEM:
        return f"io_uring gets no memory here ({name}: raise RLIMIT_MEMLOCK)"
    return f"io_uring cannot be set up here ({name})"


def _best_mode() -> int:
    """One thread submits and reaps: the kernel then runs completions only inside our wait, and interrupts nobody."""
    single: int = uring_api.IORING_SETUP_SINGLE_ISSUER
    deferred: int = single | uring_api.IORING_SETUP_DEFER_TASKRUN
    cooperative: int = single | uring_api.IORING_SETUP_COOP_TASKRUN
    return next((mode for mode in (deferred, cooperative) if uring_api.probe(flags=mode)), 0)


class Ring:
    """Submission queue, completion queue, and a pool of buffers that receives share. Its thread's own, from birth."""

    def __init__(self, buffers: int, buffer_size: int) -> None:
        try:
            self._ring = uring_api.Ring(ENTRIES, _best_mode(), cq_entries=COMPLETIONS)
            self.buffers = self._ring.create_buf_group(buffer_size, 1 << (buffers - 1).bit_length())
        except OSError as error:
            raise RuntimeError(_refusal(error.errno or 0)) from error
        # send(fd, data, SEND_FLAGS, about): the binding's own method, for a method around it costs 80 ns a request.
        self.send = self._ring.prepare_send

    def accept(self, listener: int, user_data: object) -> Completion:
        """Multishot: one completion for each connection, `res` is its descriptor."""
        # Without SOCK_NONBLOCK: a ring answers EAGAIN for a non-blocking socket instead of waiting for it.
        return self._ring.prepare_accept_multishot(listener, socket.SOCK_CLOEXEC, user_data)

    def recv(self, fd: int, user_data: object) -> Completion:
        """Multishot: one completion for whatever comes, in a buffer of the pool: an idle connection holds none."""
        return self._ring.prepare_recv_multishot(fd, self.buffers, 0, user_data)

    def poll(self, fd: int, user_data: object) -> Completion:
        """Complete once when `fd` is readable."""
        return self._ring.prepare_poll(fd, POLLIN, user_data)

    def cancel(self, operation: Completion) -> None:
        """End an operation early. It still completes, and only then is it over."""
        self._ring.prepare_cancel_nowait(operation)

    def wait(self, timeout_s: float | None) -> list[Completion]:
        """Submit everything that was asked for, and block until something is complete (or `timeout_s` is over)."""
        try:
            return self._ring.wait(timeout_s) or []
        except InterruptedError:
            return []

    def close(self) -> None:
        self._ring.close()
