"""The filter of the runs page: what was typed, what is wrong with it, and the addresses that carry it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from pydantic import ValidationError

from app.api.queries import RunQuery
from app.api.specs import TEXT_MAX
from app.store.listing import RunFilter

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class FilterForm:
    """What stands in its fields, the problem of each that has one, and the filter that the others make."""

    values: Mapping[str, str]
    problems: Mapping[str, str]
    filter: RunFilter

    @property
    def is_set(self) -> bool:
        return any(name != "sort" for name in self.values)

    def query(self, **more: object) -> str:
        """The query of an address with this filter in it: `?model=reactor&offset=50`; empty for no filter."""
        given = {**self.values, **{name: value for name, value in more.items() if value}}
        return f"?{urlencode(given)}" if given else ""


def read(typed: Mapping[str, str]) -> FilterForm:
    """Read a filter; what cannot be read is told, and left out."""
    # One character over the bound is refused as any number would be, and the page's links carry no more than that.
    values = {
        name: text for name in RunQuery.model_fields if (text := typed.get(name, "").strip()[: TEXT_MAX + 1])
    }
    problems: dict[str, str] = {}
    try:
        query = RunQuery.model_validate(values)
    except ValidationError as error:
        problems = {str(each["loc"][0]): _sentence(each["msg"]) for each in error.errors()}
        query = RunQuery.model_validate(
            {name: value for name, value in values.items() if name not in problems}
        )
    return FilterForm(values, problems, query.filter)


def _sentence(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{text[:1].upper()}{text[1:]}."
