"""The history in SQLite: runs, comparisons, imported results, and trace files in a folder next to it.

May import `app.schemas`, `app.timestamps` and `app.errors`.
"""
