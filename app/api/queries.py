"""Query parameters that filter a list of runs, for the API and the page."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from app.api.specs import Text
from app.runs.queue import ID_MAX
from app.schemas.states import RunState, VerdictName
from app.store.listing import RunFilter
from app.timestamps import rfc3339


def _since(text: str) -> str:
    """Return the start of a day, or a time, as a timestamp."""
    return _timestamp(f"{day}T00:00:00Z" if (day := _day(text)) else text)


def _until(text: str) -> str:
    """Return the end of a day, or a time, as a timestamp."""
    if day := _day(text):
        try:
            text = f"{day + timedelta(days=1)}T00:00:00Z"
        except OverflowError:
            raise ValueError("the day is out of range") from None
    return _timestamp(text)


def _day(text: str) -> date | None:
    """Return a day in ISO 8601 (2026-11-24, 20261124, 2026-W48-2); None if the text is not only a day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _timestamp(text: str) -> str:
    """Return a timestamp in the format of stored runs, in which text order is time order."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return rfc3339(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise ValueError(
            f"write a day or a time like 2026-11-24 or 2026-11-24T15:30:00Z, not {text[:40]!r}"
        ) from None


class RunQuery(BaseModel):
    """A filter of runs. Omitted parameters match every run."""

    model: Text | None = None
    scenario: Text | None = Field(None, description="name of a scenario, or by-hand for a custom load")
    verdict: VerdictName | None = None
    state: RunState | None = None
    rankable: bool | None = None
    comparison: Annotated[int, Field(ge=1, le=ID_MAX)] | None = None
    text: Text | None = Field(
        None, description="words, each of which occurs in label, title, plan, engine, knobs or comment"
    )
    since: Annotated[Text, AfterValidator(_since)] | None = Field(
        None, description="a day or a time (RFC 3339)"
    )
    until: Annotated[Text, AfterValidator(_until)] | None = Field(
        None, description="a day, which is included, or a time"
    )
    sort: Literal["newest", "oldest", "rate", "p99", "cpu"] = Field(
        "newest", description="rate: highest first; p99 and cpu (per request): lowest first"
    )

    @property
    def filter(self) -> RunFilter:
        """The filter as the store takes it."""
        return RunFilter(**{name: getattr(self, name) for name in RunQuery.model_fields})


class RunPageQuery(RunQuery):
    """A filter of runs, and the page of the list."""

    limit: int = Field(100, ge=1, le=500)
    offset: int = Field(0, ge=0, le=10**9)


Seconds = Annotated[float, Field(ge=0, le=10**6, allow_inf_nan=False)]


class TimeRangeQuery(BaseModel):
    """A part of a run, in seconds from the start of its warm-up."""

    from_s: Seconds | None = Field(None, description="omitted: from the start of the warm-up")
    to_s: Seconds | None = Field(None, description="omitted: to the end of the measured time")
