"""Migrations of the database schema: one file per migration in `versions`.

The file name begins with the revision: `r0002_columns.py` is revision "0002" and follows "0001".
"""
