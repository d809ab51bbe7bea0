"""How the models are described, and how wrong arguments are reported."""

from __future__ import annotations

import inspect
import json
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from engines.catalogue import describe, model_modules
from engines.common.contract import BadKnob, Knob, ModelModule, all_knobs, parse_knobs

from .driver import PATIENCE_S, ROOT

MODEL_MODULES = list(model_modules().values())
KNOBS = [
    pytest.param(module, knob, id=f"{module.MODEL.name} {knob.name}")
    for module in MODEL_MODULES
    for knob in all_knobs(module.MODEL)
]
each_module = pytest.mark.parametrize("module", MODEL_MODULES, ids=lambda module: module.MODEL.name)
each_knob = pytest.mark.parametrize(("module", "knob"), KNOBS)


def engines(*arguments: str, pass_fds: Sequence[int] = ()) -> subprocess.CompletedProcess[str]:
    """Run `python -m engines …` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "engines", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        pass_fds=pass_fds,
    )


# Every model is documented


def test_the_models_are_listed_in_their_order() -> None:
    assert list(model_modules())[:6] == [
        "blocking",
        "reactor",
        "reactor-pool",
        "main-sub",
        "proactor",
        "prefork",
    ]
    orders = [module.MODEL.order for module in MODEL_MODULES]
    assert orders == sorted(set(orders))


@each_module
def test_a_module_docstring_has_title_diagram_and_what_to_watch(module: ModelModule) -> None:
    doc = inspect.getdoc(module)
    assert doc
    title, empty, *rest = doc.splitlines()
    assert re.fullmatch(r"[A-Z].*\.", title)
    assert empty == ""
    picture = [line for line in rest if line.startswith("    ")]
    assert any("──" in line for line in picture), "a picture of who does what"
    assert "Watch" in doc, "what to watch in the lab"


@each_module
def test_a_model_has_summary_lists_and_described_roles(module: ModelModule) -> None:
    model, told = module.MODEL, describe(module)
    lists = [told[name] for name in ("pros", "cons", "used_by", "aliases")]
    for text in (model.title, model.summary, *(text for each in lists for text in each)):
        assert text.strip() == text
        assert text
    assert model.summary.endswith(".")
    assert min(map(len, lists)) >= 1
    for role in told["roles"]:
        assert role["title"]
        assert role["does"]
        assert role["restaurant"]
    assert len({role.name for role in model.roles}) == len(model.roles)


@each_knob
def test_a_knob_has_help_and_bounds(module: ModelModule, knob: Knob) -> None:
    assert knob.help.endswith(".")
    assert knob.parse(knob.default) == knob.default
    if knob.choices:
        assert knob.default in knob.choices
    else:
        assert knob.minimum is not None
        assert knob.maximum is not None
        assert isinstance(knob.default, int)
        assert knob.minimum <= knob.default <= knob.maximum
        assert knob.parse(str(knob.minimum)) == knob.minimum
        assert knob.parse(knob.maximum) == knob.maximum


@each_knob
def test_a_bad_value_is_rejected_with_the_name_of_the_knob(module: ModelModule, knob: Knob) -> None:
    bad: list[Any] = ["", "x", "1.5", None, True, 1.0, [], {}]
    bad += (
        ["Worker", 0]
        if knob.choices
        else [(knob.minimum or 0) - 1, (knob.maximum or 0) + 1, str((knob.maximum or 0) + 1)]
    )
    for value in bad:
        with pytest.raises(BadKnob, match=f"^{knob.name}: must be"):
            parse_knobs(module.MODEL, {knob.name: value})


@each_module
def test_every_knob_gets_a_value_and_every_role_a_row(module: ModelModule) -> None:
    model = module.MODEL
    knobs = parse_knobs(model, {})
    assert set(knobs) == {knob.name for knob in all_knobs(model)}
    assert model.board_rows(knobs) >= len([role for role in model.roles if not role.threads]) >= 0
    with pytest.raises(BadKnob, match=r"^wheels: is not a knob of"):
        parse_knobs(model, {"wheels": 4})


# From the command line


def test_describe_prints_everything_that_the_lab_shows() -> None:
    done = engines("--describe")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert [model["name"] for model in said] == list(model_modules())
    for model, module in zip(said, MODEL_MODULES, strict=True):
        assert model == json.loads(json.dumps(describe(module)))
        assert model["source"] == (ROOT / model["file"]).read_text(encoding="utf-8")
        assert model["doc"] == inspect.getdoc(module)
        assert model["available"] == (model["unavailable_reason"] is None)
        assert {knob["name"] for knob in model["knobs"] if knob["common"]} >= {
            "idle_s",
            "grace_s",
            "max_connections",
        }


def test_calibrate_prints_json() -> None:
    said = json.loads(engines("--calibrate").stdout)
    assert set(said) == {"cpu_per_us", "hash_per_us"}
    assert all(value > 0 for value in said.values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ["model", "blocking", "proactor"]),
        (("leader-followers",), ["leader-followers", "reactor"]),
        (("reactor", "--set", "wheels=4"), ["wheels", "is not a knob of reactor"]),
        (("reactor", "--set", "idle_s"), ["idle_s", "KNOB=VALUE"]),
        (("reactor", "--set", "idle_s=0"), ["idle_s", "from 1 to 86,400"]),
        (("reactor-pool", "--set", "workers=many"), ["workers", "whole number", "many"]),
        (("reactor-pool", "--set", "reply=mail"), ["reply", "worker", "reactor", "mail"]),
        (("reactor", "--set", "workers=4"), ["workers", "is not a knob of reactor"]),
        (("reactor", "--port", "http"), ["--port", "http"]),
        (("reactor", "--port", "70000"), ["port", "70000"]),
        (("reactor", "--port", "-1"), ["port", "-1"]),
        (("reactor", "--nonsense"), ["--nonsense"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_argument_is_reported_in_one_sentence(arguments: tuple[str, ...], words: list[str]) -> None:
    done = engines(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert [word for word in words if word not in last] == []


def test_the_help_of_the_module_has_its_own_name_and_the_knobs_of_all_models() -> None:
    text = engines("--help").stdout
    assert (
        text.startswith("usage: python -m engines [-h]") and "--describe" in text and "--command" not in text
    )
    assert all(name in text for name in ("max_threads=", "reactors=", "processes="))


def test_the_bounds_of_a_knob_are_text() -> None:
    assert Knob("a", 1, "", 1, 65535, "s").bounds == "1 to 65,535 s"
    assert Knob("a", 1, "", 1).bounds == "1 to …"
    assert Knob("a", "x", "", choices=("x", "y")).bounds == "x, y"


@each_module
def test_a_port_in_use_is_reported_in_one_sentence(module: ModelModule) -> None:
    if reason := module.MODEL.why_unavailable():
        pytest.skip(reason)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = engines(module.MODEL.name, "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(f"cannot listen on 127.0.0.1:{port}: Address already in use")


def test_an_address_of_another_machine_is_reported_in_one_sentence() -> None:
    done = engines("reactor", "--host", "192.0.2.1")
    assert (done.returncode, done.stdout) == (1, "")
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("cannot listen on 192.0.2.1:0: Cannot assign requested address")
