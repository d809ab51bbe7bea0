"""Tests of the load generator: real processes, real sockets."""
