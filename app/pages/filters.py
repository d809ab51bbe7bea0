"""The filter of the runs page: its values, its problems, and URLs that keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from pydantic import ValidationError

from app import validation
from app.api.queries import RunQuery
from app.api.specs import TEXT_MAX
from app.store.listing import RunFilter

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class FilterForm:
    """The values of the filter form, its problems by field, and the filter from the valid fields."""

    values: Mapping[str, str]
    problems: Mapping[str, str]
    filter: RunFilter

    @property
    def is_set(self) -> bool:
        """Whether a field other than the order is set."""
        return any(name != "sort" for name in self.values)

    def query(self, **more: object) -> str:
        """Return the query string of this filter: `?model=reactor&offset=50`; empty if no field is set."""
        parameters = {**self.values, **{name: value for name, value in more.items() if value}}
        return f"?{urlencode(parameters)}" if parameters else ""


def read(query_params: Mapping[str, str]) -> FilterForm:
    """Parse a filter. A field that is invalid becomes a problem and is left out of the filter."""
    # One character over the limit is enough to reject the text, and keeps the links of the page short.
    texts = {name: query_params.get(name, "").strip() for name in RunQuery.model_fields}
    values = {name: text[: TEXT_MAX + 1] for name, text in texts.items() if text}
    problems: dict[str, str] = {}
    try:
        query = RunQuery.model_validate(values)
    except ValidationError as error:
        problems = {str(each["loc"][0]): validation.sentence(each) for each in error.errors()}
        query = RunQuery.model_validate(
            {name: value for name, value in values.items() if name not in problems}
        )
    return FilterForm(values, problems, query.filter)
