"""The catalogue of claims: every file of app/experiments/claims, in the order of the article."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache

from app.errors import Invalid, Unknown, shown
from app.experiments import claims
from app.experiments.claim import Claim
from app.experiments.variants import base_id, variants


@cache
def catalogue() -> dict[str, Claim]:
    """Return all claims by id, sorted by `Claim.order`."""
    names = (info.name for info in pkgutil.iter_modules(claims.__path__))
    found = [importlib.import_module(f"{claims.__name__}.{name}").CLAIM for name in names]
    return {claim.id: claim for claim in sorted(found, key=lambda claim: claim.order)}


def get_claim(id: str) -> Claim:
    """Return a claim, or a variant of one. Raises Unknown."""
    if found := _find(id):
        return found
    raise Unknown(f"There is no claim {shown(id)}. See GET /api/v1/claims for all claims.")


def _find(id: str) -> Claim | None:
    claim = catalogue().get(base_id(id))
    return claim if claim is None or claim.id == id else variants(claim).get(id)


def select_claims(ids: Sequence[str], which: str | None) -> list[Claim]:
    """Return the claims with these ids, or (`which`) those of the article or all. Raises Invalid.

    An id may be that of a variant; `which` has none.
    """
    if bool(ids) == bool(which):
        raise Invalid.field("/claims", "Give either claims, or a set of them: article or all.")
    if which == "all":
        return list(catalogue().values())
    if which == "article":
        return [claim for claim in catalogue().values() if claim.in_article]
    for number, id in enumerate(ids):
        if _find(id) is None:
            raise Invalid.field(
                f"/claims/{number}",
                f"There is no claim {shown(id)}. Claims: {', '.join(catalogue())}.",
            )
    return [get_claim(id) for id in dict.fromkeys(ids)]
