"""The suite that the cluster in memory passes too, on a real one: what is believed of Kubernetes is asked of Kubernetes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cluster.clusters import Cluster
from cluster.pods import CONTAINER_SECURITY, POD_SECURITY
from cluster_behaviour import SCRIPTS, ClusterBehaviour, Place
from runplane.kube.access import cluster_access
from runplane.kube.client import KubeClient
from runplane.kube.create_limit import CreateLimit

PATIENCE_S = 120.0


class TestRealCluster(ClusterBehaviour):
    @pytest.fixture
    def place(self, real_cluster: Cluster, namespace: str, workflows_image: str) -> Iterator[Place]:
        def pod_spec(does: str) -> dict[str, Any]:
            container = {
                "name": "main",
                "image": workflows_image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", SCRIPTS[does]],
                "securityContext": CONTAINER_SECURITY,
            }
            return {"restartPolicy": "Never", "securityContext": POD_SECURITY, "containers": [container]}

        client = KubeClient(cluster_access(kubeconfig_file=str(real_cluster.kubeconfig)), limit=CreateLimit(None))
        yield Place(client, namespace, pod_spec, PATIENCE_S)
        client.close()
