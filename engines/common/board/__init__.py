"""The metrics board in shared memory, and the thread trace.

`board` is the layout, `row` and `writer` are the engine's side, `reader` and `trace_reader` the control
plane's. Imports nothing else of engines.
"""
