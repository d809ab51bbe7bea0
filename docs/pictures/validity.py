"""Whether a picture may be made and shown: the machine is quiet, and the results are valid."""

from __future__ import annotations

import os
from typing import Any

LOAD_AVERAGE_MAX = 1.0
# For development of these scripts only: do not commit pictures that were made with it.
SKIP_VARIABLE = "SCREENSHOTS_ON_A_BUSY_MACHINE"


class InvalidResult(Exception):
    """A result that must not be shown, or a machine on which none can be measured; one sentence."""


def require_quiet_machine() -> None:
    """Raise InvalidResult if the 1-minute load average is above the limit."""
    load_average = os.getloadavg()[0]
    if load_average > LOAD_AVERAGE_MAX and not os.environ.get(SKIP_VARIABLE):
        raise InvalidResult(
            f"The machine is busy: 1-minute load average {load_average:.2f} (limit {LOAD_AVERAGE_MAX:.2f})."
        )


def require_valid_run(view: dict[str, Any], purpose: str) -> None:
    """Raise InvalidResult if the main figure of a run is not valid. `view`: the run as the API returns it."""
    verdict = view["verdict"]
    if view["state"] == "finished" and verdict and verdict["rankable"]:
        return
    reason = view["failure"]
    if not reason and verdict:
        reason = (
            verdict["fitness"].get(verdict["figure"]) or f"{verdict['title']}. {' '.join(verdict['because'])}"
        )
    _reject(f"Run {view['id']} ({purpose}) is not valid: {reason or view['state']}")


def require_answer(view: dict[str, Any]) -> None:
    """Raise InvalidResult if an experiment has not answered its claim. `view`: as the API returns it."""
    if view["state"] == "finished" and view["answer"] in ("holds", "does_not_hold"):
        return
    _reject(f"{view['claim']} has no answer: {view['failure'] or ' '.join(view['because']) or view['state']}")


def require_ranked_comparison(view: dict[str, Any], purpose: str) -> None:
    """Raise InvalidResult if a comparison has no ranking. `view`: the comparison as the API returns it."""
    result = view["result"]
    if view["state"] == "finished" and any(entry["place"] for entry in result["standings"]):
        return
    reason = view["failure"] or (" ".join(result["said"]) if result else view["state"])
    excluded = "; ".join(
        f"run {trial['run']}: {trial['why_not']}" for trial in view["runs"] if trial["why_not"]
    )
    _reject(f"Comparison {view['id']} ({purpose}) has no ranking: {reason} {excluded}".strip())


def _reject(reason: str) -> None:
    if not os.environ.get(SKIP_VARIABLE):
        raise InvalidResult(reason)
