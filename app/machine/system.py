"""This machine, as far as it matters to a result: kept with every run, shown on the page, warned about."""

from __future__ import annotations

import os
import platform
import resource
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.machine import scheduling
from app.machine.cpu_placement import NORMAL, REALTIME, place, usable_cpus
from app.schemas.model import ModelView
from app.schemas.system import SystemView
from app.settings import Settings


def read_system(proactor: ModelView | None, settings: Settings) -> SystemView:
    """Return what this machine is and allows. `proactor` tells whether io_uring works; None: no such model."""
    cpus = usable_cpus()
    split = place("split", cpus)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    view = SystemView(
        cores=len(cpus),
        cpu_model=_cpu_model(),
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        gil=bool(getattr(sys, "_is_gil_enabled", lambda: True)()),
        io_uring=bool(proactor and proactor.available),
        io_uring_reason=proactor.unavailable_reason if proactor else "there is no proactor among the models",
        descriptor_limit=limit,
        somaxconn=_number("/proc/sys/net/core/somaxconn"),
        port_range=_port_range(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        engine_cpus=split.engine_cpus or cpus,
        load_cpus=split.load_cpus or cpus,
        load_priority=REALTIME
        if settings.load_priority == "auto" and scheduling.allows_realtime()
        else NORMAL,
        warnings=(),
        version=version("threadlab"),
    )
    return _warned(view)


def environment(view: SystemView) -> dict[str, Any]:
    """What a run keeps of the machine."""
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
        "libraries": {name: _version(name) for name in ("httptools", "uring-api", "hdrhistogram", "uvicorn")},
        "load_average": os.getloadavg()[0],
    }


def _warned(view: SystemView) -> SystemView:
    from dataclasses import replace

    warnings = []
    if view.cores < 2:
        warnings.append(
            "One CPU: engine and generator share it, so no ceiling measured here is the server's alone."
        )
    elif view.cores < 4:
        warnings.append(
            f"{view.cores} CPUs: the generator has one, the engine {view.cores - 1}. The plaintext ceiling is the "
            "generator's as much as the engine's; compare models by CPU per request at an equal rate."
        )
    if 2 <= view.cores < 4 and view.load_priority == NORMAL:
        warnings.append(
            "The load generator has normal priority, so a browser can delay it, which makes percentiles of about a "
            "millisecond invalid. Allow it real-time priority: docs/deploy.md says how."
        )
    if view.descriptor_limit < 20_000:
        warnings.append(
            f"At most {view.descriptor_limit:,} descriptors: the idle crowd of ten thousand will not fit."
        )
    if not view.io_uring:
        warnings.append(f"No io_uring: {view.io_uring_reason}")
    if (view.somaxconn or 0) < 1024:
        warnings.append(
            f"net.core.somaxconn is {view.somaxconn}: bursts of connections overflow the accept queue."
        )
    return replace(view, warnings=tuple(warnings))


def _version(name: str) -> str | None:
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


def _number(path: str) -> int | None:
    with suppress(OSError, ValueError):
        return int(Path(path).read_text())
    return None


def _port_range() -> tuple[int, int] | None:
    with suppress(OSError, ValueError):
        low, high = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
        return int(low), int(high)
    return None
