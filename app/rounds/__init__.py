"""Rounds: which entries are measured next, in random order, until enough rounds are valid. Pure.

Comparisons and experiments share it. Imports nothing of app.
"""
