"""Each run is a Kubernetes Job: its worker is the Job's only pod.

Launching is idempotent: the Job's name follows from the run and the number of its worker, and a Job that is there already is taken over
only if it is this run's. Health comes from ``kube.health``, with three answers; what the cluster does not tell is unknown, not gone.
Source: https://docs.dagster.io/deployment/oss/deployment-options/kubernetes/deploying-to-kubernetes
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

from ..errors import ConflictError, RunplaneError
from ..events.requests import ExecuteRunArgs, ResumeRunArgs
from ..events.run import Run
from ..events.status import RunStatus
from ..events.wire import from_text, to_text
from ..kube.access import ClusterAccess
from ..kube.adoption import place_job
from ..kube.causes import image_refusals
from ..kube.client import KubeClient
from ..kube.create_limit import OF_PROCESS, CreateLimit
from ..kube.errors import (
    KubeConflictError,
    KubeError,
    KubeNotFoundError,
    KubeQuotaError,
    KubeRefusedError,
    KubeUnavailableError,
)
from ..kube.evidence import explained
from ..kube.health import judge
from ..kube.job_facts import INSTANCE_LABEL, RUN_LABEL, RenderedJob, Surroundings, facts_of
from ..kube.job_manifest import run_job
from ..kube.observed import Observed, is_being_deleted, is_finished
from ..kube.printed import without_secrets
from ..kube.settings import LauncherSettings
from ..kube.stopping import stop_jobs
from ..kube.supported import refuse_older
from ..kube.verdict import Health as JobHealth
from ..kube.verdict import Verdict
from .contract import BackendAwayError, CleanedUp, Health, HealthState, LaunchRequest, TerminateResult, WorkerHandle
from .k8s_retention import Retention

KIND = "k8s"
IMAGE_TAG = "dagster/image"
PATIENCE_S = 45.0
"""How long a launch waits for an API that is away. A queue's daemon gives a launcher 60 seconds."""
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 5.0
_JOB_UID_LABEL = "batch.kubernetes.io/controller-uid"
_STATES = {
    JobHealth.ALIVE: HealthState.ALIVE,
    JobHealth.NOT_YET: HealthState.ALIVE,
    JobHealth.ENDING: HealthState.ALIVE,
    JobHealth.GONE: HealthState.GONE,
    # It can not start, and waiting does not help: whoever asks ends the run, and with it the Job.
    JobHealth.NEVER: HealthState.GONE,
    JobHealth.UNKNOWN: HealthState.UNKNOWN,
}


class ClusterAwayError(KubeUnavailableError, BackendAwayError):
    """The API server did not answer a launch."""


class LaunchingInstance(Protocol):
    """What the launcher needs of the instance that it belongs to."""

    @property
    def warnings(self) -> Sequence[str]:
        """What of the instance's configuration does nothing yet: told with each launch."""

    @property
    def surroundings(self) -> Surroundings:
        """What Jobs are made with beside configuration."""

    def note(
        self, run_id: str, message: str, metadata: Mapping[str, Any] | None = None, error: BaseException | None = None
    ) -> None:
        """Write an event into the run's log."""

    def outputs_lost(self, run: Run, manifest: Mapping[str, Any]) -> Sequence[str]:
        """What is to be said of outputs that other pods than the run's will not find."""

    def keep_document(self, run_id: str, document: str) -> None:
        """Keep a run's document for its pods, which are not handed the instance."""

    def add_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""

    def step_namespaces(self, run_id: str) -> Sequence[str]:
        """Where the executor of the run makes Jobs of its own, if that is said."""

    def statuses(self, run_ids: Sequence[str]) -> Mapping[str, RunStatus]:
        """Where these runs stand, as far as they are known."""

    def clean_up(self, client: KubeClient) -> CleanedUp:
        """Delete what nobody needs any more of the Jobs that this instance made."""


class K8sRunLauncher:
    """Makes a Job for each run.

    Args:
        settings: its configuration.
        find_access: finds the way into the cluster; called at the first use.
        instance: its instance.
        limit: how fast it creates.
        sleep, clock: the time.

    Attributes:
        settings, instance: as given.
    """

    def __init__(
        self,
        settings: LauncherSettings,
        find_access: Callable[[], ClusterAccess],
        instance: LaunchingInstance,
        *,
        limit: CreateLimit = OF_PROCESS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._find_access = find_access
        self.instance = instance
        self._limit = limit
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._client: KubeClient | None = None
        keep = settings.keep_failed
        self._retention = None if keep is None else Retention(keep, instance.statuses, clock)

    @cached_property
    def access(self) -> ClusterAccess:
        """The way into the cluster. Raises NotFoundError when there is none."""
        return self._find_access()

    @property
    def client(self) -> KubeClient:
        """The client of the cluster. Raises as ``access``; UnsupportedError: the cluster is too old; KubeError: it does not answer."""
        with self._lock:
            if self._client is None:
                made = KubeClient(self.access, limit=self._limit)
                refuse_older(made)
                self._client = made
            return self._client

    def launch(self, request: LaunchRequest) -> WorkerHandle:
        """See ``RunLauncher.launch``.

        Raises:
            ConfigErrors: the Job can not be made as it is configured; nothing was created.
            NameTakenError: there is a Job of its name that is not this run's.
            ConflictError: one is being deleted, and stays.
            ClusterAwayError: the API did not answer for ``PATIENCE_S``. KubeError: it refused.
        """
        try:
            return self._start(request, resumes=False)
        except KubeUnavailableError as error:
            raise ClusterAwayError(
                error.message, where=error.where or "", status=error.status, reason=error.reason
            ) from error

    def resume(self, request: LaunchRequest) -> WorkerHandle:
        """See ``Resumes.resume``; raises as ``launch``."""
        return self._start(request, resumes=True)

    def terminate(self, run_id: str, handle: WorkerHandle) -> TerminateResult:
        """Delete the Job of that very worker, and look whether it is on its way out. A Job that is over stays for people to see."""
        namespace, name, uid = _place(handle)
        try:
            job = self._own_job(namespace, name, uid)
            if job is None or is_finished(job):
                return TerminateResult.NOT_FOUND
            if is_being_deleted(job):
                return TerminateResult.DELIVERED
            deleted = self.client.delete_job(namespace, name, uid=uid)
            left = self._own_job(namespace, name, uid) if deleted else None
        except KubeConflictError:
            return TerminateResult.NOT_FOUND  # another one of that name
        except KubeError as error:
            self.instance.note(
                run_id, "Run was not terminated successfully; encountered error in delete_job", error=error
            )
            return TerminateResult.UNKNOWN
        if not deleted:
            self.instance.note(run_id, "Run was not terminated successfully; delete_job returned False")
            return TerminateResult.NOT_FOUND
        if left is not None and not is_being_deleted(left):
            return TerminateResult.UNKNOWN
        self.instance.note(run_id, "Run was terminated successfully.")
        return TerminateResult.DELIVERED

    def check(self, run_id: str, handle: WorkerHandle) -> Health:
        """See ``ChecksHealth.check``. What is gone comes with its cause and the last lines that it printed."""
        namespace, name, uid = _place(handle)
        try:
            observed, verdict = self._judged(namespace, name, uid)
            evidence = verdict.evidence
            if verdict.health in (JobHealth.GONE, JobHealth.NEVER):
                told = explained(self.client, namespace, observed, verdict, without_secrets)
                evidence = f"Job {name} in namespace {namespace}: {told}"
        except KubeError as error:
            return Health(HealthState.UNKNOWN, f"the cluster can not be asked: {error}")
        return Health(_STATES[verdict.health], evidence, is_hopeless=verdict.health is JobHealth.NEVER)

    def stop_all(self, run_id: str, handle: WorkerHandle | None) -> Sequence[str]:
        """See ``StopsAll.stop_all``: deletes every Job of the run that is not over, those of its steps and of former workers among them."""
        own = self.settings.context.namespace if handle is None else _place(handle)[0]
        places = {own, *self.instance.step_namespaces(run_id)}
        of = self.instance.surroundings.instance_id
        selector = f"{RUN_LABEL}={run_id}" + (f",{INSTANCE_LABEL}={of}" if of else "")
        left: list[str] = []
        for namespace in sorted(filter(None, places)):
            try:
                left += stop_jobs(self.client, namespace, selector)
            except KubeError as error:
                left.append(f"the cluster can not be asked what is left in namespace {namespace}: {error}")
        return left

    def clean_up(self) -> CleanedUp:
        """See ``CleansUp.clean_up``: the label reaper. Raises KubeError."""
        return self.instance.clean_up(self.client)

    def close(self) -> None:
        """See ``Closes.close``."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    # Launching ------------------------------------------------------------------------------------------------------------------

    def rendered(self, request: LaunchRequest, document: str, *, resumes: bool) -> RenderedJob:
        """The Job of the run's worker. Raises ConfigErrors."""
        return run_job(
            self.settings,
            facts_of(request.run),
            document,
            self.instance.surroundings,
            resume_attempt=request.resume_attempt,
            resumes=resumes,
        )

    def _start(self, request: LaunchRequest, *, resumes: bool) -> WorkerHandle:
        run_id = request.run.run_id
        job = self.rendered(request, self._document(request.document), resumes=resumes)
        if self.settings.mounts_instance:
            self.instance.keep_document(run_id, request.document)
        for warning in (*self.instance.warnings, *job.warnings, *self.instance.outputs_lost(request.run, job.manifest)):
            self.instance.note(run_id, f"Warning: {warning}")
        self.instance.add_tags(run_id, {IMAGE_TAG: job.image})
        metadata = {"Kubernetes Job name": job.name, "Kubernetes Namespace": job.namespace, "Run ID": run_id}
        self.instance.note(run_id, "Creating Kubernetes run worker job", metadata)
        created = self._create(job)
        self.instance.note(run_id, "Kubernetes run worker job created")
        if self._retention is not None:
            self._retention.tidy(self.client, job.namespace)
        return WorkerHandle(KIND, {"namespace": job.namespace, "job": job.name, "uid": created["metadata"]["uid"]})

    def _document(self, text: str) -> str:
        """The worker's document, with what this launcher's configuration says about it."""
        if not self.settings.mounts_instance and not self.settings.fail_pod_on_run_failure:
            return text
        args = from_text(text)
        if not isinstance(args, (ExecuteRunArgs, ResumeRunArgs)):
            raise RunplaneError("a launcher is given a run's document", got=type(args).__name__)
        ref = None if self.settings.mounts_instance else args.instance
        fails = args.set_exit_code_on_failure or self.settings.fail_pod_on_run_failure
        return to_text(replace(args, instance=ref, set_exit_code_on_failure=fails))

    def _create(self, job: RenderedJob) -> Mapping[str, Any]:
        """The Job as the API has it: just created, or by an earlier try whose answer was lost."""
        end, delay = self._clock() + PATIENCE_S, FIRST_DELAY_S
        while True:
            last: RunplaneError = ConflictError(
                "a Job of that name is being deleted, and stays", where=f"Job {job.name}"
            )
            try:
                placed = place_job(self.client, job.namespace, job.manifest)
                if not is_being_deleted(placed.job):
                    return placed.job
            except (KubeUnavailableError, KubeQuotaError, KubeConflictError) as error:
                last = error
            except KubeNotFoundError as error:
                error.hint = f"Is there a namespace {job.namespace}? Who named it: runplane k8s render run --explain."
                raise
            pause = getattr(last, "retry_after_s", None) or delay
            if self._clock() + pause > end:
                raise last
            self._sleep(pause)
            delay = min(delay * 2, LONGEST_DELAY_S)

    # Looking --------------------------------------------------------------------------------------------------------------------

    def _own_job(self, namespace: str, name: str, uid: str) -> dict[str, Any] | None:
        """The Job with that uid; a newer one of the same name is another worker."""
        found = self.client.get_job(namespace, name)
        return found if found is not None and found["metadata"]["uid"] == uid else None

    def _judged(self, namespace: str, name: str, uid: str) -> tuple[Observed, Verdict]:
        job = self._own_job(namespace, name, uid)
        # Pods outlive their Job by their grace period, and code may run in them.
        pods = self.client.list_pods(namespace, f"{_JOB_UID_LABEL}={uid}").items
        observed = Observed(job, pods, confirmed=job is None)
        verdict = judge(observed)
        if verdict.health is not JobHealth.ALIVE:
            about = (uid, *(pod["metadata"]["uid"] for pod in pods))
            events = [event for one in about for event in self._events(namespace, one)]
            observed = replace(observed, events=events, image_refusals=image_refusals(events))
            verdict = judge(observed)
        return observed, verdict

    def _events(self, namespace: str, uid: str) -> list[dict[str, Any]]:
        """What the cluster says about an object; nothing, where the role may not read events."""
        try:
            return self.client.events_of(namespace, uid)
        except KubeRefusedError:
            return []


def _place(handle: WorkerHandle) -> tuple[str, str, str]:
    return handle.data["namespace"], handle.data["job"], handle.data["uid"]
