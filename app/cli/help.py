"""The help of commands: options in groups, and examples. In panels on a terminal, otherwise as plain text."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from typer.core import TyperCommand, TyperGroup

from app import streams
from app.cli import console

# Groups of options, in the order in which help shows them.
TARGET, LOAD, TIMING, ADVANCED, OUTPUT = "Target", "Load", "Timing", "Advanced", "Output"
OTHER = "Other options"
GROUPS = (TARGET, LOAD, TIMING, ADVANCED, OUTPUT)
PLAIN_WIDTH = 100  # characters a line

# What a command is used for, and how. Lines of a shell; tests parse them.
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "threadlab": (
        ("the lab in the browser", "threadlab serve"),
        ("all models in the terminal", "threadlab demo"),
        ("one load test", "threadlab run reactor-pool --scenario slow-handler --threshold 'p(99)<20ms'"),
    ),
    "serve": (
        ("on another port", "threadlab serve --port 9000"),
        ("for other machines", "THREADLAB_TOKEN=$(threadlab token) threadlab serve --host 0.0.0.0"),
    ),
    "run": (
        ("maximum throughput, as JSON", "threadlab run main-sub --set reactors=2 --vus 128 --json -"),
        ("a named scenario with a limit", "threadlab run reactor --scenario ramp --threshold 'p(99)<20ms'"),
        (
            "the highest rate that meets an objective",
            "threadlab run blocking --executor find-capacity --objective 'p(99)<20ms'",
        ),
        ("requests for any path", "threadlab run reactor --path /echo --method POST --body hello"),
        (
            "hot swap while the load continues",
            "threadlab run reactor --then proactor --executor constant-arrival-rate --rate 2000",
        ),
    ),
    "compare": (
        ("all models by CPU per request at a fixed rate", "threadlab compare"),
        ("variants of a model", "threadlab compare reactor-pool reactor-pool:workers=8"),
        ("maximum throughput, with a report", "threadlab compare --view ceiling --html comparison.html"),
    ),
    "experiment": (
        ("one claim", "threadlab experiment reactor-stalls"),
        ("every claim of the article, in short rounds", "threadlab experiment --article --quick"),
        ("every claim, with a report", "threadlab experiment --all --html claims.html"),
        ("in a build", "threadlab experiment pool-uses-cores --expect holds --junit claims.xml"),
    ),
    "tune": (
        (
            "the threads of a pool for a handler that waits",
            "threadlab tune gunicorn --knob threads=1..32 --objective 'p(99)<50ms' --work 'sleep 20ms'",
        ),
        (
            "a model, by a list of values",
            "threadlab tune reactor-pool --knob workers=1,2,4,8 --objective 'p(99)<20ms' --rounds 7",
        ),
        ("a knob with choices", "threadlab tune prefork --knob accept --objective 'p(99)<20ms'"),
    ),
    "demo": (
        ("one second for each run", "threadlab demo --seconds 1"),
        ("as JSON", "threadlab demo --json -"),
    ),
    "import": (
        (
            "wrk beside run 1",
            "wrk -t1 -c64 -d10s --latency http://127.0.0.1:8101/ | threadlab import - --tool wrk --run 1",
        ),
    ),
    "engine": (
        ("one engine on port 8101", "threadlab engine reactor --port 8101"),
        ("its flags and knobs", "threadlab engine reactor --help"),
    ),
    "doctor": (("as JSON", "threadlab doctor --json"),),
    "up": (
        ("on this machine, for trying", "threadlab cluster up"),
        ("for other hosts", "threadlab cluster up --listen tls://10.0.0.5:8786 --certs certs --workers 0"),
    ),
    "certs": (("for all members", "threadlab cluster certs certs"),),
    "worker": (
        ("a host that generates load", "threadlab worker tls://10.0.0.5:8786 --roles load --certs certs"),
    ),
    "hosts": (("of a running lab", "threadlab hosts --server http://127.0.0.1:8000"),),
}


class _Help:
    """Formats the help of a command; mixed into the classes of typer."""

    name: str | None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help to stdout on a terminal, otherwise to `formatter`."""
        examples = EXAMPLES.get(self.name or "threadlab", ())
        if console.is_rich(sys.stdout):
            with _stdout_unescaped():
                super().format_help(ctx, formatter)  # type: ignore[misc]
            console.show_examples(examples)
            return
        formatter.width = PLAIN_WIDTH
        self.format_usage(ctx, formatter)  # type: ignore[attr-defined]
        self.format_help_text(ctx, formatter)  # type: ignore[attr-defined]
        self.format_options(ctx, formatter)
        if examples:
            with formatter.section("Examples"):
                for purpose, command in examples:
                    formatter.write(f"{'':{formatter.current_indent}}{command}\n")
                    formatter.write(f"{'':{formatter.current_indent}}    {purpose}\n")

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the arguments, and then the options by group."""
        params = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if param.param_type_name == "option" and not param.rich_help_panel:
                param.rich_help_panel = OTHER
            if getattr(param, "is_bool_flag", False):
                param.metavar = ""  # no "<bool>" in the help
                param.default = param.default or False  # typer would import pydantic to validate None
        return sorted(params, key=_rank)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and options of each group to `formatter`."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                names, text = record
                groups.setdefault(param.rich_help_panel or "Arguments", []).append(
                    (_without_type(names), text)
                )
        for name, records in groups.items():
            with formatter.section(name):
                formatter.write_dl(records)


def _without_type(names: str) -> str:
    """Return the names of a parameter without the type that typer appends for arguments of any text."""
    return names.removesuffix(" <str>").removesuffix(" <list[str]>")


def _rank(param: Any) -> int:
    """Return the place of a parameter in the help; sorting by it keeps the order within a group."""
    if param.param_type_name == "argument":
        return -1
    group = param.rich_help_panel
    return GROUPS.index(group) if group in GROUPS else len(GROUPS) + (group == OTHER)


class Command(_Help, TyperCommand):
    """A command with our help."""


class Group(_Help, TyperGroup):
    """The group of all commands with our help."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands and the options to `formatter`."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)


@contextlib.contextmanager
def _stdout_unescaped() -> Iterator[None]:
    """Let typer write colours: all text of a help is our own."""
    before = sys.stdout
    sys.stdout = streams.unescaped(before)
    try:
        yield
    finally:
        sys.stdout = before
