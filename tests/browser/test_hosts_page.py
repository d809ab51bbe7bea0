"""The page of the hosts: this machine alone, and a host of a cluster that joins and is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.app.cluster.members import Member, threadlab
from tests.app.driver import LabMaker

from .conftest import Opener, PagePool
from .test_every_page import NARROW, fits


@pytest.fixture
def scheduler() -> Iterator[Member]:
    """A scheduler without hosts."""
    listen = ("--listen", "tcp://127.0.0.1:0")
    with closing(Member(threadlab("cluster", "up", "--workers", "0", *listen))) as member:
        member.wait_printed("Scheduler: ")
        yield member


@pytest.fixture
def visit_cluster(
    scheduler: Member, page_pool: PagePool, make_lab: LabMaker, tmp_path: Path
) -> Iterator[tuple[Opener, str]]:
    """Open pages of a lab with a cluster, whose address is the second value."""
    (line,) = (line for line in scheduler.output.splitlines() if line.startswith("Scheduler: "))
    address = line.split()[1]
    opener = Opener(page_pool, make_lab("--cluster", address, data_dir=tmp_path))
    yield opener, address
    opener.close()


def test_without_a_cluster_there_is_this_machine_and_how_to_start_one(visit: Opener) -> None:
    page = visit("/hosts").page
    expect(page.locator("#hosts tbody tr")).to_have_count(1)
    expect(page.locator("#hosts tbody tr")).to_contain_text("this machine")
    expect(page.locator("#hosts")).to_contain_text("threadlab cluster up")


@pytest.mark.full  # three processes and a lab: 8 s
def test_a_host_appears_when_it_joins_and_is_lost_when_it_ends(visit_cluster: tuple[Opener, str]) -> None:
    visit, address = visit_cluster
    page = visit("/hosts").page
    hosts = page.locator("#hosts")
    expect(hosts).to_contain_text("No host has joined.")
    with closing(Member(threadlab("worker", address, "--name", "far", "--roles", "load"))):
        row = page.get_by_role("row", name="far")
        expect(row.locator("[data-label=State]")).to_have_text("ready")
        expect(row.locator("[data-label=Roles]")).to_have_text("load")
        expect(hosts).not_to_contain_text("No host has joined.")
        page.set_viewport_size({"width": NARROW, "height": 800})
        fits(page, NARROW)
    expect(row.locator("[data-label=State]")).to_have_text("lost")
    expect(row.locator("[data-label=Now]")).to_contain_text("It has left the cluster")
    expect(row.locator("[data-label='Round trip']")).to_have_text("–")
