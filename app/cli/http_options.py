"""The options of one http request, which is the whole request mix: --path, --method, --header and so on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import Invalid


@dataclass(frozen=True, slots=True)
class HttpOption:
    """One option. `name`: of the parameter of the command. `field`: of the request."""

    name: str
    field: str
    flag: str
    metavar: str
    help: str
    type: Any = str


OPTIONS = (
    HttpOption(
        "path", "path", "--path", "PATH", "Send http requests for this path instead of a request mix."
    ),
    HttpOption("method", "method", "--method", "M", "Method of the request for --path; GET by default."),
    HttpOption(
        "header",
        "headers",
        "--header",
        "'NAME: VALUE'",
        "Header of the request for --path. Repeatable. Other users of this machine can see it in the list of "
        "processes.",
        list[str],
    ),
    HttpOption("body", "body", "--body", "TEXT", "Body of the request for --path."),
    HttpOption(
        "expect_status",
        "status",
        "--expect-status",
        "N",
        "Status that the response to --path must have, 200 by default; redirects are not followed.",
        int,
    ),
)


def flags(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the flags by the JSON pointer of their fields (without `/plan/`), if --path is given."""
    return {f"work/0/params/{each.field}": each.flag for each in OPTIONS} if given["path"] is not None else {}


def with_request(plan: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a plan with the request that `given` (option → value or None) describes, if any.

    Raises Invalid for options that contradict each other, or for a header that cannot be parsed.
    """
    used = {each.field: given[each.name] for each in OPTIONS if given[each.name] not in (None, [], ())}
    if not used:
        return dict(plan)
    if "path" not in used:
        flag = next(each.flag for each in OPTIONS if each.field in used)
        raise Invalid(f"{flag} needs --path, the path of the request.")
    if "work" in plan:
        raise Invalid("--path is the whole request mix, so it cannot be combined with --work.")
    if "headers" in used:
        used["headers"] = _headers(used["headers"])
    return {**plan, "work": [{"kind": "http", "weight": 1, "params": used}]}


def _headers(texts: Sequence[str]) -> dict[str, str]:
    """Return the value of each header by its name. No error repeats the text: it may be a secret."""
    found: dict[str, str] = {}
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon:
            raise Invalid("--header takes 'Name: value'.")
        if name in found:
            raise Invalid("--header: a header is given twice.")
        found[name] = value.strip(" \t")
    return found
