"""A runner of steps as Jobs on a bench: a cluster in memory, configuration that is data of a test, and what the runner tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runplane.engine.snapshot import StepPlan
from runplane.events.kinds import EventKind
from runplane.events.run import Run
from runplane.executors.contract import RunnerNote, StepGone, StepOrder, StepRefused
from runplane.executors.k8s_runner import K8sJobRunner
from runplane.kube.adoption import identity
from runplane.kube.client import KubeClient
from runplane.kube.follower import Pace
from runplane.storage.contract import AttemptRef
from runplane.testing.fake_cluster import FakeCluster, FakePod
from runplane.testing.step_runner_contract import Heard

NS = "default"
RUN = Run("2b5a9f0e-63c5-4f6e-8f3e-7f4f2f1d9a11", "alone")
SELECTOR = "dagster/run-id=r"
PACE = Pace(stall_s=5.0, list_s=0.2, first_pause_s=0.02, longest_away_s=0.2, refused_s=0.2)


@dataclass(frozen=True)
class Rendered:
    manifest: Mapping[str, Any]


@dataclass
class Jobs:
    """In place of the configuration: what the runner asks of ``StepJobs``."""

    owner: Mapping[str, Any] | None = None
    start_timeout: float | None = None
    spec: dict[str, Any] = field(default_factory=dict)
    instance: str = "i"

    def name(self, ref: AttemptRef) -> str:
        return f"job-{ref.step}-{ref.n}"

    def start_timeout_s(self, step: StepPlan) -> float | None:
        return self.start_timeout

    def is_of(self, job: Mapping[str, Any], ref: AttemptRef) -> bool:
        return bool(identity(job) == identity(self.manifest(ref)))

    def render(self, order: StepOrder) -> Rendered:
        return Rendered(self.manifest(order.ref))

    def manifest(self, ref: AttemptRef) -> dict[str, Any]:
        labels = {"dagster/run-id": "r", "runplane/attempt": str(ref.n), "runplane/instance-id": self.instance}
        meta = {"labels": labels, "annotations": {"runplane/step-key": ref.step}}
        template = {"metadata": meta, "spec": {"containers": [{"name": "dagster", "image": "i"}]}}
        owned = {"ownerReferences": [self.owner]} if self.owner else {}
        return {
            "metadata": {"name": self.name(ref), **meta, **owned},
            "spec": {"backoffLimit": 0, "template": template, **self.spec},
        }


def order(step: str = "a", n: int = 1) -> StepOrder:
    return StepOrder(RUN, StepPlan(step, step, step), AttemptRef(step, n))


A = AttemptRef("a", 1)


class Bench:
    """A runner, what it told, and the cluster it speaks to."""

    def __init__(self, cluster: FakeCluster, client: KubeClient, jobs: Jobs) -> None:
        self.cluster, self.client, self.jobs = cluster, client, jobs
        self.heard = Heard()
        self.runner = K8sJobRunner(self.heard.inbox.put, client, jobs, NS, SELECTOR, PACE)  # type: ignore[arg-type]
        assert self.runner._watch.wait_until_synced(20)

    def starts(self, step: str = "a") -> FakePod:
        """Start it and wait until its pod runs."""
        self.runner.start(order(step))
        name = self.jobs.name(AttemptRef(step, 1))
        is_there = lambda: any(
            p["metadata"]["labels"]["job-name"] == name and p["status"]["phase"] == "Running"
            for p in self.cluster.all_pods()
        )
        self.cluster.wait_for("its pod", is_there)
        return self.cluster.pod_of(name)

    def gone(self, ref: AttemptRef = A) -> StepGone:
        self.heard.until(lambda: bool(self.heard.gone(ref)))
        assert len(self.heard.gone(ref)) == 1
        return self.heard.gone(ref)[0]

    def refused(self) -> StepRefused:
        def found() -> list[StepRefused]:
            return [s for s in self.heard.signals if isinstance(s, StepRefused)]

        self.heard.until(lambda: bool(found()), 12)
        return found()[0]

    def notes(self) -> list[str]:
        self.heard.take()
        told = [e for s in self.heard.signals if isinstance(s, RunnerNote) for e in s.events]
        assert {e.kind for e in told} <= {EventKind.ENGINE_EVENT}
        return [e.body["message"] for e in told]

    def nothing_is_told(self, ref: AttemptRef = A) -> None:
        """Another attempt's end is told, and so this one's would have been: what is told is in order."""
        pod = self.starts("other")
        pod.exited(3)
        self.gone(AttemptRef("other", 1))
        assert not self.heard.ended(ref), f"the end of {ref.step} was told"
