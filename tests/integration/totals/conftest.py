"""Servers of these tests."""

from collections.abc import Iterator

import pytest

from tests.servers.fixtures import need
from tests.servers.stores import Cluster, Redis


@pytest.fixture(scope="session")
def cluster_url() -> Iterator[str]:
    """A Cluster of three Redis primaries, for the session."""
    with Cluster(need(Redis)) as started:
        yield started.url
