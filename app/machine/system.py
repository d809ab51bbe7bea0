"""Properties of this machine that affect results: stored with every run, shown on the page, with warnings."""

from __future__ import annotations

import os
import platform
import resource
import sys
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.machine import scheduling
from app.machine.cpu_placement import NORMAL, REALTIME, place, usable_cpus
from app.schemas.model import ModelView
from app.schemas.system import SystemView
from app.settings import Settings

LIBRARIES = ("httptools", "uring-api", "hdrhistogram", "uvicorn")


def read_system(proactor: ModelView | None, settings: Settings) -> SystemView:
    """Return the properties and limits of this machine, with warnings.

    proactor: the proactor model, whose availability shows whether io_uring works; None if there is no such
    model.
    """
    cpus = usable_cpus()
    split = place("split", cpus)
    is_realtime = settings.load_priority == "auto" and scheduling.allows_realtime()
    view = SystemView(
        cores=len(cpus),
        cpu_model=_cpu_model(),
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        gil=bool(getattr(sys, "_is_gil_enabled", lambda: True)()),
        io_uring=bool(proactor and proactor.available),
        io_uring_reason=proactor.unavailable_reason if proactor else "the proactor model is not installed",
        descriptor_limit=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        somaxconn=_read_int("/proc/sys/net/core/somaxconn"),
        port_range=_port_range(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        engine_cpus=split.engine_cpus or cpus,
        load_cpus=split.load_cpus or cpus,
        load_priority=REALTIME if is_realtime else NORMAL,
        warnings=(),
        version=version("threadlab"),
    )
    return replace(view, warnings=tuple(_warnings(view)))


def environment(view: SystemView) -> dict[str, Any]:
    """Return the properties of the machine that a run stores, with the current load average."""
    return {
        "kernel": view.kernel,
        "cpu_model": view.cpu_model,
        "cores": view.cores,
        "python": view.python,
        "gil": view.gil,
        "memory_bytes": view.memory_bytes,
        "somaxconn": view.somaxconn,
        "port_range": view.port_range,
        "descriptor_limit": view.descriptor_limit,
        "threadlab": view.version,
        "libraries": {name: _library_version(name) for name in LIBRARIES},
        "load_average": os.getloadavg()[0],
    }


def _warnings(view: SystemView) -> list[str]:
    warnings = []
    if view.cores < 2:
        warnings.append(
            "One CPU: the engine and the load generator share it, so the generator limits the throughput."
        )
    elif view.cores < 4:
        warnings.append(
            f"{view.cores} CPUs: {view.cores - 1} for the server, 1 for the load generator, which may limit "
            "the maximum throughput. Compare models by CPU per request at a fixed rate."
        )
    if 2 <= view.cores < 4 and view.load_priority == NORMAL:
        warnings.append(
            "The load generator has normal priority, so a browser can delay it, which makes percentiles of "
            "about 1 ms invalid. Allow it real-time priority: see docs/deploy.md."
        )
    if view.descriptor_limit < 20_000:
        warnings.append(
            f"The file-descriptor limit is {view.descriptor_limit:,}: too low for 10,000 idle connections."
        )
    if not view.io_uring:
        warnings.append(f"No io_uring: {view.io_uring_reason}")
    if (view.somaxconn or 0) < 1024:
        warnings.append(
            f"net.core.somaxconn is {view.somaxconn}: bursts of connections overflow the accept queue."
        )
    return warnings


@cache  # 3 ms: the metadata of a package is parsed as an e-mail
def _library_version(name: str) -> str | None:
    with suppress(Exception):
        return version(name)
    return None


def _cpu_model() -> str:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))
        )
    return platform.machine()


def _read_int(path: str) -> int | None:
    with suppress(OSError, ValueError):
        return int(Path(path).read_text())
    return None


def _port_range() -> tuple[int, int] | None:
    with suppress(OSError, ValueError):
        low, high = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
        return int(low), int(high)
    return None
