"""The statistics of comparisons and experiments: decisions by ratios within rounds, and error rates. Pure.

May import app.schemas.
"""
