"""The layers of the load generator: a package of `app.load` imports only lower levels, without a cycle.

Imports under `if TYPE_CHECKING` count as well.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from tests.test_imports import imports, sources, under

# Bottom to top. A name is a package or a module of `app.load`; equal levels may not import each other.
LEVELS = {
    "protocol": 0,
    "time_slice": 0,
    "connections": 1,
    "executors": 2,
    "recording": 3,
    "lifeline": 3,
    "process_setup": 3,
    "shard": 4,
    "__main__": 5,
}
PUBLIC = ("app.load.protocol", "app.load.time_slice")


def imports_by_module() -> dict[str, set[str]]:
    """Return the imports of `app` by each module of `app.load`."""
    found: dict[str, set[str]] = {}
    for path in sources("app/load"):
        parts = path.with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = {each for each in imports(path) if under(each, "app")}
    return found


def level(module: str) -> int:
    return LEVELS[module.split(".")[2]]


def test_every_part_of_the_load_generator_has_a_level() -> None:
    parts = {name.split(".")[2] for name in imports_by_module() if name != "app.load"}
    assert parts == LEVELS.keys()


def test_the_load_generator_has_no_import_cycle() -> None:
    try:
        order = list(TopologicalSorter(imports_by_module()).static_order())
    except CycleError as error:
        raise AssertionError(" → ".join(error.args[1])) from None
    assert "app.load.connections.connection_pool" in order


def test_the_load_generator_imports_only_lower_levels() -> None:
    violations = [
        f"{module} imports {name}"
        for module, names in imports_by_module().items()
        for name in names
        if level(name) >= level(module) and module.split(".")[2] != name.split(".")[2]
    ]
    assert violations == []


def test_the_control_plane_imports_only_the_protocol_of_the_load_generator() -> None:
    violations = [
        f"{path} imports {name}"
        for path in sources("app")
        if path.parts[:2] != ("app", "load")
        for name in imports(path)
        if under(name, "app.load") and not under(name, *PUBLIC)
    ]
    assert violations == []
