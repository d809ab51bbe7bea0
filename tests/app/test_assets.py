"""Static files: cached forever with a version in the URL, revalidated without one, and compressed."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest

from app import assets
from tests.app.driver import LabProcess

IMPORTS = re.compile(r'(?:from|import)\s*\(?\s*"(\.\.?/[^"]+)"')


def test_every_file_of_a_page_is_cached_forever_and_compressed(lab: LabProcess) -> None:
    urls = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', lab.http.get("/").text))
    assert len(urls) > 3
    for url in urls:
        assert url.startswith(f"/static/{assets.version()}/")
        answer = lab.http.get(url)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers.get("content-encoding") == ("gzip" if len(answer.content) >= 1024 else None), (
            url
        )


def test_modules_import_each_other_in_the_same_version(lab: LabProcess) -> None:
    """Relative URLs keep the version."""
    site = lab.http.get(assets.url("js/pages/all-pages.js"))
    names = IMPORTS.findall(site.text)
    assert names and all(lab.http.get(urljoin(str(site.url), name)).is_success for name in names)


def test_a_file_without_a_version_is_revalidated(lab: LabProcess) -> None:
    answer = lab.http.get("/static/js/pages/all-pages.js")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
    again = lab.http.get("/static/js/pages/all-pages.js", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path", ["v-0123456789ab/js/pages/all-pages.js", "../app/main.py", "%2e%2e/app/main.py", "js/none.js"]
)
def test_another_version_and_missing_files_are_not_found(lab: LabProcess, path: str) -> None:
    assert lab.http.get(f"/static/{path}").status_code == 404


def test_a_client_without_gzip_gets_uncompressed_files(lab: LabProcess) -> None:
    answer = lab.http.get(assets.url("js/pages/all-pages.js"), headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 200 and "content-encoding" not in answer.headers


def test_pages_are_not_cached(lab: LabProcess) -> None:
    assert lab.http.get("/").headers["cache-control"] == "no-store"


def test_every_page_has_the_icon_of_the_lab(lab: LabProcess) -> None:
    for path in ("/", "/login", "/nowhere"):
        assert f'<link rel="icon" type="image/svg+xml" href="{assets.url("favicon.svg")}">' in (
            lab.http.get(path).text
        )
    icon = lab.http.get(assets.url("favicon.svg"))
    assert icon.headers["content-type"].startswith("image/svg+xml")
    assert "<style" not in icon.text and "style=" not in icon.text, "its own policy forbids inline styles"
