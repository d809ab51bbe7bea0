"""What routes depend on: the lab, and numbers in their paths (`{id:number}`)."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import HTTPConnection

from app.lab.lab import Lab


def _lab(connection: HTTPConnection) -> Lab:
    return cast(Lab, connection.app.state.lab)


LabDep = Annotated[Lab, Depends(_lab)]


class Number(IntegerConvertor):
    """As Starlette's `int`, but never of more digits than Python reads, over which that one falls."""

    regex = "[0-9]{1,19}"


register_url_convertor("number", Number())
