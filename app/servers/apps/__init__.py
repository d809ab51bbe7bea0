"""The applications that the built-in servers serve: the same work kinds for WSGI, ASGI, Node.js and nginx.

`cpu` and `hash` block the thread that handles the request. `sleep` stands for a call that waits, such as a
query: it blocks the thread under WSGI, and gives the event loop free under ASGI, gevent and Node.js.
"""
