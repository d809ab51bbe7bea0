"""The history in SQLite: runs, comparisons, imported results, and trace files beside the database.

May import `app.schemas`, `app.timestamps` and `app.errors`.
"""
