"""Generate seccomp.json from seccomp-default.json: the default profile plus the three calls of io_uring.

    python3 deploy/make_seccomp.py            write deploy/seccomp.json
    python3 deploy/make_seccomp.py --check    exit 1 if deploy/seccomp.json is stale

seccomp-default.json is profiles/seccomp/default.json of Moby 26.1.5, byte for byte, from Debian's source
package docker.io 26.1.5+dfsg1-9+deb13u1 (Apache License 2.0). Since Docker 25 the default profile blocks
io_uring, because of past vulnerabilities in the kernel; older ones allow it. `diff
deploy/seccomp-default.json deploy/seccomp.json` shows what `proactor` needs in addition. To update: replace
the default, run this, read the diff.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEFAULT, OURS = HERE / "seccomp-default.json", HERE / "seccomp.json"
IO_URING = ("io_uring_enter", "io_uring_register", "io_uring_setup")
RULE = {
    "names": [*IO_URING],
    "action": "SCMP_ACT_ALLOW",
    "comment": "added by deploy/make_seccomp.py, for proactor",
}


def ours() -> str:
    """Return the text of seccomp.json: one more rule at the end, so that a diff shows only this rule."""
    profile = json.loads(DEFAULT.read_text())
    profile["syscalls"].append(RULE)
    return json.dumps(profile, indent="\t")


def main() -> int:
    if "--check" in sys.argv[1:]:
        same = OURS.is_file() and OURS.read_text() == ours()
        return (
            0
            if same
            else int(bool(sys.stderr.write("deploy/seccomp.json is stale: run deploy/make_seccomp.py\n")))
        )
    OURS.write_text(ours())
    return 0


if __name__ == "__main__":
    sys.exit(main())
