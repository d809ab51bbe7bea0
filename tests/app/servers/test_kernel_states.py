"""The state of a thread by the system call in which it waits: real threads in real calls."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest

from app.servers.kernel_states import KernelState, KernelStateReader
from tests.waiting import until

WAITS = {
    KernelState.EVENTS: "import select; select.epoll().poll()",
    KernelState.ACCEPT: "import socket; s = socket.create_server(('127.0.0.1', 0)); s.accept()",
    KernelState.RECEIVE: "import socket; a, b = socket.socketpair(); a.recv(1)",
    KernelState.SEND: "import socket; a, b = socket.socketpair(); a.sendall(bytes(10**7))",
    KernelState.FUTEX: "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
    KernelState.SLEEP: "import time; time.sleep(3600)",
    KernelState.OTHER: "import signal; signal.pause()",
    KernelState.ON_CPU: "while True: pass",
}


@pytest.mark.parametrize("state", WAITS)
def test_the_state_is_that_of_the_system_call(state: KernelState) -> None:
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", WAITS[state]])
    try:
        with contextlib.closing(KernelStateReader(open_max=1)) as reader:
            until(lambda: reader.read(process.pid, process.pid) == state, f"it is in state {state.name}")
            process.kill()
            process.wait()
            assert reader.read(process.pid, process.pid) is None
    finally:
        process.kill()
        process.wait()
