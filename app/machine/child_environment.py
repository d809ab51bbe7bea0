"""The environment of child processes (engines, load generators, perf): an allow-list, not a copy.

The environment of the lab contains its token and may contain any other secret of the operator
(`AWS_SECRET_ACCESS_KEY`, a password in `THREADLAB_DATABASE_URL`). Children get paths, locale, time zone, and
the settings of Python, the dynamic loader and the allocator. They get no setting of the lab itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from app.paths import CHECKOUT

MODELS_DIRECTORY = "THREADLAB_MODELS"  # the operator's directory of further model modules
PASSED_NAMES = frozenset(
    (
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "TMPDIR",
        "TZ",
        "LANG",
        "LANGUAGE",
        "VIRTUAL_ENV",
        "GLIBC_TUNABLES",
        MODELS_DIRECTORY,
        "THREADLAB_TEST_MARK",  # by which tests find the processes that a lab has started
    )
)
PASSED_PREFIXES = ("LC_", "LD_", "PYTHON", "MALLOC_", "COVERAGE_", "COV_CORE_")


def child_environment(parent: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of `parent` that a child process gets."""
    return {
        name: value
        for name, value in parent.items()
        if name in PASSED_NAMES or name.startswith(PASSED_PREFIXES)
    }


def engine_environment(parent: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of `parent` that an engine gets, and a path on which it finds itself.

    The interpreter of the engines may be another than that in which the lab is installed.
    """
    found = child_environment(parent)
    path = [str(CHECKOUT or ""), found.get("PYTHONPATH", "")]
    return found | {"PYTHONPATH": os.pathsep.join(filter(None, path))} if any(path) else found
