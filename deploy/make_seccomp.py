"""Make seccomp.json from seccomp-default.json: the engine's own profile plus the three calls of io_uring.

    python3 deploy/make_seccomp.py            write deploy/seccomp.json
    python3 deploy/make_seccomp.py --check    exit 1 if it is not what this would write

seccomp-default.json is profiles/seccomp/default.json of Moby 26.1.5, byte for byte, as Debian's source package
docker.io 26.1.5+dfsg1-9+deb13u1 has it (Apache License 2.0). Engines since 25 refuse io_uring by it, because of the
kernel's record with that interface; older ones allow it. `diff deploy/seccomp-default.json deploy/seccomp.json` is
the whole price of `proactor`. To follow a newer engine: replace the default, run this, read the diff.
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
    """The text of seccomp.json; one rule at the end, so that a diff shows it and nothing else."""
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
