"""Operating-system services: child processes, CPU placement, scheduling, /proc, perf and the machine lock.

May import `app.store.private_files`, `app.schemas`, `app.settings`, `app.errors`, `app.load` and
`engines.common`.
"""
