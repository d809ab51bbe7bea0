"""Client connections of a shard, their pool, and what they send and read.

One module for each kind of client: keep-alive, churn, pipelined, idle, slow. May import `app.load.protocol`
only; within the package, connections import the pool, and the pool knows connections only as
`PooledConnection`.
"""
