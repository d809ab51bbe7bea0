"""The layers of the control plane: a package of `app` imports only packages below it, without a cycle."""

from __future__ import annotations

from pathlib import Path

from tests.test_imports import ROOT, imports, sources

# Top to bottom. A name is a package or a module of `app`. The contract and the board of engines are below
# all.
LAYERS = (
    "cli",
    "main",
    "pages",
    "api",
    "live",
    "metrics",
    "web",
    "report",
    "templating",
    "cluster",
    "lab",
    "demonstration",
    "experiments",
    "tunings",
    "comparisons",
    "rounds",
    "history",
    "runs",
    "results",
    "fleet",
    "trace",
    "imports",
    "statistics",
    "plans",
    "servers",
    "hosts",
    "machine",
    "store",
    "format",
    "events",
    "settings",
    "streams",
    "addresses",
    "assets",
    "paths",
    "validation",
    "schemas",
    "load",
    "timestamps",
    "errors",
)
RANKS = {name: rank for rank, name in enumerate(LAYERS)}


def layer(module: str) -> str:
    return module.split(".")[1]


def module_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


def violations() -> dict[str, list[str]]:
    """Return the imports of a higher layer, by "importing package → imported package"."""
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
    assert violations() == {}
