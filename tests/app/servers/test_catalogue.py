"""The catalogue of external servers: what a file may say, and the message for what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.servers.catalogue import BadCatalogue, load_catalogue
from app.servers.definition import PLACEHOLDERS, command_of, placeholders
from engines.common.contract import BadKnob

MODELS = ("reactor", "prefork", "main-sub", "reactor-pool")
ENTRY = """
[mine]
title = "Mine"
model = "reactor"
argv = ["mine", "--listen={address}", "--workers", "{workers}", "--json", '{"a": 1}']
environment = { MODE = "fast-{workers}" }
files = { "mine.conf" = "mine.conf" }
[mine.knobs.workers]
default = 2
minimum = 1
maximum = 8
[mine.knobs.mode]
default = "a"
choices = ["a", "b"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "servers.toml"
    path.write_text(text)
    return path


def test_the_built_in_catalogue_is_valid_and_names_how_to_install_each_server() -> None:
    found = load_catalogue(None, MODELS)
    assert set(found) == {"gunicorn", "uvicorn", "granian", "waitress", "nginx", "node"}
    assert all(each.install and each.link and each.summary and each.kinds for each in found.values())


def test_a_file_of_the_operator_adds_servers_and_fills_only_known_placeholders(tmp_path: Path) -> None:
    (tmp_path / "mine.conf").write_text("listen {port}; server { location / { } }")
    mine = load_catalogue(written(tmp_path, ENTRY), MODELS)["mine"]
    values = {name: name.upper() for name in PLACEHOLDERS} | {"port": 8101, "workers": 4, "address": "a:1"}
    command = command_of(mine, values, {"PATH": "/bin"})
    assert command.argv == ("mine", "--listen=a:1", "--workers", "4", "--json", '{"a": 1}')
    assert command.environment == {"PATH": "/bin", "MODE": "fast-4"}
    assert command.files == {"mine.conf": "listen 8101; server { location / { } }"}
    assert command.directory == Path("DIRECTORY")


def test_knobs_have_bounds_or_choices(tmp_path: Path) -> None:
    (tmp_path / "mine.conf").write_text("")
    mine = load_catalogue(written(tmp_path, ENTRY), MODELS)["mine"]
    assert mine.parse_knobs({"workers": "8"}) == {"workers": 8, "mode": "a", "grace_s": 5}
    for name, value in (("workers", 9), ("mode", "c; rm -rf /"), ("threads", 1), ("workers", "$(id)")):
        with pytest.raises(BadKnob):
            mine.parse_knobs({name: value})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mine = 1", "must be a table"),
        ("[mine]\nargv = []", "argv must have the command"),
        ("[mine]\nargv = 'mine --port {port}'", "argv must be a list of strings"),
        ("[mine]\nargv = ['mine', 8000]", "argv must be a list of strings"),
        ("[mine]\nargv = ['mine']", "must contain {port} or {address}"),
        ("[mine]\nargv = ['mine', '{port}', '{token}']", "unknown placeholder {token}"),
        ("[mine]\nargv = ['mine', '{port}']\nshell = true", "unknown key 'shell'"),
        ("[mine]\nargv = ['mine', '{port}']\nmodel = 'fast'", "there is no model 'fast'"),
        ("[mine]\nargv = ['mine', '{port}']\nkinds = ['video']", "unknown work kind 'video'"),
        ("[mine]\nargv = ['mine', '{port}']\nready_path = 'x'", "ready_path must begin with /"),
        ("[mine]\nargv = ['mine', '{port}']\nstop_signal = 'STOP IT'", "unknown signal"),
        ("[mine]\nargv = ['mine', '{port}']\nfiles = { a = 'none' }", "cannot be read"),
        ("[reactor]\nargv = ['mine', '{port}']", "there is a model of that name"),
        ("['My Server']\nargv = ['mine', '{port}']", "lower-case letters"),
        ("[mine]\nargv = ['mine', '{port}']\n[mine.knobs.n]\ndefault = 1", "needs minimum and maximum"),
        ("[mine]\nargv = ['mine', '{port}']\n[mine.knobs.n]\ndefault = 'x'", "needs minimum and maximum"),
        (
            "[mine]\nargv = ['mine', '{port}']\n[mine.knobs.n]\ndefault = 9\nminimum = 1\nmaximum = 8",
            "its default must be from 1 to 8",
        ),
        ("[mine]\nargv = ['mine', '{port}']\n[mine.knobs.n]\nminimum = 1\nmaximum = 8", "needs a default"),
        ("[mine", "is not TOML"),
    ],
)
def test_a_wrong_entry_is_refused_with_file_entry_and_reason(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadCatalogue) as caught:
        load_catalogue(path, MODELS)
    assert str(path) in caught.value.detail and message in caught.value.detail, caught.value.detail


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadCatalogue, match="cannot be read: No such file"):
        load_catalogue(tmp_path / "none.toml", MODELS)


def test_placeholders_are_simple_names_in_braces() -> None:
    assert placeholders("{host}:{port} {} {Not} {not-this} { x }") == {"host", "port"}
