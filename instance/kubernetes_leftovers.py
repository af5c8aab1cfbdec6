"""Cluster and log held against each other, both ways: what is left of runs that are over, and what should be there and is not.

The cluster is read first and the database after it, so that a run or an attempt of which a Job was seen is in what is read: a run is
stored before its Job is made. Before each deletion both are read again, and only that very object is deleted (its uid).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..engine.arcs import AttemptState
from ..events.kinds import EventKind
from ..events.status import RunStatus
from ..kube.access import cluster_access
from ..kube.client import KubeClient, Listing
from ..kube.errors import KubeConflictError
from ..kube.job_facts import INSTANCE_LABEL, RUN_LABEL
from ..kube.leftovers import AttemptEnd, Leftover, RunInLog, leftover, run_of
from ..kube.names import step_job_name
from ..kube.trimmed import job_name_of
from ..launchers.k8s import KIND, K8sRunLauncher
from ..serdes.record import record
from ..storage.contract import AttemptRef, RunFilter
from ..storage.excerpt import Excerpt
from ..storage.watching import WatchedRuns
from .instance import Instance

PAGE = 200
EXECUTOR = "k8s"
"""Name of the executor whose steps are Jobs."""
_ENDS = (
    EventKind.STEP_SUCCESS.value,
    EventKind.STEP_FAILURE.value,
    EventKind.STEP_UP_FOR_RETRY.value,
    EventKind.STEP_SEALED.value,
)
_UNDER_WAY = (RunStatus.STARTING, RunStatus.STARTED, RunStatus.CANCELING)


@record
class Missing:
    """A Job that should be there by the log, and is not: of a run's newest worker, or (with `step`) of an attempt that runs."""

    run_id: str
    namespace: str
    job: str
    step: str | None = None
    attempt: int | None = None


@record
class Compared:
    """What a comparison found, and in which namespaces it looked."""

    leftovers: Sequence[Leftover]
    missing: Sequence[Missing]
    namespaces: Sequence[str]


class KubernetesLeftovers:
    """Compares one instance with the cluster that it makes Jobs in.

    Args:
        instance: the instance.
        client: the cluster; see ``client_of``.
        namespaces: where to look; empty: where the launcher makes Jobs, and where workers of runs that are under way are.
    """

    def __init__(self, instance: Instance, client: KubeClient, namespaces: Sequence[str] = ()) -> None:
        self._instance = instance
        self._client = client
        self._own = instance.instance_id
        self._namespaces = tuple(namespaces)

    def compare(self) -> Compared:
        """Look at everything once. Raises KubeError, StorageUnavailableError."""
        workers = self._workers()
        namespaces = self._namespaces or self._places(workers.values())
        selector = f"{INSTANCE_LABEL}={self._own},{RUN_LABEL}"
        found: list[Leftover] = []
        for namespace in namespaces:
            jobs = self._client.list_jobs(namespace, selector)
            found += self._leftovers([*_objects(jobs, self._client.list_pods(namespace, selector))])
        missing = [*self._missing_workers(workers), *self._missing_steps(workers)]
        return Compared(found, missing, namespaces)

    def delete(self, one: Leftover) -> bool:
        """Delete it, if it is still what it was. False: it is not, or it is gone.

        Raises:
            KubeError: the API refused it, or does not answer.
        """
        if not self._is_still(one):
            return False
        delete = self._client.delete_job if one.resource == "jobs" else self._client.delete_pod
        try:
            return delete(one.namespace, one.name, uid=one.uid)
        except KubeConflictError:
            return False  # another one has the name by now

    # The log ----------------------------------------------------------------------------------------------------------------------

    def _workers(self) -> dict[str, Mapping[str, Any]]:
        """Run -> where its newest worker is, of the runs that are under way and whose worker is a Job."""
        found: dict[str, Mapping[str, Any]] = {}
        for head in WatchedRuns(self._instance.database).heads():
            handle = self._instance.runs.handle(head.run_id)
            if head.status in _UNDER_WAY and handle is not None and handle["kind"] == KIND:
                found[head.run_id] = handle["data"]
        return found

    def _places(self, workers: Iterable[Mapping[str, Any]]) -> Sequence[str]:
        launcher = self._instance.launcher
        own = launcher.settings.context.namespace if isinstance(launcher, K8sRunLauncher) else None
        places = [own or self._client.namespace, *(str(worker["namespace"]) for worker in workers)]
        return list(dict.fromkeys(places))

    def _in_log(self, run_ids: Sequence[str]) -> dict[str, RunInLog]:
        found: dict[str, RunInLog] = {}
        for start in range(0, len(run_ids), PAGE):
            ids = tuple(run_ids[start : start + PAGE])
            for run in self._instance.runs.page(RunFilter(run_ids=ids), limit=len(ids)).runs:
                over = run.status.is_final
                handle = None if over else self._instance.runs.handle(run.run_id)
                found[run.run_id] = RunInLog(
                    run.status.value,
                    (run.ended_at or 0.0) if over else None,
                    handle["data"] if handle is not None and handle["kind"] == KIND else None,
                    {} if over else self._attempts(run.run_id),
                )
        return found

    def _attempts(self, run_id: str) -> dict[tuple[str, int], AttemptEnd]:
        """Each attempt that was issued, with when it ended."""
        ends = {
            AttemptRef(event.step or "", event.n or 0): event.at
            for event in Excerpt(self._instance.database).of_kinds(run_id, _ENDS)
        }
        return {
            (row.ref.step, row.ref.n): AttemptEnd(ends.get(row.ref))
            for row in self._instance.journal.attempts(run_id)
            if row.ref.n > 0
        }

    # Cluster against log ------------------------------------------------------------------------------------------------------------

    def _leftovers(self, objects: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[Leftover]:
        runs = self._in_log(sorted({run for _, found in objects if (run := run_of(found)) is not None}))
        now = time.time()
        for resource, found in objects:
            one = leftover(resource, found, runs.get(run_of(found) or ""), self._own, now)
            if one is not None:
                yield one

    def _is_still(self, one: Leftover) -> bool:
        selector = f"{INSTANCE_LABEL}={self._own},{RUN_LABEL}={one.run_id}"
        objects = self._client.list_objects(one.resource, one.namespace, selector).items
        found = next((o for o in objects if o["metadata"]["uid"] == one.uid), None)
        if found is None:
            return False
        again = leftover(one.resource, found, self._in_log([one.run_id]).get(one.run_id), self._own, time.time())
        return again is not None and again.why is one.why

    # Log against cluster ------------------------------------------------------------------------------------------------------------

    def _missing_workers(self, workers: Mapping[str, Mapping[str, Any]]) -> Iterator[Missing]:
        for run_id, worker in workers.items():
            namespace, job = str(worker["namespace"]), str(worker["job"])
            found = self._client.get_job(namespace, job)
            is_there = found is not None and found["metadata"]["uid"] == worker["uid"]
            if not is_there and self._workers().get(run_id) == worker:
                yield Missing(run_id, namespace, job)

    def _missing_steps(self, workers: Mapping[str, Mapping[str, Any]]) -> Iterator[Missing]:
        """Attempts that run, of steps that are Jobs. One that was issued and does not run yet need not have a Job."""
        for head in WatchedRuns(self._instance.database).heads():
            namespace = self._namespace_of_steps(head.run_id, workers.get(head.run_id))
            if namespace is None:
                continue
            for row in self._instance.journal.attempts(head.run_id):
                job = step_job_name(head.run_id, row.ref.step, row.ref.n - 1)
                if row.state is AttemptState.RUNNING and self._client.get_job(namespace, job) is None:
                    now = self._instance.journal.attempt(head.run_id, row.ref)
                    if now is not None and now.state is AttemptState.RUNNING:
                        yield Missing(head.run_id, namespace, job, row.ref.step, row.ref.n)

    def _namespace_of_steps(self, run_id: str, worker: Mapping[str, Any] | None) -> str | None:
        """Where the Jobs of a run's steps are; None: they are no Jobs."""
        plan_id = self._instance.runs.get(run_id).plan_id
        executor = self._instance.journal.get_plan(plan_id).executor if plan_id is not None else {}
        if executor.get("name") != EXECUTOR:
            return None
        named = (executor.get("config") or {}).get("job_namespace")
        return str(named or (worker or {}).get("namespace") or self._client.namespace)


def _objects(jobs: Listing, pods: Listing) -> Iterator[tuple[str, dict[str, Any]]]:
    """Jobs, and the pods whose Job is not there. The pods were read after the Jobs, so a younger Job's pod may be among them."""
    names = {str(job["metadata"]["name"]) for job in jobs.items}
    yield from (("jobs", job) for job in jobs.items)
    for pod in pods.items:
        if job_name_of("pods", pod) not in names:
            yield "pods", pod


@contextmanager
def client_of(instance: Instance) -> Iterator[KubeClient]:
    """The launcher's client, or, where the launcher makes no Jobs, one by the kubeconfig of this process, closed at the end.

    Raises:
        NotFoundError: there is no way to a cluster.
    """
    launcher = instance.launcher
    if isinstance(launcher, K8sRunLauncher):
        yield launcher.client
        return
    made = KubeClient(cluster_access())
    try:
        yield made
    finally:
        made.close()
