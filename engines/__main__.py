"""`python -m engines MODEL` starts one engine, without the control plane.

The control plane uses the same command, with hidden arguments for the descriptors that the engine inherits.
`threadlab engine MODEL` also uses it, with its own name as `--command`: help and errors show that name, and
only what concerns the model.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from dataclasses import asdict
from typing import Any

from engines.catalogue import BadModelModule, describe, model_modules
from engines.common.calibration import Calibration, calibrate
from engines.common.contract import BadKnob, Model, ModelModule, all_knobs, application_knobs, parse_knobs
from engines.common.process.lifecycle import LaunchOptions, run
from engines.common.process.listeners import CannotListen
from engines.common.process.threads import exit_at_once
from engines.common.wsgi.application import ApplicationSpec, CannotLoad

PORT_MAX = 65535


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code (argparse exits with 2 by itself)."""
    try:
        modules = model_modules()
    except BadModelModule as problem:
        if problem.__cause__:
            traceback.print_exception(problem.__cause__)
        print(problem, file=sys.stderr)
        return 1
    parser = _parser(modules, *_command(argv))
    arguments = parser.parse_args(argv)
    if arguments.describe:
        print(json.dumps([describe(module) for module in modules.values()]))
    if arguments.calibrate:
        print(json.dumps(asdict(calibrate())))
    if arguments.describe or arguments.calibrate:
        return 0
    if arguments.model is None:
        parser.error(f"name a model: {', '.join(modules)}")
    return _serve(parser, modules[arguments.model], arguments)


def _serve(parser: argparse.ArgumentParser, module: ModelModule, arguments: argparse.Namespace) -> int:
    if reason := module.MODEL.why_unavailable():
        print(f"{arguments.model}: {reason}", file=sys.stderr)
        return 1
    if arguments.app_dir and arguments.app is None:
        parser.error("--app-dir needs --app MODULE:CALLABLE")
    try:
        options = _launch_options(module.MODEL, arguments)
        parse_knobs(module.MODEL, options.knobs)
    except BadKnob as problem:
        parser.error(f"--set {problem}")
    try:
        run(module, options)
    except CannotListen as problem:
        print(problem, file=sys.stderr)
        return 1
    except CannotLoad as problem:
        problem.report()
        exit_at_once(1)
    return 0


def _launch_options(model: Model, arguments: argparse.Namespace) -> LaunchOptions:
    knobs: dict[str, Any] = {}
    for text in arguments.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise BadKnob(name, "write KNOB=VALUE")
        knobs[name] = value
    if arguments.app is not None:
        knobs = {**application_knobs(model), **knobs}
    return LaunchOptions(
        knobs,
        arguments.host,
        arguments.port,
        arguments.listen_fd,
        arguments.board_fd,
        arguments.ready_fd,
        arguments.lifeline_fd,
        arguments.parent_pid,
        Calibration(**json.loads(arguments.calibration)) if arguments.calibration else None,
        None if arguments.app is None else ApplicationSpec(arguments.app, arguments.app_dir or "."),
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= PORT_MAX):
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {PORT_MAX}, not {text!r}")
    return int(text)


def _command(argv: list[str] | None) -> tuple[str | None, str | None]:
    """Return the command that runs this one, and its model; None if they are not given."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--command")
    first.add_argument("model", nargs="?")
    found, _ = first.parse_known_args(argv)
    return found.command, found.model


def _parser(
    modules: dict[str, ModelModule], command: str | None = None, model: str | None = None
) -> argparse.ArgumentParser:
    """Return the parser of `python -m engines`, or of a command for one model."""
    if command is None:
        parser = _help_parser("python -m engines", "one thread model", _all_knobs(modules))
        parser.add_argument("model", nargs="?", choices=list(modules))
        hidden = None
    else:
        module = modules.get(model or "")
        name = f"{command} {model if module else 'MODEL'}"
        parser = _help_parser(name, f"the thread model {model}", _knobs(module) if module else "")
        parser.add_argument("model", choices=list(modules), help=argparse.SUPPRESS)
        hidden = argparse.SUPPRESS
    option = parser.add_argument
    option("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    option("--port", type=_port, default=0, help="port to listen on; 0 picks a free port (default)")
    option("--set", action="append", default=[], metavar="KNOB=VALUE", help="set a knob; repeatable")
    option(
        "--app", metavar="MODULE:CALLABLE", help="serve this WSGI application instead of the lab's work kinds"
    )
    option("--app-dir", metavar="DIR", help="directory of the application (default: this one)")
    option("--describe", action="store_true", help=hidden or "print all models as JSON and exit")
    option(
        "--calibrate", action="store_true", help=hidden or "time the cpu and hash work, print JSON and exit"
    )
    for name in ("listen-fd", "board-fd", "ready-fd", "lifeline-fd", "parent-pid"):
        option(f"--{name}", type=int, help=argparse.SUPPRESS)
    for name in ("calibration", "command"):
        option(f"--{name}", help=argparse.SUPPRESS)
    return parser


def _help_parser(name: str, subject: str, epilog: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=name,
        description=f"Start an HTTP/1.1 server with {subject}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _all_knobs(modules: dict[str, ModelModule]) -> str:
    """Return a line with the knobs of each model."""
    lines = (
        f"  {name}: {', '.join(f'{k.name}={k.default}' for k in all_knobs(module.MODEL))}"
        for name, module in modules.items()
    )
    return "\n".join(("knobs and their defaults:", *lines))


def _knobs(module: ModelModule) -> str:
    """Return two lines for each knob of a model: default and allowed values, and its help."""
    lines = (
        f"  {knob.name}={knob.default}  ({knob.bounds})\n      {knob.help}"
        for knob in all_knobs(module.MODEL)
    )
    return "\n".join(("knobs, with their defaults and allowed values:", *lines))


if __name__ == "__main__":
    sys.exit(main())
