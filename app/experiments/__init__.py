"""Experiments: claims of the literature, tested by rounds of trials, with an answer and its evidence.

May import app.comparisons, app.rounds, app.statistics, app.runs, app.results and what is below them.
"""
