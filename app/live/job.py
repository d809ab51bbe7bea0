"""The job in progress, for the title of a tab: an experiment, a comparison, a tuning, or a single run.

It changes at most once per percent. It is not part of frames, because a hidden page gets none.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from app.experiments.session import ActiveExperiment, Session
from app.lab import Lab
from app.schemas.comparison import ComparisonView
from app.schemas.states import JobState
from app.schemas.tuning import TuningView


@dataclass(frozen=True, slots=True)
class Job:
    """A job in progress. `id`: of several experiments that were started together, of the first one.

    `elapsed_s`: whole seconds since it began. Jobs are equal if they differ only in that.
    """

    kind: Literal["run", "comparison", "experiment", "tuning"]
    id: int
    title: str
    percent: int
    elapsed_s: int = field(compare=False)


def current_job(lab: Lab) -> Job | None:
    """Return the job in progress; None: there is none. A trial is part of its job."""
    if (session := _session(lab.experiments.active.values())) is not None:
        return _experiments(lab, session)
    for comparison in lab.comparisons.active.values():
        if comparison.view.state == JobState.RUNNING:
            return _comparison(lab.comparisons.get(comparison.view.id), comparison.began_s)
    for tuning in lab.tunings.active.values():
        if tuning.view.state == JobState.RUNNING:
            return _tuning(lab.tunings.get(tuning.view.id), tuning.began_s)
    if run := lab.runs.progress():
        return Job("run", run.id, run.title, int(100 * run.progress), int(run.elapsed_s))
    return None


def _session(active: Iterable[ActiveExperiment]) -> Session | None:
    running = (each.session for each in active if each.view.state == JobState.RUNNING)
    return next(filter(None, running), None)


def _experiments(lab: Lab, session: Session) -> Job:
    first, number = session.experiments[0], len(session.experiments)
    elapsed_s = time.monotonic() - session.began_s
    if number == 1:
        title, share = first.claim.story.short, lab.experiments.get(first.view.id).progress
    else:
        title, share = f"{number} experiments", elapsed_s / (elapsed_s + session.left_s() or 1)
    return Job("experiment", first.view.id, title, int(100 * share), int(elapsed_s))


def _comparison(view: ComparisonView, began_s: float) -> Job:
    elapsed_s = time.monotonic() - began_s
    return Job("comparison", view.id, view.title, int(100 * view.progress), int(elapsed_s))


def _tuning(view: TuningView, began_s: float) -> Job:
    elapsed_s = time.monotonic() - began_s
    title = f"{view.model_title}: {view.knob}"
    return Job("tuning", view.id, title, int(100 * view.progress), int(elapsed_s))
