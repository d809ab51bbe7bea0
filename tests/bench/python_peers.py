"""Other HTTP servers in Python, each with a minimal application.

    python -m tests.bench.python_peers NAME PORT

The lab does not depend on them. Install those to compare (`pip install bjoern granian gunicorn waitress
cheroot tornado`; bjoern needs Debian's libev-dev). engines_vs_peers lists those that are missing.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BODIES = {"/": b"Hello, World!", "/bytes": b"x" * 4096}
HEADERS = {
    path: [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    for path, body in BODIES.items()
}
HOST = "127.0.0.1"


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    start_response("200 OK", HEADERS[path])
    return [BODIES[path]]


def bjoern(port: int) -> None:
    import bjoern

    bjoern.run(wsgi, HOST, port)


def granian(port: int) -> None:
    from granian import Granian
    from granian.constants import Interfaces

    Granian(
        "tests.bench.bare_asgi:app",
        address=HOST,
        port=port,
        interface=Interfaces.ASGI,
        workers=1,
        log_access=False,
    ).serve()


def gunicorn(port: int) -> None:
    from gunicorn.app.wsgiapp import run

    sys.argv = [
        "gunicorn",
        "-k",
        "gthread",
        "-w",
        "1",
        "--threads",
        "8",
        "--keep-alive",
        "60",
        "--log-level",
        "error",
        "-b",
        f"{HOST}:{port}",
        "tests.bench.python_peers:wsgi",
    ]
    run()


def waitress(port: int) -> None:
    import waitress

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # else it logs each request that waits
    waitress.serve(wsgi, host=HOST, port=port, threads=10, connection_limit=2000)


def cheroot(port: int) -> None:
    from cheroot.wsgi import Server

    Server((HOST, port), wsgi, numthreads=10, request_queue_size=1024).safe_start()


def tornado(port: int) -> None:
    import asyncio

    from tornado.web import Application, RequestHandler

    class Reply(RequestHandler):  # type: ignore[misc,unused-ignore]
        def get(self) -> None:
            self.finish(BODIES[self.request.path])

    async def main() -> None:
        Application([(path, Reply) for path in BODIES]).listen(port, HOST)
        await asyncio.Event().wait()

    asyncio.run(main())


def stdlib(port: int) -> None:
    class Reply(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            self.send_response(200)
            for name, value in HEADERS[path]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(BODIES[path])

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer((HOST, port), Reply).serve_forever()


PEERS: dict[str, Callable[[int], None]] = {
    each.__name__: each for each in (bjoern, granian, gunicorn, waitress, cheroot, tornado, stdlib)
}

if __name__ == "__main__":
    PEERS[sys.argv[1]](int(sys.argv[2]))
