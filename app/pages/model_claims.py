"""Which claim tests a pro or con of a model, so that a model's page can show its answer here."""

from __future__ import annotations

from collections.abc import Mapping

# By model and text, as in engines/literature.toml. What is not listed is not tested.
CLAIMS: Mapping[str, Mapping[str, str]] = {
    "blocking": {
        "Handlers that block or release the GIL overlap without further code.": "gil-released",
        "An idle connection costs a thread: a stack, a kernel stack, an entry in the scheduler.": (
            "blocking-idle-memory"
        ),
        "Nearly every request costs a context switch.": "threads-equal-events",
        "The number of threads depends on the number of connections, not on the work.": (
            "blocking-thread-per-connection"
        ),
    },
    "reactor": {
        "An idle connection costs a descriptor instead of a thread.": "reactor-constant-threads",
        "No locks and no hand-offs: the lowest CPU per request of all readiness models.": "pool-handoff-cost",
        "One slow handler stalls every connection.": "reactor-stalls",
        "It cannot use a second core.": "reactor-one-core",
        "Accepting, reading and handling compete for one thread.": "mainsub-accept",
    },
    "reactor-pool": {
        "A slow handler delays only its own connection.": "reactor-stalls",
        "Handlers that block or release the GIL use more than one core.": "pool-uses-cores",
        "The number of threads depends on the work, not on the connections.": "pool-size",
        "Each request costs a hand-off by a queue; at low load also a wake-up and a context switch.": (
            "pool-handoff-cost"
        ),
        "One reactor reads for all connections: it is the next limit.": "pool-reactor-limit",
    },
    "main-sub": {
        "A burst of new connections does not delay those that are served.": "mainsub-accept",
        "Reading and writing scale over several event loops.": "mainsub-scales",
        "More threads and hand-offs: the highest CPU per request at low load.": "mainsub-data-exchange",
        "Under the GIL the loops overlap only in system calls.": "gil-equalises",
    },
    "proactor": {
        "Fewer system calls than requests: one call submits and completes I/O of many connections.": (
            "proactor-calls"
        ),
        "A receive buffer is in use only while it holds data, not while a connection is idle.": (
            "proactor-memory"
        ),
        "In-flight buffers, cancellation and shutdown are harder to get right.": "proactor-complexity",
        "Needs Linux 6.0 or newer, and many containers block io_uring.": "proactor-support",
    },
    "prefork": {
        "It uses every core in spite of the GIL: each process has its own.": "gil-equalises",
        (
            "Connections are distributed unevenly and cannot move, and a slow handler stalls those of its "
            "process."
        ): "accept-skew",
    },
}
