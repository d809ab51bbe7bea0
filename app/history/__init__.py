"""The run history: search, labels, deletion, imported results, and the diff of two runs.

May import `runs`, `results`, `imports`, `store`, `schemas` and `app.load.protocol`.
"""
