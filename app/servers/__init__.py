"""External servers: how to start one, keep all its processes under control, and read it by /proc.

`catalogue` and `definition` say what can be started, `guard` is the process that owns a server's processes,
`process_tree`, `kernel_states` and `outside` read them. The applications that the built-in servers serve are
in `apps/`. May import `app.machine`, `app.schemas` and below.
"""
