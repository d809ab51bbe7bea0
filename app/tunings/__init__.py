"""Tunings: the highest rate that keeps an objective for each value of a knob, measured in rounds.

May import app.rounds, app.runs, app.results and what is below them.
"""
