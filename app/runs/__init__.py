"""Runs: validated requests, the queue, trials, capacity searches and hot swaps.

May import app.results, app.fleet, app.trace, app.plans and what is below them.
"""
