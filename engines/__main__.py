"""`python -m engines MODEL`: one engine with nothing else around it.

The control plane starts engines by the same door, with the descriptors they inherit as further arguments.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from engines.catalogue import describe, model_modules
from engines.common.contract import BadKnob, all_knobs, parse_knobs
from engines.common.handler import Calibration, calibrate
from engines.common.process.lifecycle import CannotListen, LaunchOptions, run

PORT_MAX = 65535


def main(argv: list[str] | None = None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.describe:
        print(json.dumps([describe(module) for module in model_modules().values()]))
        return 0
    if arguments.calibrate:
        print(json.dumps(asdict(calibrate())))
        return 0
    if arguments.model is None:
        parser.error(f"name a model: {', '.join(model_modules())}")
    return _serve(parser, arguments)


def _serve(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    module = model_modules()[arguments.model]
    if reason := module.MODEL.why_unavailable():
        print(f"{arguments.model}: {reason}", file=sys.stderr)
        return 1
    try:
        options = _launch_options(arguments)
        parse_knobs(module.MODEL, options.knobs)
    except BadKnob as problem:
        parser.error(f"--set {problem}")
    try:
        run(module, options)
    except CannotListen as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def _launch_options(arguments: argparse.Namespace) -> LaunchOptions:
    knobs: dict[str, Any] = {}
    for text in arguments.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise BadKnob(name, "write it as knob=value")
        knobs[name] = value
    calibration = Calibration(**json.loads(arguments.calibration)) if arguments.calibration else None
    return LaunchOptions(
        knobs,
        arguments.host,
        arguments.port,
        arguments.listen_fd,
        arguments.board_fd,
        arguments.ready_fd,
        arguments.lifeline_fd,
        arguments.parent_pid,
        calibration,
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= PORT_MAX):
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {PORT_MAX}, not {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    knobs = "\n".join(
        f"  {name}: {', '.join(f'{k.name}={k.default}' for k in all_knobs(module.MODEL))}"
        for name, module in model_modules().items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m engines",
        description="Serve HTTP/1.1 with one I/O-thread model.",
        epilog=f"knobs, with their defaults:\n{knobs}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", nargs="?", choices=list(model_modules()))
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument(
        "--port", type=_port, default=0, help="port to listen on; 0 takes a free one (default)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KNOB=VALUE", help="set a knob; repeatable"
    )
    parser.add_argument("--describe", action="store_true", help="print every model as JSON and exit")
    parser.add_argument(
        "--calibrate", action="store_true", help="time the cpu and hash work, print JSON and exit"
    )
    for name in ("listen-fd", "board-fd", "ready-fd", "lifeline-fd", "parent-pid"):
        parser.add_argument(f"--{name}", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--calibration", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
