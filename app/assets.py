"""Static files under URLs that contain their version, so that browsers can cache them forever.

In `/static/v-1a2b3c/js/pages/home.js` modules import each other by relative URLs, so all are of one version.
A URL without a version works too, and is revalidated each time.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from app import paths

VERSION_PREFIX = "v-"
CACHE_FOREVER, REVALIDATE = "public, max-age=31536000, immutable", "no-cache"


@cache
def version(folder: Path = paths.STATIC) -> str:
    """Return a hash of all files of a folder. Takes about 5 ms, once."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return VERSION_PREFIX + digest.hexdigest()[:12]


def url(path: str) -> str:
    """Return the URL path of a file in static/, with its version."""
    return f"/static/{version()}/{path}"


def static_files() -> ASGIApp:
    """Return the application for /static."""
    return _VersionedFiles(directory=paths.STATIC)


class _VersionedFiles(StaticFiles):
    """Static files with or without the current version before their path; another version is 404."""

    def get_path(self, scope: Scope) -> str:
        path = super().get_path(scope)
        first, _, rest = path.partition("/")
        scope["has_version"] = first == version()
        return rest if scope["has_version"] else path

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = CACHE_FOREVER if scope["has_version"] else REVALIDATE
        return response
