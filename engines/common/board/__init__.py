"""The metrics board in shared memory, and the thread trace.

Engines write them, the control plane reads them. Imports nothing else of engines.
"""
