"""Blocking I/O with a thread per connection, for the blocking model. May import engines.common."""
