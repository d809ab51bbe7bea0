"""Request mixes, stages, load groups and plans in their text format.

`92% plaintext, 4% http GET /items` · `10s to 2000, 20s to 5000` · `new: 8 connections, 200 req/s, churn`
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import gcd
from typing import Any

from app.errors import Invalid, shown
from app.load.protocol.http_request import HttpRequest
from app.load.protocol.plan import HTTP_KINDS, LoadGroup
from app.plans.fields import FIELDS, FieldKind, PlanField

_PARAMETER = {"cpu": "us", "hash": "us", "sleep": "ms", "bytes": "n", "echo": "n"}
# Possessive quantifiers (`*+`): otherwise two repeats could share a run of blanks, in quadratic time.
_WORK = re.compile(
    r"(?:(?P<weight>\d{1,18})\s*+%?\s*+)?(?P<kind>[a-z]++)(?:\s++(?P<value>\d{1,18})\s*+(?P<unit>us|ms|s|b)?)?",
    re.ASCII,
)
_HTTP = re.compile(
    r"(?:(?P<weight>\d{1,18})\s*+%?\s*+)?(?P<kind>http|app)\s++(?:(?P<method>[A-Z]{1,10})\s++)?(?P<path>/\S*+)",
    re.ASCII,
)
_LACKS = " (+"  # begins the list of what the text of an http request lacks: a path has no blanks
_SEPARATORS = "A comma in a path is written %2C, a semicolon %3B."
_NO_TEXT_FORM = (
    "Headers, body and expected status of an http request have no text form: give them by the API, or by "
    f"--header, --body and --expect-status of the command line. {_SEPARATORS}"
)
_WORK_EXAMPLE = "92% plaintext, 4% sleep 40ms, 4% hash 800us"
_US = {"us": 1, "ms": 1000, "s": 1_000_000}
_UNITS_TEXT = {
    "cpu": "us, ms or s",
    "hash": "us, ms or s",
    "sleep": "a whole number of ms, or s",
    "bytes": "bytes",
    "echo": "bytes",
}
WORK_UNITS = {"us": "us", "ms": "ms"}  # parameters that are written with a unit


def parse_work(text: str, pointer: str = "/plan/work") -> list[dict[str, Any]]:
    """Return the request mix of `92% plaintext, 4% sleep 40ms` as the JSON of a plan has it.

    The numbers before the kinds are weights, reduced by their greatest common divisor. A single kind needs
    none. Raises Invalid, at the JSON pointer `pointer`.
    """
    try:
        return _parse_work(text)
    except _WrongMix as error:
        raise Invalid.field(pointer, str(error)) from None


class _WrongMix(ValueError):
    """A request mix that cannot be parsed. The message is a sentence."""


def _parse_work(text: str) -> list[dict[str, Any]]:
    if _LACKS in text:
        raise _WrongMix(_NO_TEXT_FORM)
    found = [_matched(part, text) for part in map(str.strip, text.split(","))]
    if len(found) > 1 and (bare := [each[0] for each in found if not each["weight"]]):
        raise _WrongMix(f"{shown(bare[0])} has no share. {_example(text)}")
    weights = [int(each["weight"] or 1) for each in found]
    common = gcd(*weights) or 1  # `100% plaintext` is the plan with weight 1
    return [
        {"kind": each["kind"], "params": _params(each), "weight": weight // common}
        for each, weight in zip(found, weights, strict=True)
    ]


def _matched(part: str, text: str) -> re.Match[str]:
    """Return the parts of `4% sleep 40ms`: weight, kind, and those of the kind. Raises _WrongMix."""
    if found := _HTTP.fullmatch(part):
        return found
    found = _WORK.fullmatch(part)
    if not found or found["kind"] in HTTP_KINDS or (found["kind"] in _PARAMETER) != bool(found["value"]):
        raise _WrongMix(f"{shown(part)} is not a request kind. {_example(text)}")
    return found


def _example(text: str) -> str:
    """Return an example of a request mix, and for one with a path how to write it."""
    http = f" An http request is http GET /path. {_SEPARATORS}" if "/" in text else ""
    return f"Example: {_WORK_EXAMPLE}.{http}"


def _params(found: re.Match[str]) -> dict[str, Any]:
    kind = found["kind"]
    if kind in HTTP_KINDS:
        return {"method": found["method"] or "GET", "path": found["path"]}
    if not found["value"]:
        return {}
    value = _converted(kind, int(found["value"]), found["unit"])
    if value is None:
        raise _WrongMix(f"{shown(found[0])}: {kind} takes {_UNITS_TEXT[kind]}.")
    return {_PARAMETER[kind]: value}


def _converted(kind: str, value: int, unit: str | None) -> int | None:
    """Return the value in the unit of the kind (us, ms, bytes); None: not a whole number, or a wrong unit."""
    wanted = _PARAMETER[kind]
    if unit is None or unit == wanted:
        return value
    if wanted == "n":
        return value if unit == "b" else None
    whole, remainder = divmod(value * _US.get(unit, 0), _US[wanted])
    return whole if whole and not remainder else None


_STAGE = re.compile(
    r"(?P<length>\d+(?:\.\d+)?)\s*+(?P<unit>ms|s|min|m)?\s*+(?:to|:)\s*+(?P<target>\d[\d,]*(?:\.\d+)?)",
    re.ASCII,
)
_BLANKS = re.compile(r"\s+", re.ASCII)
# Does not split at the comma of 2,000. Each run of blanks is one character here: `\s*` would take cubic time.
_NEXT_STAGE = re.compile(r"\s?[,;\n]\s?(?=[\d.]++\s?(?:ms|s|min|m)?\s?(?:to|:))", re.ASCII)
_LENGTHS_S = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0}


def _one_blank(run: re.Match[str]) -> str:
    return "\n" if "\n" in run[0] else " "


def parse_stages(text: str) -> list[dict[str, float]]:
    """Return the stages of `10s to 2000, 20s to 5000` as the JSON of a plan has them. Raises Invalid."""
    stages = []
    for part in map(str.strip, _NEXT_STAGE.split(_BLANKS.sub(_one_blank, text.strip().strip(",;")))):
        found = _STAGE.fullmatch(part)
        if not found:
            detail = f"{shown(part)} is not a stage. Example: 10s to 2000, 20s to 5000, or 10s:2000."
            raise Invalid.field("/plan/stages", detail)
        duration_s = round(float(found["length"]) * _LENGTHS_S[found["unit"]], 6)
        stages.append({"duration_s": duration_s, "target": float(found["target"].replace(",", ""))})
    return stages


_GROUP_EXAMPLE = "new: 8 connections, 200 req/s, churn, 100% plaintext"
_GROUP_PART = re.compile(
    r"(?P<think>think )?(?P<value>\d{1,9}(?:\.\d{1,6})?) ?(?P<unit>connections?|req/s|ms)", re.ASCII
)
# The field of a load group by unit, with or without `think` before the number.
_GROUP_FIELDS = {
    "connection": "vus",
    "connections": "vus",
    "req/s": "rate_per_s",
    "think ms": "think_time_ms",
}


def parse_groups(text: str) -> list[dict[str, Any]]:
    """Return the load groups of `new: 8 connections, 200 req/s, churn` as the JSON of a plan has them.

    Groups are separated by semicolons or line breaks. Raises Invalid.
    """
    if _LACKS in text:
        raise _not_group(_NO_TEXT_FORM)
    parts = map(str.strip, text.replace("\n", ";").split(";"))
    return [_parse_group(part) for part in parts if part]


def _parse_group(text: str) -> dict[str, Any]:
    name, colon, load = text.partition(":")
    if not colon or "," in name:
        raise _not_group(f"{shown(text)} is not a load group. Example: {_GROUP_EXAMPLE}.")
    group: dict[str, Any] = {"name": name.strip()}
    mix = []
    for part in filter(None, (" ".join(each.split()) for each in load.split(","))):
        field = _group_field(part)
        if field is None:
            mix.append(part)
        elif field[0] in group:
            raise _not_group(f"{shown(text)}: there is more than one value like {shown(part)}.")
        else:
            group.update([field])
    return {**group, "work": parse_work(", ".join(mix), "/plan/groups")} if mix else group


def _group_field(text: str) -> tuple[str, Any] | None:
    """Return the field of a load group that `text` gives, with its value; None: a part of the mix."""
    if text == "churn":
        return "churn", True
    found = _GROUP_PART.fullmatch(text)
    name = _GROUP_FIELDS.get(f"{found['think'] or ''}{found['unit']}") if found else None
    if not found or not name:
        return None
    return name, float(found["value"]) if "." in found["value"] else int(found["value"])


def _not_group(detail: str) -> Invalid:
    return Invalid.field("/plan/groups", detail)


def groups_text(groups: Sequence[Mapping[str, Any]]) -> str:
    """Return load groups in their text format: new: 8 connections, 200 req/s, churn, 100% plaintext."""
    return "; ".join(f"{each['name']}: {group_load_text(each)}" for each in groups)


def group_load_text(group: Mapping[str, Any]) -> str:
    """Return the load of a group without its name: 8 connections, 200 req/s, churn, 100% plaintext."""
    given = {**asdict(LoadGroup("")), **group}
    parts = [
        f"{given['vus']} connection{'s' if given['vus'] != 1 else ''}",
        f"{given['rate_per_s']:.10g} req/s" if given["rate_per_s"] else "",
        "churn" if given["churn"] else "",
        f"think {given['think_time_ms']:.10g} ms" if given["think_time_ms"] else "",
        work_text(given["work"]),
    ]
    return ", ".join(filter(None, parts))


def work_text(work: Sequence[Mapping[str, Any]]) -> str:
    """Return a request mix in its text format: 92% plaintext, 4% sleep 40ms, 4% hash 800us."""
    weights = [each.get("weight", 1) for each in work]
    scale = 100 / (sum(weights) or 1)
    if any(weight * scale % 1 for weight in weights):
        scale = 1  # not whole percents: the weights themselves are exact
    return ", ".join(_kind_text(each, scale) for each in work)


def _kind_text(each: Mapping[str, Any], scale: float) -> str:
    share = f"{each.get('weight', 1) * scale:g}%"
    if each["kind"] in HTTP_KINDS:
        return f"{share} {each['kind']} {_http_text(HttpRequest(**each['params']))}"
    params = (f" {value}{WORK_UNITS.get(name, '')}" for name, value in (each.get("params") or {}).items())
    return f"{share} {each['kind']}{''.join(params)}"


def _http_text(request: HttpRequest) -> str:
    """Return `GET /items`, with what it lacks: `POST /items (+2 headers, body)`."""
    count = len(request.headers)
    lacks = [
        f"{count} header{'s' if count > 1 else ''}" if count else "",
        "body" if request.body else "",
        f"status {request.status}" if request.status != 200 else "",
        "separator in path" if set(request.path) & set(",;") else "",
    ]
    text = f"{request.method} {request.path}"
    return f"{text}{_LACKS}{', '.join(filter(None, lacks))})" if any(lacks) else text


def stages_text(stages: Sequence[Mapping[str, Any]]) -> str:
    """Return stages in their text format: 10s to 2000, 20s to 5000."""
    return ", ".join(f"{each['duration_s']:.10g}s to {each['target']:.10g}" for each in stages)


def plan_fields(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return a plan as values of the load form's fields, without those that the plan does not give."""
    return {each.name: text for each in FIELDS if (text := _field_text(each, plan.get(each.name)))}


def _field_text(each: PlanField, value: Any) -> str:
    match each.kind:
        case FieldKind.FLAG:
            return "on" if value else ""
        case FieldKind.WORK:
            return work_text(value or ())
        case FieldKind.STAGES:
            return stages_text(value or ())
        case FieldKind.GROUPS:
            return groups_text(value or ())
    return "" if value is None else _number_text(value)


def _number_text(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)
