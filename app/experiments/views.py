"""Claims, cells and entries as clients see them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from app.experiments.claim import Cell, Claim, Entry
from app.experiments.variants import base_id, variant_id
from app.fleet.models import Models
from app.load.protocol.plan import Plan
from app.plans.describe import describe
from app.schemas.experiment import AnswerView, CellView, ClaimView, EntryView, RefutationView, RetellingView


def cell_view(models: Models, cell: Cell, plan: Plan | None) -> CellView:
    """Return a cell with its validated plan; None: this machine cannot carry it out."""
    return CellView(
        key=cell.key,
        title=cell.title,
        plan=plan.to_json() if plan else dict(cell.plan),
        plan_text=describe(plan) if plan else cell.title,
        entries=tuple(entry_view(models, entry) for entry in cell.entries),
    )


def entry_view(models: Models, entry: Entry) -> EntryView:
    """Return an entry with its title."""
    view = models.views.get(entry.model)
    title = view.title if view else entry.model
    knobs = (f"{name} {value}" for name, value in entry.knobs.items())
    return EntryView(entry.name, ", ".join((title, *knobs)), entry.model, dict(entry.knobs))


def claim_view(
    models: Models,
    claim: Claim,
    plans: Mapping[str, Plan],
    answers: tuple[AnswerView, ...],
    estimate_s: float,
) -> ClaimView:
    """Return a claim with its cells and last answers."""
    entries = {entry.name: entry for cell in claim.cells for entry in cell.entries}
    figures = (figure for need in claim.needs for figure in need.figures)
    margins = [ratio.margin for ratio in claim.ratios]
    return ClaimView(
        id=claim.id,
        order=claim.order,
        text=claim.text,
        short=claim.story.short,
        question=claim.story.question,
        why=claim.story.why,
        headline=claim.story.headline,
        restaurant=RetellingView(
            claim.story.restaurant.text, claim.story.restaurant.question, claim.story.restaurant.why
        ),
        quotation=claim.quotation,
        source=claim.source.name,
        url=claim.source.url,
        in_article=claim.in_article,
        tested_as=claim.tested_as,
        model=claim.model,
        kind=claim.kind,
        metric=tuple(dict.fromkeys(figures)),
        margin=margins[0] if margins else None,
        entries=tuple(entry_view(models, entry) for entry in entries.values()),
        plan=tuple(cell_view(models, cell, plans.get(cell.key)) for cell in claim.cells),
        cannot_show=claim.cannot_show,
        refute=claim.refute,
        refutations=tuple(RefutationView(variant_id(claim, each), each.text) for each in claim.refutations),
        variant_of=base_id(claim.id) if claim.variant else None,
        changed=claim.variant.text if claim.variant else "",
        estimate_s=round(estimate_s, 1),
        answers=answers,
    )
