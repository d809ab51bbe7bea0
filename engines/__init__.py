"""HTTP/1.1 servers: one module for each I/O-thread model.

What all models share is in `engines.common`; each `*_io` package has the I/O code of some models.
"""
