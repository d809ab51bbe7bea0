"""Hosts of a Dask cluster. The only package that imports Dask, which the extra `cluster` installs.

lab (dask_hosts)  ──▶  scheduler  ──▶  worker on each host (agent)  ──▶  load-generator processes
"""

from __future__ import annotations

LOST_AFTER_S = 5.0  # a host that has been silent for so long is lost
WHOLE_HOST = "host"  # the resource of Dask that a load takes, and a round: never both at the same time
INSTALL = "pip install 'threadlab[cluster]'"
