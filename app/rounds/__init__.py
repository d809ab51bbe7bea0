"""Rounds: which entries are measured next, in random order, until enough rounds are valid. Pure.

Comparisons and experiments share it. May import app.statistics, app.errors, and nothing else of app.
"""
