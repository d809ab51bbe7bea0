"""A small HTTP server that can misbehave: `python tiny.py MODE HOST PORT`.

serve     answers every request with its environment as JSON
fork      the same, with two child processes, one of them in its own session
daemon    forks, ends, and serves in the background
stubborn  ignores SIGTERM, and so does its child process
exits     prints three lines on stderr and ends with code 3
silent    never listens
failing   answers every request with 503
flood     writes 8 MiB to stderr, then serves
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODE, HOST, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps(dict(os.environ)).encode()
        self.send_response(503 if MODE == "failing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def sleep_forever() -> None:
    while True:
        time.sleep(3600)


def fork_children() -> None:
    for number in range(2):
        if os.fork() == 0:
            if number:
                os.setsid()
            sleep_forever()


def main() -> None:
    if MODE == "exits":
        sys.stderr.write("first\nsecond\nno configuration\n")
        sys.exit(3)
    if MODE == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if MODE in ("fork", "stubborn"):
        fork_children()
    if MODE == "daemon" and os.fork():
        os._exit(0)
    if MODE == "flood":
        for _ in range(8192):
            sys.stderr.write("x" * 1023 + "\n")
    if MODE == "silent":
        sleep_forever()
    ThreadingHTTPServer((HOST, PORT), Handler).serve_forever()


if __name__ == "__main__":
    main()
