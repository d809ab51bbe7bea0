"""Writes runs, comparisons and lists of runs as files: CSV, JUnit XML, HTML, JSON bundle, Chrome trace.

`run_exports.EXPORTS` and `comparison_exports.EXPORTS` list what can be exported; API routes, page links and
command-line flags are derived from them. May import `lab` and everything below it, and `templating`.
"""
