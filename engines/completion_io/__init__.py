"""Completion-based I/O (io_uring), for the proactor. May import engines.common."""
