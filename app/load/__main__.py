"""`python -m app.load`: an order as JSON on stdin, the outcome as JSON on stdout, sentences for people on stderr.

Exit codes: 0 there is an outcome · 1 the control plane is gone · 2 the order cannot be carried out.
"""

from __future__ import annotations

import json
import signal
import sys

from app.load.protocol.meter import BadMeter
from app.load.protocol.shard_job import BadOrder, Order
from app.load.sandbox import Lifeline, confine
from app.load.shard import Shard


def main() -> int:
    try:
        order = Order.parse(sys.stdin.read())
        confine(order)
        shard = Shard(order)
        if order.lifeline_fd is not None:
            Lifeline(order.lifeline_fd, shard.crew, shard.begin)
    except (BadOrder, BadMeter, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    signal.signal(signal.SIGTERM, shard.stop)
    signal.signal(signal.SIGINT, shard.stop)
    json.dump(shard.run().to_json(), sys.stdout)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
