"""Steps in queues that are pods, without a job, a plan or an image: for tests of those who watch them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runplane.events.event import NewEvent
from runplane.events.run import Run
from runplane.executors.contract import StepOrder
from runplane.executors.queue_runner import POD
from runplane.kube.names import step_job_name
from runplane.storage.contract import AttemptRef
from runplane.storage.step_queues import QueuedStep

RUN = Run("2b5a9f0e-63c5-4f6e-8f3e-7f4f2f1d9a11", "alone")


class BarePods:
    """Steps that are pods, of as little manifest as there can be. See ``StepKind``."""

    is_apart = True

    def __init__(self, instance_id: str) -> None:
        self._instance_id = instance_id

    def body(self, order: StepOrder, epoch: int) -> Mapping[str, Any]:
        labels = {
            "dagster/run-id": RUN.run_id,
            "runplane/attempt": str(order.ref.n),
            "runplane/instance-id": self._instance_id,
            "app.kubernetes.io/component": "step_worker",
        }
        meta = {"labels": labels, "annotations": {"runplane/step-key": order.ref.step}}
        template = {"metadata": meta, "spec": {"containers": [{"name": "dagster", "image": "i"}]}}
        name = step_job_name(RUN.run_id, order.ref.step, order.ref.n - 1)
        return {
            "kind": POD,
            "namespace": "default",
            "manifest": {"metadata": {"name": name, **meta}, "spec": {"backoffLimit": 0, "template": template}},
            "access": {"load_incluster_config": None, "kubeconfig_file": None},
            "start_timeout_s": None,
            "wait_timeout_s": 0,
        }

    def launching(self, ref: AttemptRef) -> Sequence[NewEvent]:
        return ()

    def taken(self, ref: AttemptRef, by: QueuedStep) -> Sequence[NewEvent]:
        return ()
