"""`python -m app.load`: reads a shard job as JSON from stdin and writes the outcome as JSON to stdout.

Messages for people go to stderr. Exit codes: 0 there is an outcome · 1 the control plane has exited · 2 the
job is invalid or cannot be done on this machine, or its start instant has passed.
"""

from __future__ import annotations

import json
import signal
import sys

from app.load.lifeline import Lifeline
from app.load.process_setup import set_up_process
from app.load.protocol.meter import InvalidMeter
from app.load.protocol.shard_job import InvalidJob, ShardJob
from app.load.shard import Shard, TooLate


def main() -> int:
    """Run the job on stdin. Returns the exit code."""
    try:
        job = ShardJob.parse(sys.stdin.read())
        set_up_process(job)
        shard = Shard(job)
        if job.lifeline_fd is not None:
            Lifeline(job.lifeline_fd, shard.pool, shard.start_at)
    except (InvalidJob, InvalidMeter, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    signal.signal(signal.SIGTERM, shard.stop)
    signal.signal(signal.SIGINT, shard.stop)
    try:
        outcome = shard.run()
    except TooLate as error:
        sys.stderr.write(f"{error}\n")
        return 2
    json.dump(outcome.to_json(), sys.stdout)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
