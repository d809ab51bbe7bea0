"""The pages of claims without a browser: every claim, forms, errors, and the states of an experiment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from app.experiments.catalogue import catalogue
from app.experiments.reference import reference
from app.pages.claim_page import answer_of_ratio
from app.schemas.states import Answer
from app.store.experiments import ExperimentStore
from tests.app.driver import LabMaker, LabProcess, until
from tests.app.in_process_lab import InProcessLab

PROBE = "proactor-support"  # needs no trial


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory in which every claim was answered, with the reference experiments."""
    folder = tmp_path_factory.mktemp("answered")
    with closing(ExperimentStore(f"sqlite:///{folder / 'threadlab.sqlite3'}")) as store:
        for view in reference().experiments.values():
            store.add_all([view])
    return folder


@pytest.fixture(scope="module")
def untested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """A lab in which no claim was tested; the shared one has the experiments of other tests."""
    with closing(InProcessLab(tmp_path_factory.mktemp("untested"))) as lab:
        yield lab


def page(lab: LabProcess, path: str, status: int = 200) -> str:
    answer = lab.http.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


@pytest.mark.parametrize("id", catalogue())
def test_every_claim_asks_before_it_was_tested(untested: LabProcess, id: str) -> None:
    text = page(untested, f"/experiments/{id}")
    claim = catalogue()[id]
    assert 'data-state="ask"' in text and claim.story.restaurant.text in text.replace("&#39;", "'")
    assert "Answer of another machine" in text
    assert text.count('class="dot"') == 0, "the plot does not tell the answer"


def test_every_claim_shows_its_answer(make_lab: LabMaker, answered: Path) -> None:
    lab = make_lab(data_dir=answered)
    for id, view in reference().experiments.items():
        text = page(lab, f"/experiments/{id}")
        assert (
            'data-state="answered"' in text and f'data-answer="{view.answer}"' in text
        ) or view.answer == "not_judged"
        dots = sum(len(result.ratios) for result in view.ratios)
        if dots:
            assert text.count('class="dot" cx=') >= dots, id
    listed = page(lab, "/experiments?scope=all")
    assert "reference</small>" not in listed and listed.count('<article class="claim"') == len(catalogue())
    assert page(lab, "/experiments/summary").count("<tr>") == len(catalogue()) + 1
    assert "Last answers" in page(lab, "/")


def test_the_list_has_a_scope(shared_lab: LabProcess) -> None:
    article = page(shared_lab, "/experiments")
    assert article.count('<article class="claim"') == sum(claim.in_article for claim in catalogue().values())
    assert "scope must be one of" in page(shared_lab, "/experiments?scope=some", 422)


def test_a_form_starts_an_experiment_with_its_prediction(untested: LabProcess) -> None:
    lab = untested
    answer = lab.http.post("/experiments", data={"claim": PROBE, "guess": "holds", "quick": "0"})
    assert answer.status_code == 303
    id = int(answer.headers["location"].rpartition("=")[2])
    view = until(
        lambda: lab.get(f"/experiments/{id}")["finished_at"] and lab.get(f"/experiments/{id}"), "it ended"
    )
    assert (view["claim"], view["prediction"], view["wants_trace"]) == (PROBE, "holds", True)
    text = page(lab, answer.headers["location"])
    assert "holds here" in text and "You predicted: holds." in text
    assert lab.http.post(f"/experiments/{id}/delete").headers["location"] == f"/experiments/{PROBE}"
    assert 'data-state="ask"' in page(lab, f"/experiments/{PROBE}")


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"claim": "nope"}, 422),
        ({}, 422),
        ({"claim": PROBE, "guess": "maybe"}, 422),
        ({"claim": "reactor-stalls", "guess": "1e9"}, 422),
    ],
    ids=["unknown claim", "no claim", "unknown answer", "ratio out of bounds"],
)
def test_a_bad_form_starts_nothing(shared_lab: LabProcess, form: dict[str, str], status: int) -> None:
    before = shared_lab.get("/experiments")
    assert shared_lab.http.post("/experiments", data=form).status_code == status
    assert shared_lab.get("/experiments") == before


def test_an_experiment_of_another_claim_is_not_shown(lab: LabProcess) -> None:
    location = lab.http.post("/experiments", data={"claim": PROBE}).headers["location"]
    query = location.partition("?")[2]
    assert "is on proactor-support" in page(lab, f"/experiments/reactor-stalls?{query}", 404)
    page(lab, "/experiments/nope", 404)
    page(lab, "/experiments/reactor-stalls?experiment=99", 404)


def test_a_running_experiment_is_shown_and_stopped(lab: LabProcess) -> None:
    location = lab.http.post("/experiments", data={"claim": "reactor-stalls", "guess": "3"}).headers[
        "location"
    ]
    text = page(lab, location)
    assert 'data-state="running"' in text and "Your prediction ×3.0" in text
    assert "Running" in page(lab, "/experiments") or "Queued" in page(lab, "/experiments")
    id = int(location.rpartition("=")[2])
    assert lab.http.post(f"/experiments/{id}/stop").status_code == 303
    until(lambda: lab.get(f"/experiments/{id}")["state"] == "stopped", "it is stopped")
    assert "Stopped early" in page(lab, location) and "Resume" in page(lab, location)


@pytest.mark.parametrize(
    ("ratio", "answer"),
    [
        (3.0, Answer.HOLDS),
        (1.0, Answer.NO_DIFFERENCE),
        (1.5, Answer.DOES_NOT_HOLD),
        (0.5, Answer.DOES_NOT_HOLD),
    ],
)
def test_a_predicted_ratio_predicts_an_answer(ratio: float, answer: Answer) -> None:
    assert answer_of_ratio(2.0, ratio) is answer


def test_the_api_tells_the_claim_in_both_words(shared_lab: LabProcess) -> None:
    claim = shared_lab.get("/claims/reactor-stalls")
    assert claim["question"].endswith("?") and claim["restaurant"]["text"] and claim["why"]


@pytest.mark.parametrize("id", [id for id, claim in catalogue().items() if claim.refutations])
def test_a_claim_offers_its_refutations_with_their_duration(shared_lab: LabProcess, id: str) -> None:
    text = page(shared_lab, f"/experiments/{id}")
    for refutation in shared_lab.get(f"/claims/{id}")["refutations"]:
        variant = shared_lab.get(f"/claims/{refutation['claim']}")
        assert f'name="claim" value="{variant["id"]}"' in text and "Takes about" in text
        assert variant["estimate_s"] > 0 and variant["variant_of"] == id and variant["answers"] == []
        blocked = [cell["title"] for cell in variant["plan"] if cell["plan_text"] == cell["title"]]
        assert not blocked, "its plan is valid"
        own = page(shared_lab, f"/experiments/{variant['id']}")
        assert 'data-state="ask"' in own and "Variant: " in own and "Try to refute it" not in own


def test_the_answer_of_a_variant_is_not_that_of_the_claim(make_lab: LabMaker, tmp_path: Path) -> None:
    view = reference().experiments["pool-9x"]
    variant = replace(view, claim="pool-9x~one-worker", answer=Answer.DOES_NOT_HOLD)
    with closing(ExperimentStore(f"sqlite:///{tmp_path / 'threadlab.sqlite3'}")) as store:
        store.add_all([view, variant])
    lab = make_lab(data_dir=tmp_path)
    assert [answer["answer"] for answer in lab.get("/claims/pool-9x")["answers"]] == ["holds"]
    text = page(lab, "/experiments/pool-9x")
    assert 'data-answer="holds"' in text and "does not hold here" in text, "the refutation shows its answer"
    assert "does not hold here" in page(lab, "/experiments/pool-9x~one-worker")
    assert page(lab, "/experiments?scope=all").count('data-answer-of="does_not_hold"') == sum(
        each.answer == "does_not_hold" for each in reference().experiments.values()
    )


def test_a_form_starts_a_variant(lab: LabProcess) -> None:
    variant = "reactor-constant-threads~with-workers"
    answer = lab.http.post("/experiments", data={"claim": variant, "quick": "1"})
    id = int(answer.headers["location"].rpartition("=")[2])
    assert answer.headers["location"] == f"/experiments/{variant}?experiment={id}"
    view = lab.get(f"/experiments/{id}")
    assert (view["claim"], view["quick"]) == (variant, True)
    assert view["cells"][0]["entries"][0]["model"] == "reactor-pool"
    assert lab.http.post(f"/experiments/{id}/stop").status_code == 303
