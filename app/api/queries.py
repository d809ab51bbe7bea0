"""Which runs a list is to have, as an address says it: the API's calls and the page take the same words."""

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
    """A day begins with its midnight."""
    return _moment(f"{day}T00:00:00Z" if (day := _day(text)) else text)


def _until(text: str) -> str:
    """A day is meant to its end."""
    if day := _day(text):
        try:
            text = f"{day + timedelta(days=1)}T00:00:00Z"
        except OverflowError:
            raise ValueError("no calendar goes that far") from None
    return _moment(text)


def _day(text: str) -> date | None:
    """In whatever way ISO 8601 writes one: 2026-11-24, 20261124, 2026-W48-2. None: it is no day, or has a time."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _moment(text: str) -> str:
    """As runs keep their times, so that texts compare as the times do."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return rfc3339(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise ValueError(
            f"write a day or a time like 2026-11-24 or 2026-11-24T15:30:00Z, not {text[:40]!r}"
        ) from None


class RunQuery(BaseModel):
    """Which runs; what is left out does not matter."""

    model: Text | None = None
    scenario: Text | None = Field(None, description="a scenario's name, or by-hand")
    verdict: VerdictName | None = None
    state: RunState | None = None
    rankable: bool | None = None
    comparison: Annotated[int, Field(ge=1, le=ID_MAX)] | None = None
    text: Text | None = Field(None, description="words that are all in label, title, plan, engine or knobs")
    since: Annotated[Text, AfterValidator(_since)] | None = Field(
        None, description="a day, or a time (RFC 3339)"
    )
    until: Annotated[Text, AfterValidator(_until)] | None = Field(
        None, description="up to the end of that day, or time"
    )
    sort: Literal["newest", "oldest", "rate", "p99", "cpu"] = Field(
        "newest", description="rate: highest first; p99 and cpu (a request): lowest first"
    )

    @property
    def filter(self) -> RunFilter:
        return RunFilter(**{name: getattr(self, name) for name in RunQuery.model_fields})


class RunPage(RunQuery):
    """A page of them."""

    limit: int = Field(100, ge=1, le=500)
    offset: int = Field(0, ge=0, le=10**9)
