"""Static files: kept by browsers under an address with their version, asked for again under any other, and packed."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest

from app import assets
from tests.app.driver import LabProcess

IMPORTS = re.compile(r'(?:from|import)\s*\(?\s*"(\.\.?/[^"]+)"')


def test_every_file_of_a_page_is_kept_for_ever_and_packed(lab: LabProcess) -> None:
    found = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', lab.http.get("/").text))
    assert len(found) > 3
    for address in found:
        assert address.startswith(f"/static/{assets.version()}/")
        answer = lab.http.get(address)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers.get("content-encoding") == ("gzip" if len(answer.content) >= 1024 else None), (
            address
        )


def test_modules_import_each_other_in_the_same_version(lab: LabProcess) -> None:
    """By relative paths, so that the version in their address is kept."""
    site = lab.http.get(assets.address("js/pages/all-pages.js"))
    names = IMPORTS.findall(site.text)
    assert names and all(lab.http.get(urljoin(str(site.url), name)).is_success for name in names)


def test_without_a_version_it_is_asked_for_each_time(lab: LabProcess) -> None:
    answer = lab.http.get("/static/js/pages/all-pages.js")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
    again = lab.http.get("/static/js/pages/all-pages.js", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


UNKNOWN = ("v-0123456789ab/js/pages/all-pages.js", "../app/main.py", "%2e%2e/app/main.py", "js/none.js")


@pytest.mark.parametrize("path", UNKNOWN)
def test_another_version_and_what_is_no_file_are_not_there(lab: LabProcess, path: str) -> None:
    assert lab.http.get(f"/static/{path}").status_code == 404


def test_who_cannot_unpack_gets_it_as_it_is(lab: LabProcess) -> None:
    answer = lab.http.get(assets.address("js/pages/all-pages.js"), headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 200 and "content-encoding" not in answer.headers


def test_pages_are_never_kept(lab: LabProcess) -> None:
    assert lab.http.get("/").headers["cache-control"] == "no-store"
