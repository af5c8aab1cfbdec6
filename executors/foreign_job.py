"""An op that runs somebody else's image as a Kubernetes Job: created, its log streamed, waited for, deleted when the run is canceled.

Source: https://docs.dagster.io/api/libraries/dagster-k8s (execute_k8s_job, k8s_job_op)
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..definitions.config_schema import Array, Field, Noneable, StringSource
from ..definitions.ins_outs import In
from ..definitions.job_fields import JOB_FIELDS, OPTIONAL_MAP
from ..definitions.op import op
from ..definitions.op_context import OpExecutionContext
from ..definitions.value_type import Nothing
from ..errors import RunplaneError
from ..kube.adoption import NameTakenError, identity, place_job
from ..kube.client import Json, KubeClient
from ..kube.errors import KubeConflictError, KubeError, KubeNotFoundError, KubeQuotaError, KubeUnavailableError
from ..kube.evidence import explained
from ..kube.foreign_job import foreign_job, foreign_job_name
from ..kube.health import judge
from ..kube.job_facts import RenderedJob, StepFacts, Surroundings, facts_of
from ..kube.observed import Observed, condition, has_run, is_being_deleted, is_finished, main_status, name_of
from ..kube.printed import without_secrets
from ..kube.user_config import MergeBehavior
from ..kube.verdict import Health
from .k8s_way import access_of, launcher_settings_of

POLL_S = 1.0
LOG_PAUSE_S = 2.0
LOG_STALL_S = 300.0
LOG_END_S = 15.0
"""How long the end of the log is waited for when the Job is over."""
K8sConfigMergeBehavior = MergeBehavior
"""Dagster's name."""


class ForeignJobError(RunplaneError):
    """The Job failed, can not start, or took too long."""


def execute_k8s_job(
    context: OpExecutionContext,
    image: str,
    command: Sequence[str] | None = None,
    args: Sequence[str] | None = None,
    namespace: str | None = None,
    image_pull_policy: str | None = None,
    image_pull_secrets: Sequence[Mapping[str, str]] | None = None,
    service_account_name: str | None = None,
    env_config_maps: Sequence[str] | None = None,
    env_secrets: Sequence[str] | None = None,
    env_vars: Sequence[str] | None = None,
    volume_mounts: Sequence[Mapping[str, Any]] | None = None,
    volumes: Sequence[Mapping[str, Any]] | None = None,
    labels: Mapping[str, str] | None = None,
    resources: Mapping[str, Any] | None = None,
    scheduler_name: str | None = None,
    load_incluster_config: bool | None = None,
    kubeconfig_file: str | None = None,
    timeout: int | None = None,
    container_config: Mapping[str, Any] | None = None,
    pod_template_spec_metadata: Mapping[str, Any] | None = None,
    pod_spec_config: Mapping[str, Any] | None = None,
    job_metadata: Mapping[str, Any] | None = None,
    job_spec_config: Mapping[str, Any] | None = None,
    k8s_job_name: str | None = None,
    merge_behavior: MergeBehavior = MergeBehavior.DEEP,
    delete_failed_k8s_jobs: bool | None = True,
    _kubeconfig_file_context: str | None = None,
) -> None:
    """Run an image as a Kubernetes Job from inside an op, print what it prints, and return when it has succeeded.

    The Job is made of the launcher's configuration, the code location's, the op's tag ``dagster-k8s/config``, and these arguments, in that
    order. A Job that an attempt of this step left behind, because its process was lost, is taken over; a user's retry makes another one.

    Args:
        context: the op's.
        image, command, args: what runs; None: what the image says.
        namespace: where; None: where the launcher makes Jobs.
        image_pull_policy, image_pull_secrets, service_account_name, env_config_maps, env_secrets, env_vars, volume_mounts, volumes, labels,
            resources, scheduler_name: as in the launcher's configuration.
        load_incluster_config, kubeconfig_file: the way to the cluster; None: the launcher's.
        timeout: seconds from its creation to its end; None: no limit.
        container_config, pod_template_spec_metadata, pod_spec_config, job_metadata, job_spec_config: Kubernetes' own fields.
        k8s_job_name: its name; None: from run and step.
        merge_behavior: how these arguments are put over the other layers.
        delete_failed_k8s_jobs: delete a Job that failed.

    Raises:
        ForeignJobError: the Job failed, can not start, or took too long; with what was seen and its last lines.
        ConfigErrors: Kubernetes would not take such a Job. KubeError: the API refused it.
    """
    del _kubeconfig_file_context  # a context of the file; the current one is used
    asked = {key: value for key, value in locals().items() if key in _LAYER_KEYS}
    instance = context.instance
    settings = launcher_settings_of(instance)
    retry = context.retry_number
    name = foreign_job_name(context.run_id, context.step_key, k8s_job_name, retry)
    tags = {**context.op_def.tags, **(getattr(context.op, "tags", None) or {})}
    facts = StepFacts(context.step_key, context.op.name, "", op_tags=tags, attempt=context.attempt)
    around = Surroundings(os.environ, getattr(instance, "instance_id", None))
    rendered = foreign_job(
        settings, facts_of(context.run), facts, asked, around, name=name, image=image, command=command, args=args, namespace=namespace
    )  # fmt: skip
    way = {"load_incluster_config": load_incluster_config, "kubeconfig_file": kubeconfig_file}
    client = KubeClient(access_of(way, instance))
    try:
        _ForeignRun(context, client, rendered, timeout, delete_failed=bool(delete_failed_k8s_jobs)).run()
    finally:
        client.close()


_LAYER_KEYS = (
    "image_pull_policy",
    "image_pull_secrets",
    "service_account_name",
    "env_config_maps",
    "env_secrets",
    "env_vars",
    "volume_mounts",
    "volumes",
    "labels",
    "resources",
    "scheduler_name",
    "security_context",
    "container_config",
    "pod_template_spec_metadata",
    "pod_spec_config",
    "job_metadata",
    "job_spec_config",
    "merge_behavior",
)


class _ForeignRun:
    """One Job from its creation to its end."""

    def __init__(
        self,
        context: OpExecutionContext,
        client: KubeClient,
        job: RenderedJob,
        timeout_s: float | None,
        *,
        delete_failed: bool,
    ) -> None:
        self._context = context
        self._client = client
        self._job = job
        self._timeout_s = timeout_s
        self._delete_failed = delete_failed
        self._log = _LogStream(client, job.namespace)

    def run(self) -> None:
        """All of it."""
        for warning in self._job.warnings:
            self._context.log.warning(warning)
        self._say(
            f"Creating Kubernetes job {self._job.name} in namespace {self._job.namespace} for image {self._job.image}"
        )
        uid = ""
        try:
            uid = self._place()["metadata"]["uid"]
            self._wait(uid)
        except ForeignJobError:
            if self._delete_failed:
                self._delete(uid)
            raise
        except KubeError:
            raise
        except BaseException:
            # Told to end. If the run goes on, the step's next attempt takes the Job over.
            if self._is_canceled():
                self._say(f"Deleting Kubernetes job {self._job.name}")
                self._delete(uid)
            raise
        finally:
            self._log.close()

    def _say(self, text: str) -> None:
        self._context.log.info(text)

    def _is_canceled(self) -> bool:
        instance = self._context.instance
        return instance is None or instance.journal.head(self._context.run_id).intent != "none"

    # Creating -----------------------------------------------------------------------------------------------------------------------

    def _place(self) -> Json:
        while True:
            try:
                placed = place_job(self._client, self._job.namespace, self._job.manifest)
                if not is_being_deleted(placed.job):
                    return placed.job
            except NameTakenError as error:
                found = self._left_behind()
                if found is None:
                    raise
                if not self._is_in_the_way(found):
                    self._say(
                        f"Taking over Kubernetes job {self._job.name}, which an attempt before this one started: {error.message}"
                    )
                    return found
                self._delete(found["metadata"]["uid"])
            except (KubeUnavailableError, KubeQuotaError, KubeConflictError) as error:
                self._say(f"Kubernetes job {self._job.name} is not created yet: {error}")
            time.sleep(POLL_S)

    def _left_behind(self) -> Json | None:
        """The Job of that name, if an earlier attempt of this very step made it."""
        found = self._client.get_job(self._job.namespace, self._job.name)
        if found is None:
            return None
        theirs, ours = identity(found), identity(self._job.manifest)
        # All but the attempt's number (the third).
        return found if (*theirs[:2], *theirs[3:]) == (*ours[:2], *ours[3:]) else None

    @staticmethod
    def _is_in_the_way(found: Json) -> bool:
        """It failed, or goes away: another one is made in its place."""
        return is_being_deleted(found) or condition(found, "Failed") is not None

    def _delete(self, uid: str) -> None:
        try:
            self._client.delete_job(self._job.namespace, self._job.name, uid=uid or None)
        except KubeConflictError:
            return  # somebody else's by now
        except KubeError as error:
            self._context.log.warning(f"Kubernetes job {self._job.name} could not be deleted: {error}")

    # Waiting ------------------------------------------------------------------------------------------------------------------------

    def _wait(self, uid: str) -> None:
        began, said = time.monotonic(), ""
        while True:
            try:
                observed = self._observed(uid)
            except KubeUnavailableError:
                time.sleep(POLL_S)
                continue
            pod = observed.live or observed.last
            if pod is not None and has_run(pod):
                self._log.follow(name_of(pod), main_status(pod).get("name"))
            if observed.job is not None and is_finished(observed.job):
                self._log.finish()
                self._ended(observed)
                return
            verdict = judge(observed)
            if observed.job is None or verdict.health is Health.NEVER:
                raise ForeignJobError(
                    self._told(observed), where=f"Job {self._job.name} in namespace {self._job.namespace}"
                )
            if self._timeout_s and time.monotonic() - began > self._timeout_s:
                raise ForeignJobError(
                    f"it did not end within {self._timeout_s} seconds: {verdict.evidence}",
                    where=f"Job {self._job.name}",
                )
            if verdict.health is Health.NOT_YET and verdict.evidence != said:
                said = verdict.evidence
                self._say(f"Waiting for Kubernetes job {self._job.name}: {said}")
            time.sleep(POLL_S)

    def _ended(self, observed: Observed) -> None:
        assert observed.job is not None
        if condition(observed.job, "Complete") is None:
            raise ForeignJobError(
                self._told(observed), where=f"Job {self._job.name} in namespace {self._job.namespace}"
            )
        self._say(f"Kubernetes job {self._job.name} has succeeded")

    def _told(self, observed: Observed) -> str:
        return explained(self._client, self._job.namespace, observed, judge(observed), without_secrets)

    def _observed(self, uid: str) -> Observed:
        found = self._client.get_job(self._job.namespace, self._job.name)
        job = found if found is not None and found["metadata"]["uid"] == uid else None
        pods = self._client.list_pods(self._job.namespace, f"batch.kubernetes.io/controller-uid={uid}").items
        waits = not any(map(has_run, pods)) and job is not None
        events = (
            [event for one in (uid, *(pod["metadata"]["uid"] for pod in pods)) for event in self._events(one)]
            if waits
            else []
        )
        return Observed(job, pods, events=events, confirmed=job is None)

    def _events(self, uid: str) -> list[Json]:
        try:
            return self._client.events_of(self._job.namespace, uid)
        except KubeError:
            return []  # not allowed, or no answer: it is only told with less


class _LogStream:
    """Prints what a pod's container prints, as it comes; after a break it goes on where it was."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._pod = ""
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def follow(self, pod: str, container: str | None) -> None:
        """Begin with this pod; nothing happens when it is followed already."""
        if pod == self._pod:
            return
        self.finish()
        self._over.clear()
        self._pod = pod
        self._thread = threading.Thread(target=self._run, args=(pod, container), name="k8s-log", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """The pod has ended: wait for the rest of its log, for a while."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(LOG_END_S)

    def close(self) -> None:
        """End; what has not come yet is not waited for."""
        self._over.set()

    def _run(self, pod: str, container: str | None) -> None:
        printed = 0
        while True:
            was_over = self._over.is_set()
            skip = printed
            try:
                for chunk in self._client.follow_log(self._namespace, pod, container, stall_s=LOG_STALL_S):
                    fresh = chunk[skip:]
                    skip = max(0, skip - len(chunk))
                    printed += len(fresh)
                    sys.stdout.write(fresh.decode(errors="replace"))
                    sys.stdout.flush()
            except KubeNotFoundError:
                return
            except KubeError:
                pass  # it is asked for again; the Job's end does not depend on its log
            if was_over:
                return
            self._over.wait(LOG_PAUSE_S)


_FIELDS: Mapping[str, Any] = {
    "image": Field(StringSource),
    "command": Field(Array(str), is_required=False),
    "args": Field(Array(str), is_required=False),
    "namespace": Field(StringSource, is_required=False),
    **JOB_FIELDS,
    "load_incluster_config": Field(Noneable(bool), is_required=False),
    "kubeconfig_file": Field(Noneable(str), is_required=False),
    "timeout": Field(int, is_required=False),
    "container_config": OPTIONAL_MAP,
    "pod_template_spec_metadata": OPTIONAL_MAP,
    "pod_spec_config": OPTIONAL_MAP,
    "job_metadata": OPTIONAL_MAP,
    "job_spec_config": OPTIONAL_MAP,
    "merge_behavior": Field(str, is_required=False),
}


@op(ins={"start_after": In(Nothing)}, config_schema=_FIELDS, name="k8s_job_op")
def k8s_job_op(context: OpExecutionContext) -> None:
    """Runs an image as a Kubernetes Job; its config has the arguments of ``execute_k8s_job``. Source: see the module."""
    config = dict(context.op_config)
    merge = MergeBehavior(config.pop("merge_behavior", MergeBehavior.DEEP.value))
    security = config.pop("security_context", None)
    if security:
        config["container_config"] = {"security_context": security, **(config.get("container_config") or {})}
    execute_k8s_job(context, **config, merge_behavior=merge)
