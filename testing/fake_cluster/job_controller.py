"""What the controller manager does with Jobs: pods from the template, counts, conditions, and their end.

The order of facts is the real one: a deleted pod counts as failed while it still runs, and ``FailureTarget`` stands before
``Failed``, which comes when no pod is left that runs.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .api import Api, suffix
from .pods import emit_event
from .store import Json, Refusal, Store, now_text

ENDED = ("Succeeded", "Failed")


@dataclass
class _Counted:
    """What the controller remembers of one Job."""

    failed: set[str] = field(default_factory=set)
    succeeded: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    ignored: set[str] = field(default_factory=set)
    suspended: set[str] = field(default_factory=set)
    pods_made: int = 0
    not_before: float | None = None
    reason: tuple[str, str] | None = None


class JobController:
    """Brings Jobs and their pods together.

    Args:
        store, api: the cluster's.
        later: calls something after some seconds.

    Attributes:
        refusal: asked before a pod is created; a text is the reason why the API server does not take it (quota, admission).
        pod_backoff_s: delay before the pod after a failed one.
        slow_pods_s: how long a new Job has no pod.
    """

    def __init__(self, store: Store, api: Api, later: Callable[[float, Callable[[], None]], None]) -> None:
        self._store = store
        self._api = api
        self._later = later
        self._counted: dict[str, _Counted] = {}
        self._pods_of: dict[str, set[str]] = {}
        self.refusal: Callable[[Json], str | None] = lambda job: None
        self.pod_backoff_s = 0.05
        self.slow_pods_s = 0.0

    def note_pod(self, pod: Json, *, gone: bool) -> None:
        """A pod has changed."""
        for owner in pod["metadata"].get("ownerReferences") or ():
            names = self._pods_of.setdefault(owner["uid"], set())
            names.discard(pod["metadata"]["name"]) if gone else names.add(pod["metadata"]["name"])

    def sync(self, namespace: str, name: str) -> None:
        """Do what is to be done for this Job now."""
        job = self._store.find("jobs", namespace, name)
        if job is None:
            return
        counted = self._counted.setdefault(job["metadata"]["uid"], _Counted())
        pods = self._pods(job)
        if "deletionTimestamp" in job["metadata"]:
            self._end_deletion(job, pods)
            return
        if _is_finished(job):
            self._expire(job)
            return
        self._count(job, pods, counted)
        active = [p for p in pods if p["status"].get("phase") not in ENDED and "deletionTimestamp" not in p["metadata"]]
        ending = [p for p in pods if p["status"].get("phase") not in ENDED and "deletionTimestamp" in p["metadata"]]
        self._decide(job, counted)
        if counted.reason is not None or job["spec"].get("suspend"):
            for pod in active:
                if job["spec"].get("suspend"):
                    counted.suspended.add(pod["metadata"]["uid"])
                self._delete_pod(pod)
            active, ending = [], [*ending, *active]
        elif not active and not ending and not counted.succeeded:
            self._next_pod(job, counted)
            active = [p for p in self._pods(job) if p["status"].get("phase") not in ENDED]
        self._write(job, counted, len(active), len(ending))

    # Counting -----------------------------------------------------------------------------------------------------------------

    def _count(self, job: Json, pods: list[Json], counted: _Counted) -> None:
        here = {p["metadata"]["uid"]: p for p in pods}
        counted.seen |= here.keys()
        for uid in counted.seen:
            pod = here.get(uid)
            if uid in counted.succeeded | counted.failed | counted.ignored | counted.suspended:
                continue
            if pod is not None and pod["status"].get("phase") == "Succeeded":
                counted.succeeded.add(uid)
            elif pod is None or pod["status"].get("phase") == "Failed" or "deletionTimestamp" in pod["metadata"]:
                self._count_failed(job, pod, uid, counted)

    def _count_failed(self, job: Json, pod: Json | None, uid: str, counted: _Counted) -> None:
        for rule in (job["spec"].get("podFailurePolicy") or {}).get("rules") or ():
            if pod is None or not _matches(rule, pod):
                continue
            if rule["action"] == "Ignore":
                counted.ignored.add(uid)
                return
            if rule["action"] == "FailJob":
                counted.failed.add(uid)
                counted.reason = ("PodFailurePolicy", f"Pod {pod['metadata']['name']} matched a FailJob rule")
                return
        counted.failed.add(uid)

    def _decide(self, job: Json, counted: _Counted) -> None:
        if counted.reason is None and len(counted.failed) > job["spec"].get("backoffLimit", 6):
            counted.reason = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")

    # Acting -------------------------------------------------------------------------------------------------------------------

    def _next_pod(self, job: Json, counted: _Counted) -> None:
        meta = job["metadata"]
        again = lambda: self.sync(meta["namespace"], meta["name"])
        if counted.not_before is None:
            delay = self.pod_backoff_s if counted.pods_made else self.slow_pods_s
            counted.not_before = time.monotonic() + delay
            if delay:
                self._later(delay, again)
        if time.monotonic() < counted.not_before:
            return
        if why := self.refusal(job):
            emit_event(self._store, job, "FailedCreate", f"Error creating: {why}")
            self._later(1.0, again)
            return
        counted.not_before = None
        counted.pods_made += 1
        self._create_pod(job)

    def _create_pod(self, job: Json) -> None:
        meta = job["metadata"]
        template = json.loads(json.dumps(job["spec"]["template"]))
        own = {
            "batch.kubernetes.io/controller-uid": meta["uid"],
            "batch.kubernetes.io/job-name": meta["name"],
            "controller-uid": meta["uid"],
            "job-name": meta["name"],
        }
        given = template.get("metadata") or {}
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{meta['name'][:57]}-{suffix()}",
                "namespace": meta["namespace"],
                "labels": {**(given.get("labels") or {}), **own},
                "annotations": given.get("annotations") or {},
                "ownerReferences": [{**owner, "blockOwnerDeletion": True}],
            },
            "spec": {"terminationGracePeriodSeconds": 30, "restartPolicy": "Never", **template["spec"]},
            "status": {"phase": "Pending", "conditions": []},
        }
        made = self._store.create("pods", pod)
        self.note_pod(made, gone=False)
        emit_event(self._store, job, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}", "Normal")

    def _delete_pod(self, pod: Json) -> None:
        meta = pod["metadata"]
        if "deletionTimestamp" not in meta:
            self._api.begin_deletion("pods", meta["namespace"], meta["name"], None)

    def _end_deletion(self, job: Json, pods: list[Json]) -> None:
        meta = job["metadata"]
        if "foregroundDeletion" not in (meta.get("finalizers") or ()):
            for pod in pods:
                self._store.edit("pods", meta["namespace"], pod["metadata"]["name"], _without_owner)
            pods = []
        for pod in pods:
            self._delete_pod(pod)
        if not pods:
            self._store.remove("jobs", meta["namespace"], meta["name"])

    def _expire(self, job: Json) -> None:
        meta, ttl = job["metadata"], job["spec"].get("ttlSecondsAfterFinished")
        if ttl is not None:
            self._later(float(ttl), lambda: self._remove(meta))

    def _remove(self, meta: Mapping[str, Any]) -> None:
        found = self._store.find("jobs", meta["namespace"], meta["name"])
        if found is not None and found["metadata"]["uid"] == meta["uid"]:
            self._store.remove("jobs", meta["namespace"], meta["name"])

    # Status -------------------------------------------------------------------------------------------------------------------

    def _write(self, job: Json, counted: _Counted, active: int, ending: int) -> None:
        suspended = bool(job["spec"].get("suspend"))

        def change(found: Json) -> None:
            status = found.setdefault("status", {})
            for key, value in (("active", active), ("failed", len(counted.failed)), ("terminating", ending)):
                status.pop(key, None)
                if value:
                    status[key] = value
            if counted.succeeded:
                status["succeeded"] = len(counted.succeeded)
            if suspended:
                status.pop("startTime", None)
            else:
                status.setdefault("startTime", now_text())
            conditions = {c["type"]: c for c in status.get("conditions") or ()}
            if suspended or "Suspended" in conditions:
                conditions["Suspended"] = {"type": "Suspended", "status": "True" if suspended else "False"}
            if counted.reason is not None:
                self._add_end(conditions, ("FailureTarget", "Failed"), counted.reason, is_over=not active + ending)
            elif counted.succeeded:
                reason = ("CompletionsReached", "Reached expected number of succeeded pods")
                self._add_end(conditions, ("SuccessCriteriaMet", "Complete"), reason, is_over=not active + ending)
                if "Complete" in conditions:
                    status.setdefault("completionTime", now_text())
            if conditions:
                status["conditions"] = list(conditions.values())

        try:
            self._store.edit("jobs", job["metadata"]["namespace"], job["metadata"]["name"], change)
        except Refusal:
            return  # deleted meanwhile

    @staticmethod
    def _add_end(
        conditions: dict[str, Json], kinds: tuple[str, str], reason: tuple[str, str], *, is_over: bool
    ) -> None:
        for kind in kinds if is_over else kinds[:1]:
            if kind not in conditions:
                stamp = {"lastTransitionTime": now_text(), "reason": reason[0], "message": reason[1]}
                conditions[kind] = {"type": kind, "status": "True", **stamp}

    def _pods(self, job: Json) -> list[Json]:
        names = self._pods_of.get(job["metadata"]["uid"]) or ()
        found = [self._store.find("pods", job["metadata"]["namespace"], name) for name in sorted(names)]
        return [pod for pod in found if pod is not None]


def _is_finished(job: Json) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c["type"] in ("Complete", "Failed") for c in conditions)


def _without_owner(pod: Json) -> None:
    pod["metadata"].pop("ownerReferences", None)


def _matches(rule: Json, pod: Json) -> bool:
    """Whether a rule of a pod failure policy is about this pod."""
    if codes := rule.get("onExitCodes"):
        ended = [s["state"].get("terminated") for s in pod["status"].get("containerStatuses") or ()]
        values = {e["exitCode"] for e in ended if e} - {0}
        return bool(values & set(codes["values"]) if codes["operator"] == "In" else values - set(codes["values"]))
    conditions = {(c["type"], c["status"]) for c in pod["status"].get("conditions") or ()}
    return any((c["type"], c.get("status", "True")) in conditions for c in rule.get("onPodConditions") or ())
