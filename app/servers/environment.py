"""The environment of an external server: built from a short list, not inherited.

A server gets what any program needs to run, and what its definition sets. It gets no setting of the lab, no
token, and no variable of Python, of the dynamic loader or of another tool of the operator.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

CALIBRATION = "WORK_CALIBRATION"  # JSON: iterations per µs of the CPU work, for the applications of the lab
MARK = "THREADLAB_SERVER"  # a random text by which the processes of one server can be found
PASSED_NAMES = (
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "VIRTUAL_ENV",
    "THREADLAB_TEST_MARK",  # by which tests find the processes that a lab has started
)
SYSTEM_PATH = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # nginx is there, and the PATH of a user often is not


def search_path(parent: Mapping[str, str] = os.environ) -> str:
    """Return the PATH in which commands of servers are searched."""
    found = parent.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join((*found, *(each for each in SYSTEM_PATH if each not in found)))


def server_environment(parent: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that every external server gets."""
    passed = {name: parent[name] for name in PASSED_NAMES if name in parent}
    return {**passed, "PATH": search_path(parent), "PYTHONUNBUFFERED": "1"}
