"""What routes depend on: the lab, and numbers in their paths (`{id:number}`)."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import HTTPConnection, Request

from app.errors import FieldProblem, Invalid
from app.lab import Lab

API = "/api/v1"
NAMES_MAX, NAME_MAX = 10, 100  # unknown parameters that are told back, and characters of each


def _lab(connection: HTTPConnection) -> Lab:
    lab = cast(Lab, connection.app.state.lab)
    connection.state.event = lab.events.last_id  # whatever a page shows is at least as new as this
    return lab


async def known_query(request: Request) -> None:
    """Refuse query parameters that the call does not have, as unknown fields of a body are refused: a typing error
    would otherwise answer another question than the one that was asked."""
    path = str(request.scope["route"].path_format)
    path = (
        path if path.startswith(API) else API + path
    )  # from FastAPI 0.16x on, a route does not know its prefix
    call = request.app.openapi()["paths"][path][request.method.lower()]
    known = {each["name"] for each in call.get("parameters", ()) if each["in"] == "query"}
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if unknown:
        there_are = f"there are {', '.join(sorted(known))}" if known else "there are none"
        names = [name[:NAME_MAX] for name in unknown[:NAMES_MAX]]
        problems = tuple(
            FieldProblem(f"/{name}", f"{name} is no parameter here; {there_are}.") for name in names
        )
        raise Invalid(" ".join(problem.detail for problem in problems), problems)


LabDep = Annotated[Lab, Depends(_lab)]


class Number(IntegerConvertor):
    """As Starlette's `int`, but never of more digits than Python reads, over which that one falls."""

    regex = "[0-9]{1,19}"


register_url_convertor("number", Number())
