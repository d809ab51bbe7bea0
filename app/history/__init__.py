"""Finished runs: search, labels, and the comparison of two of them."""
