"""What routes depend on: the lab."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from app.lab.lab import Lab


def _lab(connection: HTTPConnection) -> Lab:
    return cast(Lab, connection.app.state.lab)


LabDep = Annotated[Lab, Depends(_lab)]
