"""Static files under an address that has their version in it, so that a browser keeps them for ever.

`/static/v-1a2b3c/js/pages/lab.js`: modules import each other by relative paths, and so stay in one version. Without one
an address works as well, and is asked again each time.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from app import paths

MARK = "v-"
WORTH_PACKING_BYTES = 1024
FOR_EVER, EACH_TIME = "public, max-age=31536000, immutable", "no-cache"


@cache
def version(folder: Path = paths.STATIC) -> str:
    """The same for the same files: some 5 ms."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return MARK + digest.hexdigest()[:12]


def address(path: str) -> str:
    """Where a page finds a file of static/."""
    return f"/static/{version()}/{path}"


def static_files() -> ASGIApp:
    """The application under /static, packed for who can unpack."""
    return GZipMiddleware(_Versioned(directory=paths.STATIC), minimum_size=WORTH_PACKING_BYTES)


class _Versioned(StaticFiles):
    """Static files with or without a version before their path. Another version is another page's: there is none."""

    def get_path(self, scope: Scope) -> str:
        path = super().get_path(scope)
        first, _, rest = path.partition("/")
        scope["kept"] = first == version()
        return rest if scope["kept"] else path

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = FOR_EVER if scope["kept"] else EACH_TIME
        return response
