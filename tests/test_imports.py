"""Rules about imports between packages, checked in the source without importing it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest

from engines.catalogue import model_modules

ROOT = Path(__file__).parents[1]
MODEL_MODULES = [
    Path(f"engines/{name.replace('-', '_')}.py") for name in model_modules()
]  # in the order of the tutorial
IO_PACKAGES = sorted(path.name for path in (ROOT / "engines").glob("*_io"))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    """Return all modules that a file imports. `from a import b` is a.b if that is a module, else a."""
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= from_imports(path, node)
    return found


def from_imports(path: Path, node: ast.ImportFrom) -> set[str]:
    base = node.module or ""
    if node.level:
        package = path.parent.parts[: len(path.parent.parts) - node.level + 1]
        base = ".".join([*package, *([base] if base else [])])
    return {f"{base}.{alias.name}" if is_module(f"{base}.{alias.name}") else base for alias in node.names}


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def sources(folder: str) -> list[Path]:
    return sorted(path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py"))


def under(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def third_party(names: set[str], *allowed: str) -> set[str]:
    """Return the names that are neither in the standard library nor allowed."""
    return {
        name
        for name in names
        if not under(name, *allowed) and name.split(".")[0] not in sys.stdlib_module_names
    }


def test_imports_are_found() -> None:
    assert "engines.common.board.board" in imports(Path("engines/reactor.py"))
    assert "httptools" in imports(Path("engines/common/http/request_parser.py"))
    assert len(MODEL_MODULES) >= 5
    assert all((ROOT / path).is_file() for path in MODEL_MODULES)


def violations(paths: Iterable[Path], forbidden: Callable[[Path], set[str]]) -> dict[str, set[str]]:
    """Return the forbidden imports of each file that has any."""
    return {str(path): found for path in paths if (found := forbidden(path))}


def test_engines_import_only_httptools_and_uring_api() -> None:
    assert (
        violations(
            sources("engines"), lambda path: third_party(imports(path), "engines", "httptools", "uring_api")
        )
        == {}
    )


def test_the_common_package_imports_no_model() -> None:
    def not_common(path: Path) -> set[str]:
        return {
            name for name in imports(path) if under(name, "engines") and not under(name, "engines.common")
        }

    assert violations(sources("engines/common"), lambda path: not_common(path) - {"engines"}) == {}


@pytest.mark.parametrize("package", IO_PACKAGES)
def test_io_packages_import_only_themselves_and_the_common_package(package: str) -> None:
    def others(path: Path) -> set[str]:
        ours = {name for name in imports(path) if under(name, "engines")}
        return {name for name in ours if not under(name, "engines.common", f"engines.{package}")}

    assert violations(sources(f"engines/{package}"), others) == {}


def test_only_the_ring_adapter_imports_the_io_uring_binding() -> None:
    def binding_of(path: Path) -> set[str]:
        runtime = imports(path) - type_checking_imports(path)
        return {name for name in runtime if under(name, "uring_api", "_uring_api")}

    others = [path for path in sources("engines") if path.name not in ("ring.py", "completion_last_call.py")]
    assert violations(others, binding_of) == {}


def type_checking_imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for inner in ast.walk(node):
                if isinstance(inner, ast.ImportFrom):
                    found |= from_imports(path, inner)
    return found


@pytest.mark.parametrize("place", range(len(MODEL_MODULES)), ids=[path.stem for path in MODEL_MODULES])
def test_a_model_module_imports_earlier_ones_only(place: int) -> None:
    earlier = [f"engines.{path.stem}" for path in MODEL_MODULES[:place]] + [
        f"engines.{name}" for name in IO_PACKAGES
    ]
    ours = {name for name in imports(MODEL_MODULES[place]) if under(name, "engines")}
    assert {name for name in ours if not under(name, "engines.common", *earlier)} == set()


def test_the_control_plane_imports_only_contract_and_board_of_the_engines() -> None:
    allowed = {"engines.common.contract"} | {
        f"engines.common.board.{name}" for name in ("board", "reader", "trace_reader")
    }
    # The load generator, and the applications that run within external servers, are processes of their own.
    others = (("app", "load"), ("app", "servers", "apps"))
    control_plane = [path for path in sources("app") if path.parts[:2] not in others]
    control_plane = [path for path in control_plane if path.parts[:3] not in others]
    assert (
        violations(
            control_plane, lambda path: {name for name in imports(path) if under(name, "engines")} - allowed
        )
        == {}
    )


def test_the_load_generator_imports_only_hdrh_and_the_common_package() -> None:
    assert (
        violations(
            sources("app/load"), lambda path: third_party(imports(path), "hdrh", "engines.common", "app.load")
        )
        == {}
    )


def test_routes_import_no_engine_code_and_no_subprocess() -> None:
    routes = sources("app/api") + sources("app/pages")
    assert (
        violations(
            routes, lambda path: {name for name in imports(path) if under(name, "engines", "subprocess")}
        )
        == {}
    )
