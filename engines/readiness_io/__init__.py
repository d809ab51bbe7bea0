"""Readiness-based I/O (epoll), for the reactor models. May import engines.common."""
