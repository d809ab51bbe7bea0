"""The layers of the control plane: a package of `app` imports only packages below it, so there is no import cycle."""

from __future__ import annotations

from pathlib import Path

from tests.test_imports import ROOT, imports, sources

# Top to bottom. A name is a package or a module of `app`; the engines' contract and board are below all of them.
LAYERS = (
    "cli",
    "compare",
    "demo",
    "remote",
    "shell",
    "plan_flags",
    "main",
    "pages",
    "api",
    "live",
    "metrics",
    "web",
    "security",
    "tokens",
    "report",
    "imports",
    "lab",
    "comparisons",
    "history",
    "runs",
    "results",
    "fleet",
    "trace",
    "plans",
    "machine",
    "store",
    "templating",
    "format",
    "events",
    "settings",
    "streams",
    "addresses",
    "assets",
    "paths",
    "schemas",
    "load",
    "moment",
    "errors",
)
RANKS = {name: rank for rank, name in enumerate(LAYERS)}

# What still breaks the rule: "importing package → imported package". Entries may only be removed.
KNOWN: frozenset[str] = frozenset(
    {
        "lab → report",
        "report → pages",
        "report → shell",
        "security → api",
        "store → report",
        "web → api",
    }
)


def layer(module: str) -> str:
    return module.split(".")[1]


def module_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


def violations() -> dict[str, list[str]]:
    """Imports that do not go down, by "importing package → imported package"."""
    found: dict[str, list[str]] = {}
    for path in sources("app"):
        if path.name == "__init__.py" and len(path.parts) == 2:
            continue
        own = layer(module_of(path))
        for name in imports(path):
            if not name.startswith("app.") or layer(name) == own:
                continue
            if RANKS[layer(name)] < RANKS[own]:
                found.setdefault(f"{own} → {layer(name)}", []).append(f"{path} imports {name}")
    return found


def test_every_package_has_a_layer() -> None:
    packages = {path.stem if path.is_file() else path.name for path in (ROOT / "app").iterdir()}
    assert packages - set(LAYERS) - {"__init__", "__pycache__", "_web"} == set()


def test_packages_import_only_packages_below_them() -> None:
    found = violations()
    assert {key: places for key, places in found.items() if key not in KNOWN} == {}


def test_no_known_violation_is_listed_that_is_gone() -> None:
    assert KNOWN - violations().keys() == set()
