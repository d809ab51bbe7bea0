"""Tests of the control plane: real processes, real sockets."""
