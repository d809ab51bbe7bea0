"""Work mixes, stages and plans as people type them: `92% plaintext, 4% sleep 40ms`, `10s to 2000`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import gcd
from typing import Any

from app.errors import Invalid, shown
from app.plans.fields import FIELDS, FieldKind, PlanField

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
WORK_UNITS = {"us": "us", "ms": "ms"}  # the other parameters of work have none


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


def work_text(work: Sequence[Mapping[str, Any]]) -> str:
    """A work mix as it is typed: 92% plaintext, 4% sleep 40ms, 4% hash 800us."""
    weights = [each.get("weight", 1) for each in work]
    scale = 100 / (sum(weights) or 1)
    if any(weight * scale % 1 for weight in weights):
        scale = 1  # not whole percents: the weights as they are say the same
    return ", ".join(_one_work(each, scale) for each in work)


def _one_work(each: Mapping[str, Any], scale: float) -> str:
    params = (f" {value}{WORK_UNITS.get(name, '')}" for name, value in (each.get("params") or {}).items())
    return f"{each.get('weight', 1) * scale:g}% {each['kind']}{''.join(params)}"


def stages_text(stages: Sequence[Mapping[str, Any]]) -> str:
    """Stages as they are typed: 10s to 2000, 20s to 5000."""
    return ", ".join(f"{each['duration_s']:.10g}s to {each['target']:.10g}" for each in stages)


def plan_fields(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return a plan as the values of the load form's fields; what the plan does not give is left out."""
    return {each.name: text for each in FIELDS if (text := _field_text(each, plan.get(each.name)))}


def _field_text(each: PlanField, value: Any) -> str:
    match each.kind:
        case FieldKind.FLAG:
            return "on" if value else ""
        case FieldKind.WORK:
            return work_text(value or ())
        case FieldKind.STAGES:
            return stages_text(value or ())
    return "" if value is None else _typed(value)


def _typed(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)
