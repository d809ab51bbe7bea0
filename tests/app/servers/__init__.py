"""Tests of external servers."""
