"""Finds the model modules: modules of this package, and files of `$THREADLAB_MODELS`, that have a MODEL.

A new model is one new file. Only the operator's environment can name the directory, because its files are
executed.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import pkgutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import engines
from engines.common.contract import COMMON_KNOBS, Model, ModelModule, all_knobs

EXTRA_MODELS = "THREADLAB_MODELS"  # environment variable: a directory with further model modules
FROM_LITERATURE = ("aliases", "pros", "cons", "used_by")


class BadModelModule(Exception):
    """A file of `$THREADLAB_MODELS` cannot be used. The message names the file and the reason."""


@cache
def model_modules() -> dict[str, ModelModule]:
    """Return every model module by the name of its model, sorted by `Model.order`. Raises BadModelModule."""
    found = {module.MODEL.name: module for module in _built_in()}
    for module in _extra(os.environ.get(EXTRA_MODELS, "")):
        _check(module, found)
        found[module.MODEL.name] = module
    return dict(sorted(found.items(), key=lambda item: (item[1].MODEL.order, item[0])))


def _built_in() -> Iterator[ModelModule]:
    for info in pkgutil.iter_modules(engines.__path__):
        if not info.ispkg and info.name != "__main__":
            module = importlib.import_module(f"engines.{info.name}")
            if hasattr(module, "MODEL"):
                yield cast(ModelModule, module)


def _extra(directory: str) -> Iterator[ModelModule]:
    if directory and not Path(directory).is_dir():
        raise BadModelModule(f"{EXTRA_MODELS}: {directory} is not a directory")
    for path in sorted(Path(directory).glob("*.py")) if directory else ():
        module = _load(path)
        if hasattr(module, "MODEL"):
            yield cast(ModelModule, module)


def _load(path: Path) -> ModuleType:
    name = f"threadlab_models.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise BadModelModule(f"{EXTRA_MODELS}: {path} cannot be imported: {error!r}") from error
    return module


def _check(module: ModelModule, found: dict[str, ModelModule]) -> None:
    """Raise BadModelModule unless the control plane and `python -m engines` can use the module."""
    path, model = _path(module), module.MODEL
    if not isinstance(model, Model) or not callable(getattr(module, "serve", None)):
        raise BadModelModule(f"{EXTRA_MODELS}: {path} must have MODEL, a Model, and serve(listener, setup)")
    if model.name in found:
        raise BadModelModule(f"{EXTRA_MODELS}: {path}: there is already a model {model.name!r}")
    knobs = {knob.name for knob in all_knobs(model)}
    for role in model.roles:
        if unknown := set(role.threads) - knobs:
            raise BadModelModule(f"{EXTRA_MODELS}: {path}: role {role.name!r} needs a knob {unknown.pop()!r}")


def _path(module: ModelModule) -> Path:
    return Path(inspect.getfile(cast(Any, module)))


@cache
def literature() -> dict[str, Any]:
    """Return engines/literature.toml: texts about the models that no code needs, by model."""
    return tomllib.loads((Path(engines.__path__[0]) / "literature.toml").read_text(encoding="utf-8"))


def describe(module: ModelModule) -> dict[str, Any]:
    """Return everything that the control plane knows of a model, ready for JSON."""
    model, path = module.MODEL, _path(module)
    texts = literature().get(model.name, {})
    analogies = texts.get("restaurant", {})
    reason = model.why_unavailable()
    built_in = path.parent == Path(engines.__path__[0])
    return {
        "name": model.name,
        "title": model.title,
        "order": model.order,
        "summary": model.summary,
        **{name: getattr(model, name) or texts.get(name, ()) for name in FROM_LITERATURE},
        "when_to_use": texts.get("when_to_use", ()),
        "linux": texts.get("linux", ""),
        "windows": texts.get("windows", ""),
        "literature": texts.get("literature", ()),
        "roles": [
            asdict(role) | {"restaurant": role.restaurant or analogies.get(role.name, "")}
            for role in model.roles
        ],
        "knobs": [asdict(knob) | {"common": knob in COMMON_KNOBS} for knob in all_knobs(model)],
        "available": reason is None,
        "unavailable_reason": reason,
        "doc": inspect.getdoc(module),
        "file": f"engines/{path.name}" if built_in else str(path),
        "source": path.read_text(encoding="utf-8"),
    }
