"""Pros and cons of models name the claims that test them."""

from __future__ import annotations

import pytest

from app.experiments.catalogue import catalogue
from app.pages.model_claims import CLAIMS
from engines.catalogue import literature
from tests.app.driver import LabProcess


@pytest.mark.parametrize("model", CLAIMS)
def test_every_text_is_one_of_the_model_and_every_claim_exists(model: str) -> None:
    texts = literature()[model]
    assert set(CLAIMS[model]) <= {*texts["pros"], *texts["cons"]}
    assert set(CLAIMS[model].values()) <= set(catalogue())


@pytest.mark.parametrize("model", CLAIMS)
def test_the_page_of_a_model_links_to_its_claims_with_their_answers(
    shared_lab: LabProcess, model: str
) -> None:
    page = shared_lab.http.get(f"/models/{model}").text
    for id in CLAIMS[model].values():
        assert f'href="/experiments/{id}"' in page
    assert "When to use it" in page and "Linux and Windows" in page
