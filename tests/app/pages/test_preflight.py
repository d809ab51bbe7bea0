"""The A/A pair before the start: its spread, what that means, and when it was measured."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from app.experiments.calibration import calibrate
from app.experiments.reference import reference
from app.pages.preflight import pair_line
from app.schemas.experiment import Calibration, ExperimentView
from app.store.experiments import ExperimentStore
from tests.app.driver import LabMaker

QUIET = (1.02, 0.97, 1.01, 0.99, 1.03, 0.98, 1.0)
NOISY = (1.3, 0.8, 1.01, 0.99, 1.2, 0.98, 1.0)
AT = "2025-11-27T12:00:00Z"


def measured(pair: Calibration | None) -> ExperimentView:
    return replace(reference().experiments["reactor-stalls"], calibration=pair)


def test_the_spread_is_stated_with_what_it_means() -> None:
    quiet, noisy = (
        pair_line(measured(replace(calibrate(ratios, ()), measured_at=AT))) for ratios in (QUIET, NOISY)
    )
    assert quiet.text == "two equal servers differed by 2.2 % (spread): quiet"
    assert noisy.text == "two equal servers differed by 15.6 % (spread): noisy"
    assert (quiet.is_quiet, noisy.is_quiet, quiet.measured_at) == (True, False, AT)


def test_a_pair_without_a_time_has_that_of_its_experiment() -> None:
    view = measured(calibrate(QUIET, ()))
    assert pair_line(view).measured_at == view.finished_at
    assert pair_line(measured(calibrate((1.0,), ()))).text == "too few rounds for a spread: quiet"


def test_a_missing_pair_is_not_yet_measured() -> None:
    assert pair_line(None) == pair_line(measured(None))
    assert (pair_line(None).text, pair_line(None).is_quiet) == ("not yet measured", None)


@pytest.mark.full
def test_pages_show_the_newest_pair_of_this_machine(make_lab: LabMaker, tmp_path: Path) -> None:
    lab = make_lab(data_dir=tmp_path)
    for path in ("/experiments", "/experiments/reactor-stalls"):
        assert "not yet measured" in lab.http.get(path).text
    location = lab.http.post("/experiments", data={"claim": "proactor-support"}).headers["location"]
    here = lab.get(f"/experiments/{location.rpartition('=')[2]}")["environment"]
    pair = replace(calibrate(NOISY, ()), measured_at=AT)
    with closing(ExperimentStore(f"sqlite:///{tmp_path / 'threadlab.sqlite3'}")) as store:
        store.add_all([replace(measured(pair), environment=here), measured(None)])
    for path in ("/experiments", "/experiments/reactor-stalls?ask=1"):
        text = lab.http.get(path).text
        assert "two equal servers differed by 15.6 % (spread): noisy" in text and AT in text


@pytest.mark.full
def test_a_pair_of_another_machine_is_none_of_this_one(make_lab: LabMaker, tmp_path: Path) -> None:
    with closing(ExperimentStore(f"sqlite:///{tmp_path / 'threadlab.sqlite3'}")) as store:
        pair = replace(measured(calibrate(QUIET, ())), environment={"kernel": "another"})
        store.add_all([measured(None), pair, measured(None), measured(calibrate((), ()))])
        found = store.calibrated()
        assert found and found.id == 2
    assert "not yet measured" in make_lab(data_dir=tmp_path).http.get("/experiments").text
