"""The cluster in memory does what a real one does (``tests/real/kubernetes/test_cluster_behaves.py`` asks that)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_behaviour import SCRIPTS, ClusterBehaviour, Place
from runplane.kube.access import cluster_access
from runplane.kube.client import KubeClient
from runplane.kube.create_limit import CreateLimit
from runplane.testing.fake_cluster import FakeCluster, FakePod
from runplane.testing.fake_cluster.pods import Script, runs

PATIENCE_S = 30.0


def program(pod: FakePod) -> Script:
    """As the shell's script of that name."""
    does = pod.labels["does"].replace("-", " ")
    assert does in SCRIPTS
    if does == "ends well":
        pod.log(lambda: "one\ntwo\nthree\n")
    code = {"ends well": 0, "ends badly": 3}.get(does)
    start = runs if code is None else lambda p: (runs(p), p.exited(code))
    return Script(start, (lambda p: p.after(1.0, lambda q: q.exited(143))) if does == "lingers" else None)


class TestFakeCluster(ClusterBehaviour):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[Place]:
        with FakeCluster(program) as cluster:
            access = cluster_access(kubeconfig_file=str(cluster.kubeconfig(tmp_path)))
            client = KubeClient(access, limit=CreateLimit(None))
            yield Place(client, "default", lambda does: {"containers": [{"name": "main", "image": "i"}]}, PATIENCE_S)
            client.close()
            assert cluster.errors == []
