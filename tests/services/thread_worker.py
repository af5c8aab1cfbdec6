"""A worker of queues in a thread of the test's own process, for steps that are pods: nothing of it is a process that would be left over."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from runplane.errors import NotFoundError
from runplane.instance.instance import Instance
from runplane.kube.access import ClusterAccess, cluster_access
from runplane.kube.client import KubeClient
from runplane.kube.create_limit import CreateLimit
from runplane.storage.step_queues import StepQueues
from runplane.workers.queue_hints import FromDatabase
from runplane.workers.queue_pods import PodSteps
from runplane.workers.queue_worker import QueueWorker


class ThreadWorker:
    """Takes from the database; ends with ``close``, and hands its pods over.

    Args:
        instance: its own, closed with it.
        kubeconfig: of the cluster; None: it has no way there.
    """

    def __init__(
        self, instance: Instance, kubeconfig: Path | None, queues: Sequence[str] = ("dagster",), slots: int = 4
    ) -> None:
        self._instance = instance
        self.said: list[str] = []

        def find_access() -> ClusterAccess:
            if kubeconfig is None:
                raise NotFoundError("there is no cluster")
            return cluster_access(load_incluster_config=False, kubeconfig_file=str(kubeconfig))

        def make_client(found: ClusterAccess) -> KubeClient:
            return KubeClient(found, limit=CreateLimit(None))

        stored = StepQueues(instance.database, ttl_s=instance.lease_ttl_s)
        self.worker = QueueWorker(
            instance,
            FromDatabase(stored),
            name="in a thread",
            queues=queues,
            slots=slots,
            grace_s=5.0,
            say=self.said.append,
            tell=lambda _: None,
            make_pods=lambda wants: PodSteps(instance.instance_id, find_access, wants, make_client),
        )
        self._thread = threading.Thread(target=self.worker.run, name="worker of queues", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave, as it does after SIGTERM."""
        self.worker.leave()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._instance.close()
