"""Thread traces: when an engine records state changes of its threads, and the recording of a traced run.

May import `engines.common.board` and `app.load.protocol`.
"""
