"""HTTP/1.1 servers: one module for each thread model.

`common` has what all models share: contract, board, HTTP, handler, connections. Each `*_io` package has the
I/O code of some models and imports only itself and `common`.
"""
