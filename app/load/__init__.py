"""The load generator, a separate process: `python -m app.load` is one shard.

    protocol/     what it exchanges with the control plane: job and plan in, live meter, outcome out
    connections/  client connections and their pool
    executors/    when requests are sent: the closed and the open model
    recording/    what is measured
    shard.py      one shard, from its job to its outcome

Each imports only those above it, and nothing else of `app`: tests/test_load_layers.py.
"""
