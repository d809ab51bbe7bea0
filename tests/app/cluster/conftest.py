"""A cluster with certificates. A module that uses it has a fixture `network` with its hosts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.cluster.members import TlsCluster
from tests.app.cluster.network import Network


@pytest.fixture
def cluster(network: Network, tmp_path: Path) -> Iterator[TlsCluster]:
    """A cluster on the hosts of `network`, without any member."""
    with contextlib.closing(TlsCluster(network, tmp_path)) as cluster:
        yield cluster
