"""The request of the work kind `http`, and which of its headers are secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

MASKED = "[masked]"  # in place of the value of a secret header
_SECRET_NAMES = frozenset(("authorization", "proxy-authorization", "cookie"))
_SECRET_PARTS = ("token", "secret", "api-key", "apikey", "password")
_LABEL_PATH_HEAD, _LABEL_PATH_TAIL = 50, 30  # characters of a long path


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to any server.

    - `path`: with its query string. `method`: in capitals. `headers`: without those that the generator sets.
    - `body`: sent as UTF-8.
    - `status`: the status that the response must have.
    """

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    status: int = 200

    @property
    def title(self) -> str:
        """Method and path; the middle of a long path is left out."""
        path = self.path
        if len(path) > _LABEL_PATH_HEAD + _LABEL_PATH_TAIL:
            path = f"{path[:_LABEL_PATH_HEAD]}…{path[-_LABEL_PATH_TAIL:]}"
        return f"{self.method} {path}"


PARAMETERS = tuple(each.name for each in fields(HttpRequest))


def is_secret(header: str) -> bool:
    """Return whether the value of a header is masked wherever a plan leaves the memory of the lab."""
    name = header.lower()
    return name in _SECRET_NAMES or any(part in name for part in _SECRET_PARTS)


def masked(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request with the values of secret headers masked."""
    if not (headers := params.get("headers")):
        return dict(params)
    return {
        **params,
        "headers": {name: MASKED if is_secret(name) else value for name, value in headers.items()},
    }
