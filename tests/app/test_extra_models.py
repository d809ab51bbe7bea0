"""A model file in the directory of `--models` is listed, started by REST, observed, loaded and shown."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx

from .driver import LabMaker

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "shared_accept.py"


def test_a_model_file_is_started_and_loaded_by_the_lab(make_lab: LabMaker, tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path)
    lab = make_lab("--models", str(tmp_path))
    listed = {model["name"]: model for model in lab.get("/models")}
    assert listed["shared-accept"]["available"] and listed["shared-accept"]["roles"][0]["threads"] == [
        "loops"
    ]
    engine = lab.start("shared-accept", loops=4)
    assert httpx.get(engine["url"]).content == b"Hello, World!"
    threads = lab.get(f"/engines/{engine['id']}/sample")["threads"]
    assert [thread["role"] for thread in threads] == ["reactor"] * 4
    run = lab.run(engine=engine["id"], plan={"vus": 4, "duration_s": 0.5, "warmup_s": 0.1})
    assert run["state"] == "finished" and run["summary"]["errors"] == {}
    page = lab.http.get("/models/shared-accept")
    assert (
        page.status_code == 200 and "Several reactor threads accept from one listening socket." in page.text
    )
    assert lab.http.get("/").status_code == 200
    stopped = lab.http.delete(f"/api/v1/engines/{engine['id']}")
    assert stopped.status_code == 200 and stopped.json()["exit"]["code"] == 0
