"""Comparisons: entries measured in rounds, aggregated and ranked."""
