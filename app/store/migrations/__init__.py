"""How a history that an older version wrote comes to this version's schema: one file a step, in `versions`.

Its name begins with its number, which is also its revision: `r0002_columns.py` is "0002", and comes after "0001".
"""
