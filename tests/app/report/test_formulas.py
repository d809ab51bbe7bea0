"""No untrusted text in a CSV is a formula in a spreadsheet, whatever its delimiter."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.report import run_list, series_csv
from app.report.series_csv import cell
from tests.app.stored_runs import stored_run

STARTS = "=+-@＝＋－＠"
TEXTS = st.text(st.sampled_from([*"=+-@;,|\t\r\n\" 'a1\xa0＝"]), max_size=12)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("a;=1+1", "a;'=1+1"),
        ("a,-1", "a,'-1"),
        ("a\t@x", "a\t'@x"),
        ("a\r\n+1", "a\r\n'+1"),
        ('say "=1"', 'say "\'=1"'),
        ("; =1", "; '=1"),
        ("  =1", "  '=1"),
        ("\t=1", "\t'=1"),
        ("a|=1", "a|'=1"),
        ("k=v, p50 <= 3-4 a@b", "k=v, p50 <= 3-4 a@b"),
        ("workers=4 queue=8", "workers=4 queue=8"),
        ("", ""),
        (-1.5, -1.5),
        (None, None),
    ],
)
def test_an_apostrophe_precedes_every_possible_formula(text: object, written: object) -> None:
    assert cell(text) == written


@given(TEXTS)
@example("x;=HYPERLINK(A1)")
def test_no_cell_is_a_formula_for_any_delimiter(text: str) -> None:
    whole = "".join(run_list.FORMATS["csv"].write([stored_run(label=text, failure=text)]))
    whole += series_csv.write({"columns": [text], "rows": [[text, 1, None]]})
    for delimiter in ",;\t|":
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            lines = io.StringIO(whole, newline="") if quoting == csv.QUOTE_MINIMAL else whole.splitlines()
            for row in csv.reader(lines, delimiter=delimiter, quoting=quoting):
                assert not [each for each in row if each.lstrip(' \t\r\n\xa0"')[:1] in tuple(STARTS)]


@given(TEXTS)
def test_text_is_quoted_by_rfc_4180_and_unchanged_except_for_apostrophes(text: str) -> None:
    ((found,),) = csv.reader(
        io.StringIO(series_csv.write({"columns": [text or "x"], "rows": []}), newline="")
    )
    assert found.replace("'", "") == (text or "x").replace("'", "")
