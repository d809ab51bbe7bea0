"""HTTP/1.1 without sockets: bytes in, requests and responses out. Imports nothing of the models."""
