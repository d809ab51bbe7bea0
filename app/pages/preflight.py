"""The A/A pair that was measured last, as pages show it before an experiment starts. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from app.experiments.calibration import pair_text
from app.schemas.experiment import ExperimentView


@dataclass(frozen=True, slots=True)
class PairLine:
    """The last A/A pair. `is_quiet`: None if none was measured under the present conditions."""

    text: str
    is_quiet: bool | None
    measured_at: str | None


def pair_line(calibrated: ExperimentView | None) -> PairLine:
    """Return the line of the A/A pair. `calibrated`: the newest experiment that has one."""
    if calibrated is None or calibrated.calibration is None:
        return PairLine("not yet measured", None, None)
    pair = calibrated.calibration
    at = pair.measured_at or calibrated.finished_at or calibrated.created_at
    return PairLine(pair_text(pair), not pair.noisy, at)
