"""Parsers of other load tools' output (wrk, oha, k6), and its comparison with a run.

One module per tool; `parsers.READERS` lists them. May import `format`, `schemas` and `errors`.
"""
