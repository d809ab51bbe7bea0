"""What forms share: the cards of models, what a run may be against, and how a person writes work and stages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import gcd
from typing import Any

from app.errors import Invalid, shown
from app.lab import Lab
from app.runs.queue import BESIDE_MAX, ID_MAX
from app.schemas.engine import EngineView
from app.schemas.model import ModelView

_PARAMETER = {"cpu": "us", "hash": "us", "sleep": "ms", "bytes": "n", "echo": "n"}
# Possessive (`*+`) where two repeats could share a run of blanks: they would try every way to divide it.
_WORK = re.compile(
    r"(?P<weight>\d{1,18})\s*+%?\s*+(?P<kind>[a-z]++)(?:\s++(?P<value>\d{1,18})\s*+(?P<unit>us|ms|s|b)?)?",
    re.ASCII,
)
_US = {"us": 1, "ms": 1000, "s": 1_000_000}
_TAKES = {
    "cpu": "us, ms or s",
    "hash": "us, ms or s",
    "sleep": "whole ms, or s",
    "bytes": "bytes",
    "echo": "bytes",
}
BESIDE = "engines:"  # a target that is several engines, loaded at once
FRESH = "model:"  # a target that is a model: an engine is started for the run


@dataclass(frozen=True, slots=True)
class Card:
    """What a model's card shows."""

    model: ModelView
    engine: EngineView | None
    others: tuple[EngineView, ...]
    state: str
    knobs: Mapping[str, Any]
    problems: Mapping[str, str] = field(default_factory=dict)
    watched: bool = False


def card(
    lab: Lab,
    model: str,
    watched: str | None,
    typed: Mapping[str, str] | None = None,
    error: Invalid | None = None,
) -> Card:
    """The card of a model as it is now; `typed` knobs and their problems if a start was refused."""
    view = lab.models.get(model)
    engines = [engine.view() for engine in lab.fleet.engines.values() if engine.model.name == model]
    alive = [engine for engine in engines if engine.exit is None]
    newest = (
        alive[-1] if alive else next((e for e in reversed(engines) if e.state in ("failed", "exited")), None)
    )
    if engines and not alive and engines[-1].state == "stopped":
        newest = None
    state = newest.state if newest else "stopped" if view.available else "unavailable"
    knobs: Mapping[str, Any] = typed or (
        newest.knobs if newest else {knob.name: knob.default for knob in view.knobs}
    )
    problems = {p.pointer.rpartition("/")[2]: p.detail for p in error.problems} if error else {}
    if error and not problems:
        problems = {"": error.detail}
    return Card(
        view,
        newest,
        tuple(alive[:-1]),
        state,
        knobs,
        problems,
        bool(newest and alive and newest.id == watched),
    )


def typed_knobs(form: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix("knob_"): value.strip() for name, value in form.items() if name.startswith("knob_")
    }


def number_of(text: str) -> int | None:
    """The number of a run as it is written; None where it can be none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(ID_MAX)) else None


def targets(lab: Lab) -> list[tuple[str, str]]:
    """Engines that are ready, newest first, all of them at once, then a fresh one of each model."""
    ready = [e.view() for e in reversed(lab.fleet.engines.values()) if e.state in ("ready", "degraded")]
    ids = [e.id for e in reversed(ready)][:BESIDE_MAX]
    at_once = [(BESIDE + ",".join(ids), f"{len(ids)} engines at once, not ranked")] if len(ids) > 1 else []
    fresh = [(FRESH + m.name, f"a fresh {m.title}") for m in lab.models.views.values() if m.available]
    return [(e.id, f"{e.id}, running on :{e.port}") for e in ready] + at_once + fresh


def parse_work(text: str) -> list[dict[str, Any]]:
    """`92% plaintext, 4% sleep 40ms` as the plan has it; the numbers before the kinds are weights."""
    mix: list[dict[str, Any]] = []
    weights: list[int] = []
    for part in text.split(","):
        found = _WORK.fullmatch(part.strip())
        if not found or (found["kind"] in _PARAMETER) != bool(found["value"]):
            detail = f"{shown(part.strip())} is not work; write it like 92% plaintext, 4% sleep 40ms, 4% hash 800us."
            raise Invalid.field("/plan/work", detail)
        params = {}
        if found["value"]:
            value = _scaled(found["kind"], int(found["value"]), found["unit"])
            if value is None:
                raise Invalid.field(
                    "/plan/work", f"{shown(part.strip())}: {found['kind']} takes {_TAKES[found['kind']]}."
                )
            params = {_PARAMETER[found["kind"]]: value}
        weights.append(int(found["weight"]))
        mix.append({"kind": found["kind"], "params": params})
    common = gcd(*weights) or 1  # 100% of one kind is the plan's 1, and not another plan
    return [{**each, "weight": weight // common} for each, weight in zip(mix, weights, strict=True)]


def _scaled(kind: str, value: int, unit: str | None) -> int | None:
    """In the unit that the kind takes (us, ms, or bytes); None where that is no whole number, or another quantity."""
    wanted = _PARAMETER[kind]
    if unit is None or unit == wanted:
        return value
    if wanted == "n":
        return value if unit == "b" else None
    whole, rest = divmod(value * _US.get(unit, 0), _US[wanted])
    return whole if whole and not rest else None


_STAGE = re.compile(
    r"(?P<length>\d+(?:\.\d+)?)\s*+(?P<unit>ms|s|min|m)?\s*+(?:to|:)\s*+(?P<target>\d[\d,]*(?:\.\d+)?)",
    re.ASCII,
)
_BLANKS = re.compile(r"\s+", re.ASCII)
# Not the comma of 2,000. Runs of blanks are one character by then: with `\s*` this would be cubic in a run of lines.
_NEXT_STAGE = re.compile(r"\s?[,;\n]\s?(?=[\d.]++\s?(?:ms|s|min|m)?\s?(?:to|:))", re.ASCII)
_LENGTHS_S = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0}


def _one_blank(run: re.Match[str]) -> str:
    return "\n" if "\n" in run[0] else " "


def parse_stages(text: str) -> list[dict[str, float]]:
    """`10s to 2000, 20s to 5000` as the plan has it: each in a straight line to its target."""
    stages = []
    for part in _NEXT_STAGE.split(_BLANKS.sub(_one_blank, text.strip().strip(",;"))):
        found = _STAGE.fullmatch(part.strip())
        if not found:
            detail = f"{shown(part.strip())} is not a stage; write stages like 10s to 2000, 20s to 5000, or 10s:2000."
            raise Invalid.field("/plan/stages", detail)
        target = float(found["target"].replace(",", ""))
        stages.append(
            {"duration_s": round(float(found["length"]) * _LENGTHS_S[found["unit"]], 6), "target": target}
        )
    return stages
