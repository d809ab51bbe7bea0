"""The command line: `threadlab serve | models | doctor | run | compare | import | demo | engine`.

Progress goes to stderr, results to stdout. Exit codes: 0 ok · 1 could not run · 2 bad arguments ·
3 a threshold was breached · 4 nothing could be answered · 129/130/143 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import ValidationError

from app import streams
from app.addresses import WILDCARDS, bracketed, reachable
from app.cli import compare, demo, in_process, output, plan_options, remote, stop_signals
from app.errors import LabError, Unknown
from app.fleet.models import Models
from app.imports import parsers, side_by_side
from app.lab import Lab
from app.machine import system
from app.machine.child_environment import child_environment
from app.main import create_app
from app.plans.scenarios import SCENARIOS
from app.runs.queue import ID_MAX
from app.schemas.run import RunView
from app.settings import Settings
from app.store.runs import RunStore
from app.web import log
from app.web.authentication import Authenticator, new_token
from app.web.connection_limit import max_connections_for, raise_descriptor_limit
from app.web.server import Server, listen, make_config

OK, FAILED, BAD_ARGUMENTS, BREACHED = 0, 1, 2, 3


def main(argv: Sequence[str] | None = None) -> int:
    with streams.tolerant() as out:
        code = _command(argv)
        out.flush()
        if out.error is None or isinstance(out.error, BrokenPipeError):
            return code
        print(f"threadlab: stdout could not be written: {out.error.strerror}.", file=sys.stderr)
        return code or FAILED


def _command(argv: Sequence[str] | None) -> int:
    parser = _parser()
    asked = parser.parse_args(argv)
    if asked.command is None:
        parser.print_help()
        return BAD_ARGUMENTS
    try:
        return int(asked.call(asked))
    except ValidationError as error:
        for found in error.errors():
            said = found["msg"].removeprefix("Value error, ")
            print("threadlab:", ": ".join((*map(str, found["loc"]), said)), file=sys.stderr)
        return BAD_ARGUMENTS
    except LabError as error:
        print(f"threadlab: {error.detail}", file=sys.stderr)
        return BAD_ARGUMENTS if error.status in (404, 422) else FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def serve(asked: argparse.Namespace) -> int:
    """The lab, until it is told to stop."""
    given = {name: getattr(asked, name) for name in Settings.model_fields if getattr(asked, name) is not None}
    settings = Settings(**given)
    for warning in _exposed_token(asked, settings):
        print(f"threadlab: {warning}", file=sys.stderr)
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        print(
            f"threadlab: cannot listen on {bracketed(settings.host)}:{settings.port}: {error.strerror}",
            file=sys.stderr,
        )
        return FAILED
    with listener:
        return _serve(settings, listener)


def _exposed_token(asked: argparse.Namespace, settings: Settings) -> list[str]:
    """Warnings of a token that other users of this machine can read."""
    if asked.token:
        return [
            "the token is on the command line, where other users of this machine can see it (ps). "
            "Give it in THREADLAB_TOKEN or by --token-file instead."
        ]
    with contextlib.suppress(OSError):  # a pipe, such as of <(…), that has been read and is gone
        if settings.token_file and settings.token_file.stat().st_mode & 0o077:
            return [
                f"other users may read the token in {settings.token_file}; `chmod 600` closes it to them."
            ]
    return []


def _serve(settings: Settings, listener: socket.socket) -> int:
    log.configure()
    tokens = Authenticator(settings.token)
    most = max_connections_for(raise_descriptor_limit(), settings.max_engines)
    app = create_app(Lab.open(settings), tokens)
    server = _Server(make_config(app, most, settings.proxies, log_level="warning"), tokens)
    server.run(sockets=[listener])
    return OK if server.started else FAILED


class _Server(Server):
    """Says where it is, once it is there."""

    def __init__(self, config: uvicorn.Config, tokens: Authenticator) -> None:
        super().__init__(config)
        self._tokens = tokens

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """On TERM, INT and HUP the lab shuts down gracefully and exits with 0; the signal is not raised again."""
        before = {number: signal.signal(number, self.handle_exit) for number in stop_signals.STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            assert sockets
            host, port = sockets[0].getsockname()[:2]
            print(f"Thread Model Lab: http://{bracketed(reachable(host))}:{port}/", flush=True)
            if self._tokens.required:
                name = "localhost" if host in WILDCARDS else bracketed(host)
                print(
                    f"Once, within 10 minutes: http://{name}:{port}/?token={self._tokens.new_login_code()}",
                    flush=True,
                )


def token(_asked: argparse.Namespace) -> int:
    """A new token, for THREADLAB_TOKEN."""
    print(new_token())
    return OK


def models(_asked: argparse.Namespace) -> int:
    """What models there are."""
    for view in Models.load(Settings().engine_python).views.values():
        state = "" if view.available else f"  (not available: {view.unavailable_reason})"
        print(f"{view.name:14}{view.summary}{state}")
        print(
            "".ljust(14) + "  ".join(f"{knob.name}={knob.default}" for knob in view.knobs if not knob.common)
        )
    return OK


def doctor(asked: argparse.Namespace) -> int:
    """The environment, and what to know before trusting a number from it."""
    settings = Settings()
    view = system.read_system(Models.load(settings.engine_python).views.get("proactor"), settings)
    facts = asdict(view)
    if asked.json:
        print(json.dumps(facts, indent=2))
        return OK
    warnings = facts.pop("warnings")
    for name, value in facts.items():
        print(f"{name:18}{value if value is not None else '–'}")
    for warning in warnings:
        print(f"! {warning}")
    return OK


def engine(asked: argparse.Namespace) -> int:
    """One engine in the foreground: this process becomes it."""
    python = Settings().engine_python
    os.execve(python, [python, "-m", "engines", asked.model, *asked.rest], child_environment())


def run(asked: argparse.Namespace) -> int:
    """One run, in process; its verdict on stdout."""
    asked.trace = asked.trace or (True if asked.perfetto else None)
    wanted = output.checked({flag: getattr(asked, flag) for flag in (*output.FLAGS, "json")})
    knobs = dict(text.partition("=")[::2] for text in asked.set)
    spec: dict[str, Any] = {
        "model": asked.model,
        "knobs": knobs,
        "scenario": asked.scenario,
        "plan": plan_options.plan_of(asked),
        "thresholds": asked.threshold,
        "label": asked.label,
        "then": [{"model": each} for each in asked.then],
    }
    if asked.server:
        view, stopped_by = remote.measure_run(asked.server, spec, lambda view: None)
        missing = output.leave(wanted, lambda export: remote.get_export(asked.server, view.id, export.name))
    else:
        missing = []
        view, stopped_by = asyncio.run(
            in_process.one_run(
                spec, lambda lab, id: missing.extend(output.leave(wanted, lambda each: each.make(lab, id)))
            )
        )
    if asked.json:
        missing += output.written("json", asked.json, in_process.json_text(in_process.to_json(view)))
    if "-" not in wanted.values():
        with remote.understood(asked.server):
            print(in_process.report(view))
    for problem in missing:
        print(f"threadlab: {problem}", file=sys.stderr)
    return in_process.exit_code(view, stopped_by) or (FAILED if missing else OK)


def import_(asked: argparse.Namespace) -> int:
    """What another tool has said, and beside it a run of ours."""
    try:
        text = sys.stdin.read() if asked.file == "-" else Path(asked.file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        print(f"threadlab: {asked.file} cannot be read: {getattr(error, 'strerror', error)}", file=sys.stderr)
        return BAD_ARGUMENTS
    theirs = parsers.read(asked.tool, text)
    ours = _kept_run(asked) if asked.run is not None else None
    with remote.understood(asked.server):
        print(side_by_side.table(theirs, ours))
    return OK


def _kept_run(asked: argparse.Namespace) -> RunView:
    if asked.server:
        return remote.get_run(asked.server, asked.run)
    with contextlib.closing(RunStore(Settings().database)) as store:
        view = store.get(asked.run) if 0 < asked.run <= ID_MAX else None
    if view is None:
        raise Unknown(f"There is no run {asked.run}.")
    return view


def run_demo(asked: argparse.Namespace) -> int:
    """The models in turn, each at its ceiling and then all at one rate."""
    output.checked({"json": asked.json})
    if asked.server:
        return asyncio.run(demo.run_on(asked.server, asked.seconds, asked.json))
    return asyncio.run(demo.run(asked.seconds, asked.json))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="threadlab", description="Real servers, one for each I/O-thread model."
    )
    parser.add_argument("--version", action="version", version=f"threadlab {version('threadlab')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_serve(commands)
    commands.add_parser("models", help="what models there are").set_defaults(call=models)
    commands.add_parser("token", help="a new token, for THREADLAB_TOKEN").set_defaults(call=token)
    checkup = commands.add_parser(
        "doctor", help="this machine, and what to know before trusting a number from it"
    )
    checkup.add_argument("--json", action="store_true", help="as JSON")
    checkup.set_defaults(call=doctor)
    _add_run(commands)
    compare.add(commands)
    _add_import(commands)
    tour = commands.add_parser("demo", help="every model in turn, a table with verdicts")
    tour.add_argument("--seconds", type=float, default=demo.SECONDS, help="of each run (default %(default)s)")
    tour.add_argument(
        "--json", metavar="FILE", help="write the runs as JSON; - for stdout instead of the table"
    )
    tour.add_argument(
        "--server", metavar="URL", help="let a lab that is running do it, such as http://127.0.0.1:8000"
    )
    tour.set_defaults(call=run_demo)
    one = commands.add_parser("engine", help="one engine in the foreground")
    one.add_argument("model", help="such as reactor; `threadlab models` lists them")
    one.add_argument(
        "rest", nargs=argparse.REMAINDER, help="--host, --port, --set KNOB=VALUE: MODEL --help lists them"
    )
    one.set_defaults(call=engine)
    return parser


def _add_serve(commands: Any) -> None:
    parser = commands.add_parser("serve", help="the lab: dashboard, REST API, WebSocket")
    for name, field in Settings.model_fields.items():
        flag = "--" + name.replace("_", "-")
        default = field.default or "none"
        parser.add_argument(
            flag, dest=name, help=f"{field.description} (default {default}; THREADLAB_{name.upper()})"
        )
    parser.set_defaults(call=serve)


def _add_run(commands: Any) -> None:
    parser = commands.add_parser("run", help="one run against a fresh engine, with its verdict")
    parser.add_argument("model")
    parser.add_argument("--scenario", choices=list(SCENARIOS))
    plan_options.add(parser)
    parser.add_argument("--set", action="append", default=[], metavar="KNOB=VALUE", help="a knob; repeatable")
    parser.add_argument(
        "--then",
        action="append",
        default=[],
        metavar="MODEL",
        help="a model that takes the port over while the load stays on (hot swap); repeatable",
    )
    parser.add_argument("--threshold", action="append", default=[], help="such as 'p(99)<20ms'; repeatable")
    parser.add_argument("--label", help="a note that is kept with the run")
    parser.add_argument("--json", metavar="FILE", help="write the run as JSON; - for stdout")
    parser.add_argument("--csv", metavar="FILE", help="write a row a second; - for stdout")
    parser.add_argument("--junit", metavar="FILE", help="write the thresholds as JUnit XML; - for stdout")
    parser.add_argument(
        "--html", metavar="FILE", help="write a report, one file with its charts; - for stdout"
    )
    parser.add_argument(
        "--perfetto", metavar="FILE", help="write a Chrome trace, for ui.perfetto.dev; implies --trace"
    )
    parser.add_argument(
        "--server", metavar="URL", help="let a lab that is running do it, such as http://127.0.0.1:8000"
    )
    parser.set_defaults(call=run)


def _add_import(commands: Any) -> None:
    parser = commands.add_parser(
        "import", help="what wrk, oha or k6 has said of an engine, beside a run of ours"
    )
    parser.add_argument("file", metavar="FILE", help="what the tool wrote; - for stdin")
    parser.add_argument("--tool", choices=list(parsers.READERS), required=True)
    parser.add_argument("--run", type=int, metavar="ID", help="a run of the history to put beside it")
    parser.add_argument(
        "--server", metavar="URL", help="the lab that has the run (default: the history on this disk)"
    )
    parser.set_defaults(call=import_)


if __name__ == "__main__":
    sys.exit(main())
