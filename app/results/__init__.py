"""Turns the observations of a trial into summary, series, cost ledger, evidence, verdict and notes.

Pure functions: no I/O, no clock, safe in any thread. May import `format`, `plans`, `schemas`, the readings of
`machine` and `app.load.protocol`.
"""
