"""Rounds: what is measured next, in random order, until enough rounds are valid, and who carries them out.

Comparisons, experiments and tunings share the schedule and the bounds, which are pure; comparisons and
tunings also share the worker (`series`).
"""
