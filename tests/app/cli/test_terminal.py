"""Output on a terminal: our own colours and progress bar, and no control sequence or markup of others."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from app.cli.help import EXAMPLES
from app.schemas.run import RunView
from tests.app.command_line import command_name, example_arguments, parsed
from tests.app.driver import THREADLAB, Command
from tests.app.stored_runs import stored_run

from .test_hostile_server import EACH, ESCAPES, Answer, comparison, escaped_run, serving, wrk

__all__ = ["wrk"]  # the fixture

COLOUR = re.compile(r"\x1b\[[\d;]*m")
# What rich writes: colours, cursor up, erase line, hide and show the cursor.
OURS = re.compile(r"\x1b\[(?:[\d;]*m|\d*A|\d*K|\?25[lh])|\r\n|\r(?=\x1b\[\d*[KA])|\r(?=[^\n])")
MARKUP = "[red]not red[/red] [link=http://x]y[/link] :boom:"


def on_terminal(*args: str, stdout: int = -1, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a command on a terminal of 120 columns; return its exit code and what the terminal receives."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    base = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    with subprocess.Popen(
        [THREADLAB, *args],
        stdin=subprocess.DEVNULL,
        stdout=theirs if stdout < 0 else stdout,
        stderr=theirs,
        env={**base, "TERM": "xterm-256color", **(env or {})},
    ) as process:
        os.close(theirs)
        received = b"".join(_chunks(ours))
        os.close(ours)
    return process.returncode, received.decode()


def _chunks(terminal: int) -> Iterator[bytes]:
    """Yield what is written to a terminal until all its descriptors are closed."""
    while True:
        try:
            yield os.read(terminal, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return


def test_a_terminal_gets_a_table_in_colour_and_a_hint() -> None:
    code, text = on_terminal("models")
    assert code == 0 and COLOUR.search(text)
    assert "Summary" in text and "─────" in text
    assert "Next: " in COLOUR.sub("", text) and "threadlab run reactor" in text


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=lambda each: next(iter(each)))
def test_a_terminal_without_colours_gets_the_plain_output(variable: dict[str, str], command: Command) -> None:
    code, text = on_terminal("models", env=variable)
    assert code == 0 and text.replace("\r\n", "\n") == command("models").stdout
    code, text = on_terminal("run", "--help", env=variable)
    assert code == 0 and text.replace("\r\n", "\n") == command("run", "--help").stdout


def test_help_has_panels_on_a_terminal_and_plain_groups_elsewhere(command: Command) -> None:
    text = COLOUR.sub("", on_terminal("run", "--help")[1])
    piped = command("run", "--help").stdout
    for group in ("Target", "Load", "Timing", "Advanced", "Output", "Examples"):
        assert f"╭─ {group} ─" in text
        assert f"\n{group}:\n" in piped
    assert "╭" not in piped and "\x1b" not in piped


def test_a_hint_is_not_written_where_stdout_is_piped(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as file:
        code, text = on_terminal("models", stdout=file.fileno())
    assert (code, text) == (0, "")
    assert (tmp_path / "out").read_text().startswith("blocking ")


def test_a_run_shows_a_bar_and_leaves_the_cursor_and_no_bar(tmp_path: Path) -> None:
    light = ("--executor", "constant-arrival-rate", "--rate", "100", "--vus", "4", "--warmup", "0")
    code, text = on_terminal(
        "run", "reactor", *light, "--duration", "1", env={"THREADLAB_DATA_DIR": str(tmp_path)}
    )
    assert code == 0, text
    assert "━━━" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is visible again"
    report = text[text.rindex("\x1b[?25h") :]
    assert "Verdict: " in report and "━━━" not in report


@EACH
def test_no_control_sequence_and_no_markup_of_a_server_reaches_the_terminal(
    words: tuple[str, ...], wrk: Path, tmp_path: Path
) -> None:
    is_comparison = words[0] in ("compare", "demo")
    run = escaped_run(notes=[f"{MARKUP} {ESCAPES}"])
    answer = Answer(comparison(plan_text=f"{MARKUP} {ESCAPES}") if is_comparison else run)
    models = Answer(
        TypeAdapter(list[dict[str, str | None]]).dump_json(
            [{"name": "a", "unavailable_reason": None}, {"name": "b", "unavailable_reason": ESCAPES}]
        )
    )
    args = [word.format(wrk=wrk) for word in words]
    with serving(answer, models=models, **{"1": Answer(run)}) as server:
        _, text = on_terminal(*args, "--server", server.url, env={"THREADLAB_DATA_DIR": str(tmp_path)})
    rest = OURS.sub("", text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", rest), ascii(rest)
    assert "\\x1b[2J" in rest
    if words[0] != "import":
        assert MARKUP in " ".join(rest.split())


def test_an_error_on_a_terminal_is_a_line_without_markup_or_control_characters(command: Command) -> None:
    for argument in ("[red]x[/red]\x1b[2J", "\x1b]0;x\x07"):
        code, text = on_terminal("run", argument)
        assert code == 2 and "\x1b" not in text and text.count("\n") == 1 and "\\x1b" in text
        code, text = on_terminal("run", "reactor", "--vus", argument)
        assert code == 2 and "\x1b" not in text and text.count("\n") == 1


def test_labels_with_markup_are_shown_as_they_are(command: Command, tmp_path: Path) -> None:
    view = stored_run(id=7, model="[bold]x[/bold]")
    with serving(Answer(TypeAdapter(RunView).dump_json(view))) as server:
        _, text = on_terminal(
            "run", "reactor", "--server", server.url, env={"THREADLAB_DATA_DIR": str(tmp_path)}
        )
    assert "[bold]x[/bold]" in text


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_help_are_commands_that_exist(name: str) -> None:
    for _, line in EXAMPLES[name]:
        words = example_arguments(line)
        command = command_name(words)
        assert name in ("threadlab", command.split()[-1])
        parsed(command, *words[len(command.split()) :])


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("threadlab comp", {"compare"}),
        ("threadlab run --exec", {"--executor"}),
        ("threadlab run main", {"main-sub"}),
        ("threadlab run reactor --scenario slow-", {"slow-handler", "slow-readers"}),
    ],
)
def test_a_shell_can_complete_commands_options_models_and_scenarios(typed: str, completed: set[str]) -> None:
    words = typed.split()
    env = {
        "_THREADLAB_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run([THREADLAB], capture_output=True, text=True, env={**os.environ, **env})
    assert set(done.stdout.split()) == completed, done


def test_the_completion_script_is_printed_for_the_shell() -> None:
    env = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": ""}
    done = subprocess.run(
        ["bash", "-c", f"{THREADLAB} --show-completion; exit $?"], capture_output=True, text=True, env=env
    )
    assert done.returncode == 0 and "_THREADLAB_COMPLETE=complete_bash" in done.stdout, done
