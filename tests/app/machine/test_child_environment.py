"""An interpreter in which the lab is not installed finds the engines of a checkout."""

from __future__ import annotations

from app.machine.child_environment import engine_environment
from app.paths import CHECKOUT
from tests.test_imports import ROOT


def test_a_checkout_is_the_first_directory_of_the_path() -> None:
    assert CHECKOUT == ROOT
    assert engine_environment({"SECRET": "1"}) == {"PYTHONPATH": f"{ROOT}"}
    assert engine_environment({"PYTHONPATH": "/own"}) == {"PYTHONPATH": f"{ROOT}:/own"}
