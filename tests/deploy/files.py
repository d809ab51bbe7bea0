"""Read the deployment files as the programs that use them do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
Json = dict[str, Any]


def read_yaml(path: Path) -> Json:
    found: Json = yaml.safe_load(path.read_text())
    return found


def read_json(path: Path) -> Json:
    found: Json = json.loads(path.read_text())
    return found


def read_settings(path: Path) -> dict[str, str]:
    """Return the variables of an env file."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def compose() -> Json:
    return read_yaml(ROOT / "docker-compose.yml")


def defaults(text: str) -> str:
    """Replace the variables of Compose by their defaults. `${NAME:?…}` has no default and becomes empty."""
    return re.sub(r"\$\{\w+(?::-([^}]*)|:\?[^}]*)\}", lambda found: found[1] or "", text)


def dockerfile() -> list[tuple[str, str]]:
    """Return instructions and their arguments, without comments, and with continued lines joined."""
    lines = "\n".join(
        line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")
    )
    joined = lines.replace("\\\n", " ").splitlines()
    return [
        (word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined if line.strip())
    ]
