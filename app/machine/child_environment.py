"""The environment of the lab's children: engines, load generators and perf. It is built here, and not inherited.

The lab's environment has its token, and may have any other secret of the operator's (`AWS_SECRET_ACCESS_KEY`, a
password in `THREADLAB_DATABASE_URL`). A child needs none of it. It gets what says where things are, in which language
and time zone, and how Python, the loader and the allocator behave; nothing by which the lab itself is configured.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

NAMES = frozenset(
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
        "THREADLAB_MODELS",  # the operator's directory of further model modules
        "THREADLAB_TEST_MARK",  # by which tests find the processes that a lab has started
    )
)
PREFIXES = ("LC_", "LD_", "PYTHON", "MALLOC_", "COVERAGE_", "COV_CORE_")


def child_environment(ours: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a child gets of `ours`."""
    return {name: value for name, value in ours.items() if name in NAMES or name.startswith(PREFIXES)}
