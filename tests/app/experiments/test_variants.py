"""Variants of claims: what they change, and that they are complete claims of their own."""

from __future__ import annotations

import pytest

from app.errors import Unknown
from app.experiments.catalogue import catalogue, get_claim, select_claims
from app.experiments.claim import Claim
from app.experiments.evidence import Evidence
from app.experiments.reference import reference
from app.experiments.variants import base_id, variants
from app.schemas.states import Answer

CLAIM_MAX = 64  # characters of the column in the database
VARIANTS = {id: variant for claim in catalogue().values() for id, variant in variants(claim).items()}


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> Claim:
    return VARIANTS[request.param]


def test_a_variant_has_its_own_id(variant: Claim) -> None:
    assert variant.id not in catalogue() and base_id(variant.id) in catalogue()
    assert len(variant.id) <= CLAIM_MAX
    assert get_claim(variant.id).cells == variant.cells
    assert [found.id for found in select_claims([variant.id], None)] == [variant.id]


def test_a_variant_changes_a_condition_and_nothing_else(variant: Claim) -> None:
    claim = catalogue()[base_id(variant.id)]
    assert variant.variant and variant.variant.text.endswith(".")
    changed = [
        (a.plan, a.entries) != (b.plan, b.entries) for a, b in zip(claim.cells, variant.cells, strict=True)
    ]
    assert any(changed)
    assert (variant.needs, variant.text) == (claim.needs, claim.text)
    for a, b in zip(claim.cells, variant.cells, strict=True):
        assert a.key == b.key
        assert [entry.name for entry in a.entries] == [entry.name for entry in b.entries]
        identities = [entry.identity for entry in b.entries]
        assert len(set(identities)) == len(identities), "equal entries would be measured as one"


def test_the_changes_of_a_variant_are_of_what_its_claim_has(variant: Claim) -> None:
    claim = catalogue()[base_id(variant.id)]
    assert variant.variant
    assert set(variant.variant.plans) <= {cell.key for cell in claim.cells}
    names = {entry.name for cell in claim.cells for entry in cell.entries}
    assert set(variant.variant.entries) <= names


def test_every_sentence_that_states_the_unchanged_condition_is_reworded() -> None:
    one_worker = get_claim("pool-9x~one-worker")
    view = reference().experiments["pool-9x"]
    found = get_claim("pool-9x~no-blocking").check(Evidence(view.rounds, view.rounds_wanted))
    assert found.answer is Answer.HOLDS and all("at 0 % blocking" in text for text in found.because)
    assert one_worker.curve and one_worker.curve.lines[1][0] == "reactor-pool workers=1"
    assert get_claim("pool-9x~no-blocking").curve is None, "nothing is varied"
    assert one_worker.cell("slow-1").entries[1].knobs == {"workers": 1}


@pytest.mark.parametrize("id", ["pool-9x~nothing", "nothing~one-worker", "pool-9x~", "pool-9x~one-worker~x"])
def test_an_unknown_variant_is_unknown(id: str) -> None:
    with pytest.raises(Unknown):
        get_claim(id)
