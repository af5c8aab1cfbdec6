"""A Job that an op runs somebody else's image in, from its creation to its end: placed, its log printed, waited for, deleted."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..definitions.op_context import OpExecutionContext
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
from ..kube.verdict import Health
from .k8s_way import access_of, launcher_settings_of

POLL_S = 1.0
LOG_PAUSE_S = 2.0
LOG_STALL_S = 300.0
LOG_END_S = 15.0
"""How long the end of the log is waited for when the Job is over."""


class ForeignJobError(RunplaneError):
    """The Job failed, can not start, or took too long."""


def execute(
    context: OpExecutionContext,
    asked: Mapping[str, Any],
    *,
    image: str,
    command: Sequence[str] | None,
    args: Sequence[str] | None,
    namespace: str | None,
    name: str | None,
    way: Mapping[str, Any],
    timeout_s: float | None,
    delete_failed: bool,
) -> None:
    """Make the Job, and return when it has succeeded.

    Args:
        context: the op's.
        asked: the job fields, raw sections and `merge_behavior` of ``execute_k8s_job``.
        image, command, args, namespace: as there.
        name: the Job's; None: from run and step.
        way: `load_incluster_config` and `kubeconfig_file`; both None: the launcher's.
        timeout_s: seconds from its creation to its end; None: no limit.
        delete_failed: delete a Job that failed.

    Raises:
        As ``execute_k8s_job``.
    """
    instance = context.instance
    tags = {**context.op_def.tags, **(getattr(context.op, "tags", None) or {})}
    rendered = foreign_job(
        launcher_settings_of(instance),
        facts_of(context.run),
        StepFacts(context.step_key, context.op.name, "", op_tags=tags, attempt=context.attempt),
        asked,
        Surroundings(os.environ, getattr(instance, "instance_id", None)),
        name=foreign_job_name(context.run_id, context.step_key, name, context.retry_number),
        image=image,
        command=command,
        args=args,
        namespace=namespace,
    )
    client = KubeClient(access_of(way, instance))
    try:
        ForeignRun(context, client, rendered, timeout_s, delete_failed=delete_failed).run()
    finally:
        client.close()


class ForeignRun:
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
