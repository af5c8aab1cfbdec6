"""A cluster in memory, and our client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.kube.access import cluster_access
from runplane.kube.client import KubeClient
from runplane.kube.create_limit import CreateLimit
from runplane.testing.fake_cluster import FakeCluster
from runplane.testing.fake_cluster.pods import Script, runs


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster(lambda pod: Script(runs)) as made:
        yield made
        assert made.errors == []


@pytest.fixture
def client(cluster: FakeCluster, tmp_path: Path) -> Iterator[KubeClient]:
    made = KubeClient(cluster_access(kubeconfig_file=str(cluster.kubeconfig(tmp_path))), limit=CreateLimit(None))
    yield made
    made.close()
