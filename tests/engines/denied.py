"""Run a command to which the kernel denies io_uring: `denied.py ERROR command …`, ERROR being EPERM or
ENOSYS.

A seccomp filter, which the command inherits and cannot remove, returns that error for the three calls of
io_uring. The file imports nothing else, so that a script can stand for an interpreter: `denied_python()`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from pathlib import Path

IO_URING = (425, 426, 427)  # setup, enter, register: the same numbers on every architecture
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06


def deny(number: int) -> None:
    """Return this error for every io_uring call of this process and its children from now on."""
    calls = len(IO_URING)
    jumps = [(JUMP_IF_EQUAL, calls - i, 0, call) for i, call in enumerate(IO_URING)]
    program = [(LOAD, 0, 0, 0), *jumps, (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERRNO | number)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in program))
    described = struct.pack("HP", len(program), ctypes.addressof(code))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for arguments in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, described, 0, 0),
    ):
        if prctl(*arguments):
            sys.exit(f"no filter may be set here: {os.strerror(ctypes.get_errno())}")


def denied(error: str, *command: str) -> list[str]:
    """Return the command line that runs `command` without io_uring."""
    return [sys.executable, __file__, error, *command]


def denied_python(path: Path, error: str) -> Path:
    """Write a script to `path` that is this interpreter without io_uring."""
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {error} "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return path


if __name__ == "__main__":
    deny(getattr(errno, sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
