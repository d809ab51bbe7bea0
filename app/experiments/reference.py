"""The answers of the reference machine, for claims that were never tested here.

reference.json has the full set of experiments of one machine. `docs/make_reference.py` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from app.schemas.experiment import AnswerView, ExperimentView

FILE = Path(__file__).with_name("reference.json")
_VIEWS = TypeAdapter(list[ExperimentView])


@dataclass(frozen=True, slots=True)
class Reference:
    """The experiments of the reference machine by claim, and the commit that they were measured at."""

    commit: str
    experiments: Mapping[str, ExperimentView]


@cache
def reference() -> Reference:
    """Return the reference answers. They are read once."""
    document = json.loads(FILE.read_text(encoding="utf-8"))
    views = _VIEWS.validate_python(document["experiments"])
    return Reference(document["commit"], {view.claim: view for view in views})


def reference_experiment(claim: str) -> ExperimentView | None:
    """Return the experiment of the reference machine on a claim; None: there is no answer."""
    view = reference().experiments.get(claim)
    return view if view and view.answer else None


def reference_answers(claim: str) -> tuple[AnswerView, ...]:
    """Return the answer of the reference machine to a claim; (): there is none."""
    view = reference_experiment(claim)
    if view is None or view.answer is None:
        return ()
    return (
        AnswerView(
            experiment=None,
            answer=view.answer,
            because=view.because,
            quick=view.quick,
            noisy=view.is_noisy,
            finished_at=view.finished_at or view.created_at,
            environment={**view.environment, "commit": reference().commit},
        ),
    )
