"""Runs: requests, the queue, trials, capacity searches and hot swaps."""
