"""What a client, an engine or a label has said is shown as text; and no header makes a GET change things."""

from __future__ import annotations

import sys

import pytest

from app import paths
from app.fleet.models import Models
from app.pages.cards import Card
from app.schemas.engine import EngineView, ExitView
from app.schemas.states import EngineState
from app.templating import make_environment, render_block
from tests.app.driver import LabProcess, endless

EVIL = "<script>alert(1)</script>\" onload='x' {{7*7}} =cmd|' /C calc'!A0 \x1b[31m\x00\r\nSet-Cookie: a=b"


def test_the_stderr_of_an_engine_is_text_on_its_card() -> None:
    model = Models.load(sys.executable).views["reactor"]
    ended = ExitView(1, None, f"ended {EVIL}", (EVIL, EVIL, EVIL, EVIL))
    engine = EngineView(
        "reactor-1",
        "reactor",
        EngineState.EXITED,
        "127.0.0.1",
        1,
        None,
        None,
        {},
        None,
        None,
        None,
        "2026-01-01T00:00:00Z",
        1.0,
        ended,
    )
    card = Card(model, engine, (), "exited", {}, {"": EVIL})
    html = render_block(make_environment(paths.TEMPLATES), "pages/workbench.html", "card", {"card": card})
    assert html.count("&lt;script&gt;alert(1)") >= 6
    assert "<script" not in html and "onload='" not in html and "49" not in html.split("Knobs")[0]


def test_a_label_is_kept_as_it_is_and_shown_as_text(lab: LabProcess) -> None:
    texts = ("x\r\nSet-Cookie: a=b", "=1+1", "<b>bold</b>", "\u202egnp.exe")
    ids = [lab.submit(model="reactor", plan=endless(), label=text)["id"] for text in texts]
    for id in reversed(ids):  # the first is stopped last, so that no other begins
        lab.post(f"/runs/{id}/stop")
    for id, text in zip(ids, texts, strict=True):
        assert lab.wait_ended(id)["label"] == text
        page = lab.http.get(f"/runs/{id}")
        assert page.status_code == 200 and "<b>bold" not in page.text
        assert "set-cookie" not in page.headers


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_no_header_turns_a_get_into_a_change(lab: LabProcess, header: str) -> None:
    engine = lab.start("reactor")
    path = f"/api/v1/engines/{engine['id']}"
    assert lab.http.get(path, headers={header: "DELETE"}).json()["state"] == "ready"
    assert lab.http.post(path, headers={header: "DELETE"}).status_code == 405
    assert lab.http.get(path + "?_method=DELETE").status_code == 422
    assert lab.http.post(path + "?_method=DELETE").status_code == 405
    assert lab.get(f"/engines/{engine['id']}")["state"] == "ready"
