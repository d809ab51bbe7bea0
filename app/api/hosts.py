"""The hosts that share the work of the lab."""

from __future__ import annotations

from app.api.router import api_router
from app.schemas.host import HostView
from app.web.deps import LabDep

router = api_router("hosts")


@router.get("/hosts")
async def hosts(lab: LabDep) -> list[HostView]:
    """This machine first, and the hosts of the cluster: state, roles, clock, round trip, current work."""
    return list(lab.hosts.discover())
