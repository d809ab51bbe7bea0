"""Run a command to which the kernel refuses io_uring: `denied.py ERROR command …`, with ERROR as EPERM or ENOSYS.

The refusal is real: a seccomp filter, which the command inherits and cannot take off, answers the three calls of
io_uring with that error. Stands alone, so that a script can be an interpreter: `denied_python()`.
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
    """From here on this process and its children get this error for every call of io_uring."""
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
    """The command, without io_uring."""
    return [sys.executable, __file__, error, *command]


def denied_python(path: Path, error: str) -> Path:
    """Make `path` this interpreter, without io_uring."""
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {error} "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return path


if __name__ == "__main__":
    deny(getattr(errno, sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
