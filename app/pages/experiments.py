"""The pages of claims: the list, each claim with its experiments, the summary, and starting and stopping."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from app.errors import Invalid, Unknown, shown
from app.experiments.calibration import noise_sentence
from app.experiments.experiments import ExperimentRequest
from app.lab import Lab
from app.pages import restaurant
from app.pages.answers import TALLIED, TALLY_WORDS, ClaimRow, claim_row
from app.pages.claim_page import answer_of_ratio, claim_page
from app.pages.preflight import pair_line
from app.pages.refutations import refutations
from app.pages.responses import FormDep, page
from app.schemas.experiment import Calibration, ExperimentView, LastAnswer
from app.schemas.states import Answer
from app.statistics.decision import ROUNDS, ROUNDS_MAX, error_summary
from app.web.deps import LabDep

router = APIRouter(include_in_schema=False)
SCOPES = {"article": "The article", "all": "All sources"}
OTHER_SOURCES = "Other sources"
NO_MODEL = "All models"
LISTED_MAX = 20


@dataclass(frozen=True, slots=True)
class Group:
    """The claims on one model, or those of other sources."""

    title: str
    model: str
    rows: tuple[ClaimRow, ...]

    @property
    def counts(self) -> str:
        """How many claims have each answer: "3 hold · 1 too close"."""
        tally = Counter(row.answer for row in self.rows)
        return " · ".join(f"{tally[answer]} {TALLY_WORDS[answer]}" for answer in TALLIED if tally[answer])


def groups_of(lab: Lab, rows: Sequence[ClaimRow]) -> list[Group]:
    """Return the claims of the article by model, then those of other sources."""
    keys: dict[tuple[str, str], list[ClaimRow]] = {}
    for row in rows:
        model = row.claim.model if row.claim.in_article else ""
        title = lab.models.get(model).title if model else NO_MODEL if row.claim.in_article else OTHER_SOURCES
        keys.setdefault((title, model or ""), []).append(row)
    return [Group(title, model, tuple(found)) for (title, model), found in keys.items()]


def _all_rows(lab: Lab) -> list[ClaimRow]:
    """Return every claim with its last answer. Thread-safe."""
    return [claim_row(claim, lab.experiments.last_answer(claim.id)) for claim in lab.experiments.claims()]


def _list_context(lab: Lab, scope: str) -> dict[str, Any]:
    rows = [row for row in _all_rows(lab) if scope == "all" or row.claim.in_article]
    views = [row for row in rows if row.experiment is not None]
    active = [view for view in map(_active_view, list(lab.experiments.active.values())) if view]
    newest = lab.experiments.get(max(row.experiment for row in views if row.experiment)) if views else None
    return {
        "scope": scope,
        "scopes": SCOPES,
        "groups": groups_of(lab, rows),
        "rows": rows,
        "tally": Counter(row.answer for row in rows),
        "tallied": TALLIED,
        "tally_words": TALLY_WORDS,
        "is_own": bool(views),
        "newest": newest,
        "active": {view.claim: view for view in active},
        "pair": pair_line(lab.experiments.last_calibrated()),
        "estimate_s": lab.experiments.estimate_s(scope),
        "quick_s": lab.experiments.estimate_s(scope, quick=True),
        "system": lab.system,
        "load": os.getloadavg()[0],
        "error_text": error_summary(sum(row.tests for row in rows)),
    }


def _active_view(active: Any) -> ExperimentView | None:
    view: ExperimentView = active.view
    return view if view.state.is_unfinished else None


@router.get("/experiments")
async def experiments(request: Request, lab: LabDep, scope: str = "article") -> HTMLResponse:
    """Return the list of claims with their last answers. `scope`: article or all."""
    if scope not in SCOPES:
        raise Invalid.field("/scope", f"scope must be one of {', '.join(SCOPES)}, not {shown(scope)}.")
    context = await asyncio.to_thread(_list_context, lab, scope)
    return page(request, "pages/experiments.html", **context)


@router.get("/experiments/summary")
async def summary(request: Request, lab: LabDep) -> HTMLResponse:
    """Return all answers on one printable page."""
    context = await asyncio.to_thread(_list_context, lab, "all")
    calibration = context["newest"].calibration if context["newest"] else None
    return page(request, "pages/summary.html", noise=_noise(calibration), **context)


def _noise(calibration: Calibration | None) -> str:
    return noise_sentence(calibration) if calibration else ""


@router.post("/experiments")
async def submit(lab: LabDep, form: FormDep) -> RedirectResponse:
    """Queue experiments and redirect to the page of the claim, or of the list. Raises LabError."""
    claim, which = form.get("claim", ""), form.get("set", "")
    ratio = _predicted_ratio(form.get("guess", ""))
    views = await lab.experiments.submit(
        ExperimentRequest(
            claims=(claim,) if claim else (),
            which=which or None,
            quick=form.get("quick") == "1",
            prediction=_prediction(lab, claim, form.get("guess", ""), ratio),
            predicted_ratio=ratio,
            trace=True,
        )
    )
    if claim:
        return RedirectResponse(f"/experiments/{claim}?experiment={views[0].id}", 303)
    return RedirectResponse(f"/experiments?scope={which}", 303)


def _predicted_ratio(text: str) -> float | None:
    try:
        ratio = float(text)
    except ValueError:
        return None
    if not 0.01 <= ratio <= 1000:
        raise Invalid.field("/guess", "A predicted ratio must be from 0.01 to 1000.")
    return ratio


def _prediction(lab: Lab, claim: str, guess: str, ratio: float | None) -> Answer | str | None:
    """Return the answer that was predicted, as a ratio or as an answer; None: no prediction."""
    if ratio is None:
        return guess or None
    margin = lab.experiments.claim(claim).margin if claim else None
    return answer_of_ratio(margin, ratio) if margin else None


@router.get("/experiments/{claim}")
async def claim(
    claim: str, request: Request, lab: LabDep, experiment: int | None = None, ask: bool = False
) -> HTMLResponse:
    """Return the page of a claim.

    `experiment`: the one to show, by default the last one; `ask`: none, but the question. Raises Unknown.
    """
    context = await asyncio.to_thread(_claim_context, lab, claim, experiment, ask)
    return page(request, "pages/experiment.html", **context)


def _claim_context(lab: Lab, id: str, experiment: int | None, ask: bool) -> dict[str, Any]:
    found = lab.experiments.claim(id)
    last = lab.experiments.last_answer(id)
    view = _shown_experiment(lab, id, experiment, None if ask else last)
    reference = last.view if last and last.is_reference and view is None else None
    runs = [lab.runs.get(run) for run in view.traced.values() if lab.runs.exists(run)] if view else []
    return {
        "claim": found,
        "shown": claim_page(found, view, reference),
        "state": _state(view),
        "model": lab.models.get(found.model) if found.model else None,
        "runs": runs,
        "excerpts": " ".join(f"/api/v1/runs/{run.id}/excerpt" for run in runs),
        "stacks": [_stack(lab, run.model, run.knobs) for run in runs],
        "sources": [lab.models.get(model) for model in dict.fromkeys(run.model for run in runs)],
        "pair": pair_line(lab.experiments.last_calibrated()),
        "refutations": refutations(lab, found),
        "restaurant": restaurant,
        "history": lab.experiments.of_claim(id, LISTED_MAX),
        "quick_s": lab.experiments.estimate_s(id, quick=True),
        "system": lab.system,
        "load": os.getloadavg()[0],
        "is_busy": bool(lab.runs.active),
        "rounds": (ROUNDS, ROUNDS_MAX),
    }


def _stack(lab: Lab, model: str, knobs: Any) -> dict[str, str]:
    view = lab.models.get(model)
    changed = {knob.name: knobs[knob.name] for knob in view.knobs if knobs.get(knob.name) != knob.default}
    threads = ", ".join(f"{name} {value}" for name, value in changed.items() if name != "idle_s")
    return {"name": model, "title": view.title, "threads": threads}


def _shown_experiment(
    lab: Lab, claim: str, experiment: int | None, last: LastAnswer | None
) -> ExperimentView | None:
    """Return the experiment that a page shows: the given one, the one in progress, or the last one here."""
    if experiment is not None:
        view = lab.experiments.get(experiment)
        if view.claim != claim:
            raise Unknown(f"Experiment {experiment} is on {view.claim}, not on {claim}.")
        return view
    if active := next(
        (each for each in list(lab.experiments.active.values()) if each.view.claim == claim), None
    ):
        return lab.experiments.get(active.view.id)
    return last.view if last and not last.is_reference else None


def _state(view: ExperimentView | None) -> str:
    """Return what the page is about: ask, running, or answered."""
    if view is None:
        return "ask"
    return "answered" if view.has_answer else "running"


@router.post("/experiments/{id:int}/stop")
async def stop(id: int, lab: LabDep) -> RedirectResponse:
    """Stop an experiment, keep its rounds, and redirect to its page."""
    view = await lab.experiments.stop(id)
    return RedirectResponse(f"/experiments/{view.claim}?experiment={id}", 303)


@router.post("/experiments/{id:int}/resume")
async def resume(id: int, lab: LabDep) -> RedirectResponse:
    """Continue an experiment that ended early, and redirect to its page."""
    view = await lab.experiments.resume(id)
    return RedirectResponse(f"/experiments/{view.claim}?experiment={id}", 303)


@router.get("/experiments/{id:int}/delete")
async def confirm_delete(id: int, request: Request, lab: LabDep) -> HTMLResponse:
    """Return the page that asks for confirmation."""
    return page(request, "pages/experiment_delete.html", view=lab.experiments.get(id))


@router.post("/experiments/{id:int}/delete")
async def delete(id: int, lab: LabDep, form: FormDep) -> RedirectResponse:
    """Delete an experiment, with its runs if `runs` is 1, and redirect to the page of its claim."""
    claim = lab.experiments.get(id).claim
    await lab.experiments.delete(id, form.get("runs") == "1")
    return RedirectResponse(f"/experiments/{claim}", 303)
