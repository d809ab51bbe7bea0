"""The figures on the page of a run: its main figure first, and none twice."""

from __future__ import annotations

import re

import pytest

from app.pages.environment import page_environment
from tests.app.stored_runs import LEDGER, VIEW, stored_run

EACH = {"achieved_per_s": "Achieved", "cpu_us": "CPU", "p99_us": "p99 response", "rss_bytes_peak": "Memory"}


def terms(main: str) -> list[str]:
    run = stored_run(verdict=VIEW["verdict"] | {"figure": main, "fitness": {main: None}}, ledger=LEDGER)
    fragment = page_environment().get_template("fragments/run_figures.html")
    return re.findall(r"<d[td]>(.*?)</d[td]>", fragment.render(run=run, s=run.summary, l=run.ledger), re.S)


@pytest.mark.parametrize("main", EACH)
def test_the_main_figure_is_shown_once(main: str) -> None:
    shown = terms(main)
    assert EACH[main] not in shown and shown[2].startswith("main figure; ")
    assert [name for name in EACH.values() if name in shown] == [
        name for key, name in EACH.items() if key != main
    ]


def test_the_main_figure_keeps_the_line_below_it() -> None:
    assert terms("achieved_per_s")[:3] == ["Throughput", "1,000 req/s", "main figure; closed loop"]
    assert terms("cpu_us")[2] == "main figure; user 4.5, system 8.0"


def test_the_p99_of_one_work_kind_does_not_replace_that_of_all() -> None:
    assert "p99 response" in terms("plaintext.p99_us")
