"""Worst-case texts of every regular expression and parser, and counters of the steps that they take.

Imports app and engines. tests/test_patterns.py counts steps, tests/measure/test_patterns.py measures CPU
time.
"""
