"""What a member of a cluster is: its version, which all must share, and its machine, which may differ."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from app.machine.identity import machine_id
from app.schemas.host import HostRole
from app.schemas.system import SystemView

METADATA_KEY = "threadlab"  # of the scheduler's facts
DESCRIPTORS_MIN = 1024
ROUNDS_CPUS_MIN = 2  # an engine and a load generator beside each other


@dataclass(frozen=True, slots=True)
class Software:
    """What has to be the same on all hosts, because they exchange plans, jobs and results.

    `sources`: a hash of the sources of threadlab. `python`: major and minor version.
    """

    threadlab: str
    sources: str
    python: str
    distributed: str

    @classmethod
    def here(cls) -> Software:
        """Return the software of this process."""
        python = ".".join(platform.python_version_tuple()[:2])
        return cls(version("threadlab"), _sources(), python, version("distributed"))

    def to_json(self) -> dict[str, str]:
        """Return plain data for the scheduler."""
        return asdict(self)

    def difference(self, other: Mapping[str, Any]) -> str | None:
        """Return how another member differs, such as "Python 3.13 instead of 3.11"; None: it does not."""
        names = {"threadlab": "threadlab", "python": "Python", "distributed": "distributed"}
        for field, title in names.items():
            theirs = other.get(field, "an unknown version")
            if theirs != getattr(self, field):
                return f"{title} {theirs} instead of {getattr(self, field)}"
        if other.get("sources") != self.sources:
            return f"other sources of threadlab {self.threadlab}"
        return None


@cache
def _sources() -> str:
    digest = hashlib.sha256()
    for package in ("app", "engines"):
        spec = find_spec(package)
        assert spec and spec.origin
        folder = Path(spec.origin).parent
        for file in sorted(folder.rglob("*.py")):
            digest.update(str(file.relative_to(folder)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a worker tells of its host when it joins. See `HostView`."""

    software: dict[str, str]
    roles: tuple[str, ...]
    cores: int
    cpu_model: str
    memory_bytes: int | None
    descriptor_limit: int
    python: str
    kernel: str
    engines: tuple[str, ...] = ()
    machine: str = ""

    @classmethod
    def here(
        cls, roles: tuple[HostRole, ...], system: SystemView, engines: tuple[str, ...] = ()
    ) -> HostFacts:
        """Return the facts of this machine. `engines`: what can be started here."""
        return cls(
            Software.here().to_json(),
            tuple(roles),
            system.cores,
            system.cpu_model,
            system.memory_bytes,
            system.descriptor_limit,
            system.python,
            system.kernel,
            engines,
            machine_id(),
        )

    @classmethod
    def from_json(cls, data: Any) -> HostFacts | None:
        """Return the facts that a worker has sent; None: it is none of the lab, or of another version."""
        try:
            known = {field.name: data[field.name] for field in fields(cls)}
            roles, engines = tuple(map(HostRole, known["roles"])), tuple(map(str, known["engines"]))
            software = {str(name): str(text) for name, text in known["software"].items()}
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        return cls(**{**known, "software": software, "roles": roles, "engines": engines})

    def to_json(self) -> dict[str, Any]:
        """Return plain data for the scheduler."""
        return {**asdict(self), "roles": list(self.roles), "engines": list(self.engines)}

    def shortage(self) -> str | None:
        """Return what this machine lacks for its roles, in a sentence; None: nothing."""
        if self.descriptor_limit < DESCRIPTORS_MIN:
            return (
                f"The file-descriptor limit of this machine is {self.descriptor_limit:,}; a host needs "
                f"{DESCRIPTORS_MIN:,} (ulimit -Hn)."
            )
        if HostRole.ROUNDS in self.roles and self.cores < ROUNDS_CPUS_MIN:
            return (
                "This machine has one CPU; rounds need two, for the engine and the load generator. "
                "Join with --roles load."
            )
        return None
