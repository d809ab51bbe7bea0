"""Serves a WSGI application of the user (PEP 3333) in place of the lab's own handler."""
