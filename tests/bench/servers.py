"""The servers that the benchmarks load: our engines and other servers on one CPU, and wrk on another."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.engines.driver import PYTHON, ROOT, Variant, running

SERVER_CPU, LOAD_CPU = 0, 1
NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/log; worker_rlimit_nofile 12000;
events {{ worker_connections 10000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; default_type text/plain;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    set $kilobyte "{kilobyte}";
    location / {{ return 200 "Hello, World!"; }}
    location /bytes {{ return 200 "$kilobyte$kilobyte$kilobyte$kilobyte"; }}
  }}
}}
"""
NODE = """
const bodies = {"/": Buffer.from("Hello, World!"), "/bytes?n=4096": Buffer.alloc(4096, "x")};
const server = require("http").createServer((request, response) => {
  const body = bodies[request.url];
  response.writeHead(200, {"Content-Type": "text/plain", "Content-Length": body.length});
  response.end(body);
});
server.keepAliveTimeout = 0;
server.listen(Number(process.argv[1]), "127.0.0.1", 4096);
"""


@dataclass(frozen=True)
class Serving:
    """A server that accepts requests: its port, and the processes whose CPU time counts."""

    port: int
    pids: tuple[int, ...]

    def cpu_s(self) -> float:
        """Return the user and system time of all its threads, including ended ones."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids)


@dataclass(frozen=True)
class Server:
    """A server that can be started. `missing` is why it cannot be started here, or None."""

    name: str
    serve: Callable[[], AbstractContextManager[Serving]]
    missing: str | None = None


def engine(variant: Variant, cpu: int | None = SERVER_CPU, python: str = PYTHON) -> Server:
    """Return an engine on one CPU (None: on all), run by this interpreter."""
    from engines.catalogue import model_modules

    @contextlib.contextmanager
    def serve() -> Iterator[Serving]:
        pin = f"taskset -cp {cpu} $$ > /dev/null" if cpu is not None else ""
        with running(variant, shell=pin, python=python) as started:
            yield Serving(started.port, tuple(started.pids))

    return Server(variant.name, serve, model_modules()[variant.model].MODEL.why_unavailable())


def nginx() -> Server:
    return Server(
        "nginx", _nginx, None if shutil.which("nginx") else "nginx is not installed (apt install nginx-light)"
    )


@contextlib.contextmanager
def _nginx() -> Iterator[Serving]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "nginx.conf")
        config.write_text(NGINX.format(folder=folder, port=port, kilobyte="x" * 1024))
        command = ["nginx", "-p", folder, "-c", str(config), "-e", f"{folder}/log"]
        with _process(command, port) as master:
            children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
            yield Serving(port, tuple(map(int, children)))


def uvicorn() -> Server:
    absent = [name for name in ("uvicorn", "uvloop", "httptools") if not importlib.util.find_spec(name)]
    return Server(
        "uvicorn+uvloop", _uvicorn, f"{', '.join(absent)} not installed (pip install)" if absent else None
    )


@contextlib.contextmanager
def _uvicorn() -> Iterator[Serving]:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "tests.bench.bare_asgi:app",
        "--port",
        str(port),
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--no-access-log",
        "--log-level",
        "error",
        "--lifespan",
        "off",
    ]
    with _process(command, port) as pid:
        yield Serving(port, (pid,))


def node() -> Server:
    """Return the http module of Node.js."""

    @contextlib.contextmanager
    def serve() -> Iterator[Serving]:
        port = free_port()
        with _process(["node", "-e", NODE, str(port)], port) as pid:
            yield Serving(port, (pid,))

    return Server(
        "node", serve, None if shutil.which("node") else "node is not installed (apt install nodejs)"
    )


def python_peer(name: str) -> Server:
    """Return one of the servers of python_peers."""

    @contextlib.contextmanager
    def serve() -> Iterator[Serving]:
        port = free_port()
        with _process([sys.executable, "-m", "tests.bench.python_peers", name, str(port)], port) as pid:
            yield Serving(port, tuple(process_tree(pid)))

    installed = name == "stdlib" or importlib.util.find_spec(name)
    return Server(name, serve, None if installed else f"not installed (pip install {name})")


def process_tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            found += process_tree(int(child))
    return found


@contextlib.contextmanager
def _process(command: Sequence[str], port: int) -> Iterator[int]:
    pinned = ["taskset", "-c", str(SERVER_CPU), *command]
    # Some log each request that waits, or each start.
    with subprocess.Popen(pinned, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
        try:
            _until_open(port)
            yield server.pid
        finally:
            server.terminate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _until_open(port: int) -> None:
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise SystemExit("the server did not start listening within 10 s")


@dataclass(frozen=True)
class Loaded:
    """The result of wrk for one trial. `errors` are socket errors and responses other than 2xx or 3xx."""

    requests: int
    rate: float
    errors: int
    p50_ms: float
    p99_ms: float


def wrk(
    port: int,
    connections: int,
    seconds: float,
    path: str = "/",
    cpu: int | None = LOAD_CPU,
    pipelined: bool = False,
) -> Loaded:
    pin = ["taskset", "-c", str(cpu)] if cpu is not None else []
    script = ["-s", str(Path(__file__).with_name("pipeline.lua"))] if pipelined else []
    url = f"http://127.0.0.1:{port}{path}"
    command = [*pin, "wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency", *script, url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30)
    found = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", done.stdout)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert found, done.stdout
    assert rate, done.stdout
    errors = sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", done.stdout)))
    errors += sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", done.stdout)))
    return Loaded(
        int(found[1]), float(rate[1]), errors, _latency_ms(done.stdout, 50), _latency_ms(done.stdout, 99)
    )


def _latency_ms(output: str, percent: int) -> float:
    found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", output)
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]] if found else float("nan")


def require(*tools: str, cpus: int = 1) -> None:
    """Exit with a message if the benchmark cannot run here."""
    if missing := [tool for tool in tools if not shutil.which(tool)]:
        raise SystemExit(f"not installed: {', '.join(missing)}")
    if len(os.sched_getaffinity(0)) < cpus:
        raise SystemExit(f"{cpus} CPUs are needed: one for the server, one for the generator")
