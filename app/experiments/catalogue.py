"""The catalogue of claims: every file of app/experiments/claims, in the order of the article."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache

from app.errors import Invalid, Unknown, shown
from app.experiments import claims
from app.experiments.claim import Claim


@cache
def catalogue() -> dict[str, Claim]:
    """Return all claims by id, sorted by `Claim.order`."""
    names = (info.name for info in pkgutil.iter_modules(claims.__path__))
    found = [importlib.import_module(f"{claims.__name__}.{name}").CLAIM for name in names]
    return {claim.id: claim for claim in sorted(found, key=lambda claim: claim.order)}


def get_claim(id: str) -> Claim:
    """Return a claim. Raises Unknown."""
    if id not in catalogue():
        raise Unknown(f"There is no claim {shown(id)}. See GET /api/v1/claims for all claims.")
    return catalogue()[id]


def select_claims(ids: Sequence[str], which: str | None) -> list[Claim]:
    """Return the claims with these ids, or (`which`) those of the article or all. Raises Invalid."""
    if bool(ids) == bool(which):
        raise Invalid.field("/claims", "Give either claims, or a set of them: article or all.")
    if which == "all":
        return list(catalogue().values())
    if which == "article":
        return [claim for claim in catalogue().values() if claim.in_article]
    for number, id in enumerate(ids):
        if id not in catalogue():
            raise Invalid.field(
                f"/claims/{number}",
                f"There is no claim {shown(id)}. Claims: {', '.join(catalogue())}.",
            )
    return [catalogue()[id] for id in dict.fromkeys(ids)]
