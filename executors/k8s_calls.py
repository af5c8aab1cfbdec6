"""The calls about one attempt's Job. They wait for the API server, so they are made by threads that may wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..events.event import NewEvent
from ..kube.adoption import Placed, place_job
from ..kube.client import KubeClient
from ..kube.errors import KubeConflictError, KubeError, KubeNotFoundError
from ..kube.evidence import explained, last_lines
from ..kube.observed import Observed, name_of, newest
from ..kube.printed import without_secrets
from ..kube.verdict import Verdict
from ..kube.watch import JobWatch
from ..storage.contract import AttemptRef
from .contract import engine_event
from .k8s_attempt import Attempt
from .k8s_step_jobs import AttemptJobs

SYNC_S = 30.0
"""How long a consistent read waits for the watch's first list, which knows of pods that have gone meanwhile."""


class JobCalls:
    """Creates, reads, deletes.

    Args:
        client, namespace: where.
        jobs: makes the Jobs.
        watch: what has been seen of them.
        note: takes what a person should know.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        jobs: AttemptJobs,
        watch: JobWatch,
        note: Callable[[Attempt, str], None],
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._jobs = jobs
        self._watch = watch
        self._note = note

    def place(self, attempt: Attempt) -> Placed:
        """Create the Job, or find that it is there already. Raises KubeError, ConfigErrors."""
        if attempt.manifest is None:
            assert attempt.order is not None
            attempt.start_timeout_s = self._jobs.start_timeout_s(attempt.order.step)
            attempt.manifest = self._jobs.render(attempt.order).manifest
        return place_job(self._client, self._namespace, attempt.manifest)

    def delete(self, attempt: Attempt) -> Observed:
        """Delete the Job, and ask its pods to end now; the garbage collector would do so some time. What is left."""
        job = attempt.job or self._own_job(attempt)
        if job is not None:
            self._delete_job(attempt, job)
            for pod in self._pods_of(attempt):
                meta, grace_s = pod["metadata"], int(attempt.grace_s)
                if meta.get("deletionGracePeriodSeconds", grace_s + 1) > grace_s:
                    self._client.delete_pod(self._namespace, meta["name"], uid=meta["uid"], grace_s=grace_s)
        return self.confirm(attempt)

    def confirm(self, attempt: Attempt) -> Observed:
        """What consistent reads say of the Job and its pods. A Job of another attempt that has the name is none of ours."""
        self._watch.wait_until_synced(SYNC_S)
        found = self._client.get_job(self._namespace, attempt.job_name)
        if found is not None and not self._jobs.is_of(found, attempt.ref):
            return self._watch.confirmed(attempt.job_name, None, [])
        return self._watch.confirmed(attempt.job_name, found, self._pods_of(attempt))

    def explain(self, observed: Observed, verdict: Verdict) -> str:
        """The verdict's evidence, with events and the pod's last words."""
        return explained(self._client, self._namespace, observed, verdict, without_secrets)

    def last_lines(self, ref: AttemptRef) -> NewEvent | None:
        """What the attempt's pod has printed last, as an event; None: it printed nothing. Raises KubeError."""
        job_name = self._jobs.name(ref)
        observed = self._watch.observed(job_name)
        # The watch has forgotten what is gone, and knows nothing yet after a take-over.
        pod = (
            observed.live
            or observed.last
            or newest(self._client.list_pods(self._namespace, f"job-name={job_name}").items)
        )
        text = last_lines(self._client, self._namespace, pod, without_secrets) if pod is not None else ""
        if pod is None or not text:
            return None
        where = {"Kubernetes Job name": job_name, "Kubernetes Pod name": name_of(pod)}
        event = engine_event(f"Step {ref.step}, attempt {ref.n}, failed in pod {name_of(pod)}. {text}", where, ref)
        return event._replace(body={**event.body, "evidence": text})

    def give_owner(self, attempt: Attempt) -> bool:
        """Make this coordinator's Job the owner, so that the attempt does not go with the former one's. False: it is not there any more.

        Raises:
            KubeUnavailableError: no answer; ask again. KubeRefusedError: the role lacks the verb.
        """
        assert attempt.job is not None
        assert self._jobs.owner is not None
        # The uid makes it this very Job: another one of that name is refused as a conflict.
        meta = {"uid": attempt.job["metadata"]["uid"], "ownerReferences": [dict(self._jobs.owner)]}
        try:
            self._client.patch_job(self._namespace, attempt.job_name, {"metadata": meta})
        except (KubeNotFoundError, KubeConflictError):
            return False
        return True

    def tidy(self, attempt: Attempt, job: Mapping[str, Any]) -> None:
        """Delete a Job whose attempt is over, so that its controller makes no other pod."""
        try:
            self._delete_job(attempt, job)
        except KubeError as error:
            self._note(attempt, f"Kubernetes job {attempt.job_name} could not be deleted: {error}")

    def _own_job(self, attempt: Attempt) -> Mapping[str, Any] | None:
        found = self._client.get_job(self._namespace, attempt.job_name)
        return found if found is not None and self._jobs.is_of(found, attempt.ref) else None

    def _delete_job(self, attempt: Attempt, job: Mapping[str, Any]) -> None:
        try:
            self._client.delete_job(self._namespace, attempt.job_name, uid=job["metadata"]["uid"])
        except KubeConflictError:
            return  # a younger one has the name: this one is gone

    def _pods_of(self, attempt: Attempt) -> Sequence[dict[str, Any]]:
        return self._client.list_pods(self._namespace, f"job-name={attempt.job_name}").items
