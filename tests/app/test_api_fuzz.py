"""schemathesis over the OpenAPI description, with all its checks but one: no answer that is not described, no 500.

The one is "what fits the schema is accepted": which knobs there are depends on the model, and a schema cannot say so.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .driver import LabMaker, plan

EXAMPLES = 6
WITHIN_S = 300


def test_no_request_gets_an_answer_that_is_not_described(make_lab: LabMaker) -> None:
    lab = make_lab("--max-engines", "2", "--max-duration-s", "2", "--max-connections", "50", "--max-rate", "200")
    lab.run(model="reactor", plan=plan(0.5, 0))  # so that /runs/1 is there
    lab.start("reactor")
    schemathesis = str(Path(sys.executable).with_name("schemathesis"))
    done = subprocess.run(
        [
            schemathesis, "run", f"{lab.url}/api/v1/openapi.json", "--checks", "all", "--no-color",
            "--exclude-checks", "positive_data_acceptance",
            "--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "1",
        ],
        capture_output=True, text=True, timeout=WITHIN_S, cwd=lab.data_dir,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Traceback" not in lab.errors()
