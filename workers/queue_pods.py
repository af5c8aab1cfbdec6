"""The pods whose slots a worker holds: it creates their Jobs, sees their ends, and hands them over when it leaves.

A slot costs no thread. All pods in one namespace are watched together (``K8sJobRunner``: two watches, one thread that decides, a few that
make calls), whichever run they belong to. What is told of a pod waits here until the worker's main thread takes it.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..engine.snapshot import StepPlan
from ..events.causes import FailureCause
from ..events.event import NewEvent
from ..executors.contract import PartFailed, RunnerNote, RunnerSignal, StepGone, StepOrder, StepRefused
from ..executors.k8s_runner import K8sJobRunner
from ..executors.k8s_step_jobs import is_jobs_attempt
from ..kube.access import ClusterAccess, cluster_access
from ..kube.client import KubeClient
from ..kube.job_facts import INSTANCE_LABEL, RenderedJob
from ..kube.names import step_job_name
from ..storage.contract import AttemptRef
from .unread_pods import Key, WantsLines

GRACE_S = 30.0
"""For a pod whose worker has waited long enough."""


class PodRef(AttemptRef):
    """An attempt among those of many runs."""

    run_id: str

    def __new__(cls, run_id: str, ref: AttemptRef) -> PodRef:
        """The attempt `ref` of run `run_id`."""
        made = super().__new__(cls, ref.step, ref.n)
        made.run_id = run_id
        return made

    @property
    def key(self) -> Key:
        """As the worker knows it."""
        return self.run_id, AttemptRef(self.step, self.n)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PodRef) and self.key == other.key

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.key)


def _key(ref: AttemptRef) -> Key:
    assert isinstance(ref, PodRef)
    return ref.key


class StoredJobs:
    """The Jobs of attempts that were rendered by their runs' coordinators. See ``AttemptJobs``."""

    owner: Mapping[str, Any] | None = None

    def name(self, ref: AttemptRef) -> str:
        """See ``AttemptJobs``."""
        assert isinstance(ref, PodRef)
        return step_job_name(ref.run_id, ref.step, ref.n - 1)

    def is_of(self, job: Mapping[str, Any], ref: AttemptRef) -> bool:
        """See ``AttemptJobs``."""
        assert isinstance(ref, PodRef)
        return is_jobs_attempt(job, ref.run_id, ref)

    def render(self, order: StepOrder) -> RenderedJob:
        """Never asked: a worker holds what is rendered."""
        raise AssertionError(f"nobody orders {order.ref} from a worker of queues")

    def start_timeout_s(self, step: StepPlan) -> float | None:
        """As ``render``."""
        raise AssertionError(f"nobody orders {step.key} from a worker of queues")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where Jobs are, and by which way."""

    in_cluster: bool | None
    kubeconfig_file: str | None
    namespace: str


@dataclass(slots=True)
class _Held:
    """`until`: when this worker has waited long enough, on the monotonic clock; None: it waits without end."""

    runner: K8sJobRunner
    ref: PodRef
    until: float | None
    wait_timeout_s: float
    is_ending: bool = False
    is_overdue: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What has become of pods: evidence of those that ended, as the queue keeps it, and events for their runs' logs."""

    ended: Mapping[Key, Mapping[str, Any]]
    notes: Mapping[str, list[NewEvent]]


class PodSteps:
    """See the module. All methods are for one thread.

    Args:
        instance_id: whose Jobs are watched.
        default_access: the way to the cluster where a run's executor names none.
        wants_lines: whether what the pod of an attempt printed last is to be told; see ``K8sJobRunner``.
        make_client: made of an access.
    """

    def __init__(
        self,
        instance_id: str,
        default_access: Callable[[], ClusterAccess],
        wants_lines: WantsLines,
        make_client: Callable[[ClusterAccess], KubeClient] = KubeClient,
    ) -> None:
        self._selector = f"{INSTANCE_LABEL}={instance_id},app.kubernetes.io/component=step_worker"
        self._default_access = default_access
        self._wants_lines = wants_lines
        self._make_client = make_client
        self._runners: dict[_Place, K8sJobRunner] = {}
        self._held: dict[Key, _Held] = {}
        self._signals: queue.SimpleQueue[RunnerSignal] = queue.SimpleQueue()

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: Key) -> bool:
        return key in self._held

    def keys(self) -> set[Key]:
        """What is held."""
        return set(self._held)

    def hold(self, key: Key, body: Mapping[str, Any], *, may_create: bool, waited_s: float = 0.0) -> None:
        """Hold a slot for this attempt until its pod is gone.

        Args:
            body: as its coordinator stored it.
            may_create: its Job is created unless it is there; else it is only looked for.
            waited_s: how long it was held before.

        Raises:
            RunplaneError: there is no way to the cluster.
        """
        runner, ref = self._runner(body), PodRef(*key)
        limit = float(body["wait_timeout_s"])
        until = time.monotonic() + limit - waited_s if limit > 0 else None
        self._held[key] = _Held(runner, ref, until, limit)
        runner.hold(ref, body["manifest"] if may_create else None, body["start_timeout_s"])

    def end(self, key: Key, grace_s: float) -> None:
        """Delete the Job and its pods; that it is over is told when they are proven gone. Asked again it does nothing."""
        held = self._held[key]
        if not held.is_ending:
            held.is_ending = True
            held.runner.stop(held.ref, grace_s, FailureCause.CANCELED)

    def drop(self, key: Key) -> None:
        """Another worker holds it."""
        held = self._held.pop(key)
        held.runner.drop(held.ref)

    def end_overdue(self) -> None:
        """End what has been waited for long enough."""
        now = time.monotonic()
        for held in self._held.values():
            if held.until is not None and not held.is_ending and now >= held.until:
                held.is_ending = held.is_overdue = True
                held.runner.stop(held.ref, GRACE_S, FailureCause.TIMED_OUT)

    def told(self) -> Told:
        """What was told since it was asked last.

        Raises:
            Exception: what ended a thread that watches pods.
        """
        ended: dict[Key, Mapping[str, Any]] = {}
        notes: dict[str, list[NewEvent]] = {}
        while not self._signals.empty():
            signal = self._signals.get()
            if isinstance(signal, PartFailed):
                raise signal.error
            if isinstance(signal, (StepGone, StepRefused)):
                assert isinstance(signal.ref, PodRef)
                held = self._held.pop(signal.ref.key, None)
                if held is not None:
                    ended[signal.ref.key] = _evidence(signal, held)
            elif isinstance(signal, RunnerNote):
                assert isinstance(signal.ref, PodRef)
                notes.setdefault(signal.ref.run_id, []).extend(signal.events)
        return Told(ended, notes)

    def close(self) -> None:
        """Let go: the pods go on, and another worker adopts them."""
        for runner in self._runners.values():
            runner.close()
        self._runners.clear()
        self._held.clear()

    def _runner(self, body: Mapping[str, Any]) -> K8sJobRunner:
        access = body["access"]
        place = _Place(access["load_incluster_config"], access["kubeconfig_file"], body["namespace"])
        found = self._runners.get(place)
        if found is None:
            client = self._make_client(self._access(place))
            found = self._runners[place] = K8sJobRunner(
                self._signals.put,
                client,
                StoredJobs(),
                place.namespace,
                self._selector,
                wants_lines=lambda ref: self._wants_lines(_key(ref)),
            )
        return found

    def _access(self, place: _Place) -> ClusterAccess:
        if place.in_cluster is None and place.kubeconfig_file is None:
            return self._default_access()
        return cluster_access(load_incluster_config=place.in_cluster, kubeconfig_file=place.kubeconfig_file)


def _evidence(signal: StepGone | StepRefused, held: _Held) -> dict[str, Any]:
    if isinstance(signal, StepRefused):
        return {"refused": True, "text": signal.evidence}
    text = signal.evidence
    if held.is_overdue:
        text = f"its worker waited for it for {held.wait_timeout_s:g} s (job_wait_timeout): {text}"
    return {"cause": signal.cause.value, "text": text}
