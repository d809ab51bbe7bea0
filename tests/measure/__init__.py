"""Tests of times, rates, CPU and scheduling: `make measure`, before a release and for docs/measured.md; not in CI.

Each says in its docstring, after "Noise:", how it defends itself against a noisy machine (a control measured in the
same test, a ratio instead of a time, an A/A pair), and reports the numbers that it saw.
"""
