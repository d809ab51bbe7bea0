"""Tests of times, rates, CPU and scheduling: `make measure`, not in CI.

The docstring of each test states after "Noise:" how the test defends itself against a noisy machine (a
control measured in the same test, a ratio instead of a time, an A/A pair). Each test reports what it
measured.
"""
