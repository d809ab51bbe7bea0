"""The part of a run whose figures its page shows: chosen by a drag over a chart, or typed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from app import validation
from app.api.queries import TimeRangeQuery
from app.api.specs import TEXT_MAX
from app.errors import LabError
from app.lab import Lab
from app.schemas.time_range import TimeRange


@dataclass(frozen=True, slots=True)
class RangeForm:
    """The form of a time range: its fields as typed, their problems by field, and the figures if none."""

    typed: Mapping[str, str]
    problems: Mapping[str, str]
    figures: TimeRange | None = None

    @property
    def status(self) -> int:
        """The HTTP status of a page with this form."""
        return 422 if self.problems else 200


WHOLE = RangeForm({}, {})  # no part is chosen


async def read(lab: Lab, id: int, query_params: Mapping[str, str]) -> RangeForm:
    """Return the form of the range in a query string, with the figures of that part of the run."""
    texts = {name: query_params.get(name, "").strip() for name in TimeRangeQuery.model_fields}
    typed = {name: text[:TEXT_MAX] for name, text in texts.items() if text}
    if not typed:
        return WHOLE
    try:
        query = TimeRangeQuery.model_validate(typed)
        figures = await asyncio.to_thread(lab.runs.time_range, id, query.from_s, query.to_s)
    except ValidationError as error:
        return RangeForm(typed, {str(each["loc"][0]): validation.sentence(each) for each in error.errors()})
    except LabError as error:
        return RangeForm(
            typed, {each.pointer[1:]: each.detail for each in error.problems} or {"from_s": error.detail}
        )
    return RangeForm(typed, {}, figures)
