"""Dependencies of routes: the lab, a check of query parameters, and the path convertor `number`."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Cookie, Header, Path
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import HTTPConnection, Request

from app.errors import FieldProblem, Invalid
from app.lab import Lab

API = "/api/v1"
NOT_IN_QUERY = (Path, Header, Cookie)  # a field of a query model has no class of FastAPI
NAMES_MAX, NAME_MAX = 10, 100  # unknown parameters that an error names, and characters of each


def _lab(connection: HTTPConnection) -> Lab:
    lab = cast(Lab, connection.app.state.lab)
    connection.state.event = lab.events.last_id  # a page shows at least all events up to this one
    return lab


async def reject_unknown_parameters(request: Request) -> None:
    """Raise Invalid for query parameters that a call does not have.

    With a misspelled parameter that is ignored, a call would return something else than requested.
    """
    fields = get_flat_params(request.scope["route"].dependant)
    known = {field.alias for field in fields if not isinstance(field.field_info, NOT_IN_QUERY)}
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if unknown:
        available = f"available: {', '.join(sorted(known))}" if known else "this call has none"
        names = [name[:NAME_MAX] for name in unknown[:NAMES_MAX]]
        problems = tuple(
            FieldProblem(f"/{name}", f"{name} is not a parameter; {available}.") for name in names
        )
        raise Invalid(" ".join(problem.detail for problem in problems), problems)


LabDep = Annotated[Lab, Depends(_lab)]


class IdConvertor(IntegerConvertor):
    """Starlette's `int`, limited to 19 digits: Python refuses to convert very long numbers."""

    regex = "[0-9]{1,19}"


register_url_convertor("number", IdConvertor())
