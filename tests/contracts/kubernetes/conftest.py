"""A cluster in memory, and our client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runplane.kube.access import cluster_access
from runplane.kube.client import KubeClient
from runplane.kube.create_limit import CreateLimit
from runplane.testing.fake_cluster import FakeCluster
from runplane.testing.fake_cluster.pods import Script, runs
from services.kubernetes_room import KubernetesRoom, MakeRoom


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


@pytest.fixture
def make_room(tmp_path: Path) -> Iterator[MakeRoom]:
    """Makes a room with this ``run_monitoring``; its database is a file unless a test gives another."""
    made: list[KubernetesRoom] = []

    def make(monitoring: Any = None, database: str = "", **more: Any) -> KubernetesRoom:
        storage = {"database": database or str(tmp_path / "runs.db"), "schema": "runplane"}
        made.append(KubernetesRoom(tmp_path, storage, monitoring or {}, **more))
        return made[-1]

    yield make
    for room in made:
        room.close()
