"""Comparisons: entries measured in rounds under one plan, aggregated and ranked.

May import app.runs, app.results and what is below them.
"""
