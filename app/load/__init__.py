"""The load generator, a process of its own: `python -m app.load`."""
