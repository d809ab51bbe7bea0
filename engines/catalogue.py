"""Finds the lessons: every module of this package that has a MODEL. A new model is one new file."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, cast

import engines
from engines.common.contract import COMMON_KNOBS, ModelModule, all_knobs


@cache
def model_modules() -> dict[str, ModelModule]:
    """All lessons by the name of their model, in the order in which they are taught."""
    names = (m.name for m in pkgutil.iter_modules(engines.__path__) if not m.ispkg and m.name != "__main__")
    modules = (importlib.import_module(f"engines.{name}") for name in names)
    found = [cast(ModelModule, module) for module in modules if hasattr(module, "MODEL")]
    return {module.MODEL.name: module for module in sorted(found, key=lambda module: module.MODEL.order)}


@cache
def literature() -> dict[str, Any]:
    """What is told of the models beside their lessons, by model."""
    return tomllib.loads((Path(engines.__path__[0]) / "literature.toml").read_text(encoding="utf-8"))


def describe(module: ModelModule) -> dict[str, Any]:
    """Everything the control plane shows of a model, as JSON: it never imports a lesson itself."""
    model, common = module.MODEL, {knob.name for knob in COMMON_KNOBS}
    told = literature().get(model.name, {})
    path = Path(inspect.getfile(cast(Any, module)))
    reason = model.why_unavailable()
    return {
        "name": model.name,
        "title": model.title,
        "order": model.order,
        "summary": model.summary,
        **{
            name: getattr(model, name) or told.get(name, ())
            for name in ("aliases", "pros", "cons", "used_by")
        },
        "literature": told.get("literature", ()),
        "roles": [
            {"name": r.name, "title": r.title, "does": r.does, "restaurant": r.restaurant}
            for r in model.roles
        ],
        "knobs": [
            {
                "name": k.name,
                "default": k.default,
                "minimum": k.minimum,
                "maximum": k.maximum,
                "unit": k.unit,
                "choices": k.choices,
                "help": k.help,
                "common": k.name in common,
            }
            for k in all_knobs(model)
        ],
        "available": reason is None,
        "unavailable_reason": reason,
        "doc": inspect.getdoc(module),
        "file": f"engines/{path.name}",
        "source": path.read_text(encoding="utf-8"),
    }
