"""Blocking I/O with a thread for each connection, for the blocking model. May import engines.common."""
