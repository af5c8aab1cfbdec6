"""What is seen of one attempt in the cluster: its Job, its pods, their events. Plain JSON; nothing here asks anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Json = Mapping[str, Any]
ENDED_PHASES = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Observed:
    """All that is known of one Job.

    Attributes:
        job: the Job; None: it is not there.
        pods: its pods that are there.
        vanished: pods that were there and were deleted since, as they were seen last.
        events: events about the Job and its pods.
        confirmed: a consistent read says that the Job is not there (a cache may lag behind).
        image_refusals: how often the registry clearly said that there is no such image, or not for us.
        waiting_s: for how long the container has waited for the same reason.
    """

    job: Json | None
    pods: Sequence[Json] = ()
    vanished: Sequence[Json] = ()
    events: Sequence[Json] = ()
    confirmed: bool = False
    image_refusals: int = 0
    waiting_s: float = 0.0

    @cached_property
    def live(self) -> Json | None:
        """The newest pod in which code may run, or may still come to run."""
        alive = [p for p in self.pods if not has_ended(p)]
        return newest(alive)

    @cached_property
    def last(self) -> Json | None:
        """The pod that tells the end: the newest one that has ended, or was deleted."""
        return newest([*self.vanished, *(p for p in self.pods if has_ended(p))])

    @cached_property
    def is_suspended(self) -> bool:
        """Whether the Job may have no pods (Kueue, or a person)."""
        return bool(self.job and (self.job.get("spec") or {}).get("suspend"))

    @property
    def failed_count(self) -> int:
        """How many pods the Job counts as failed."""
        return int(((self.job or {}).get("status") or {}).get("failed") or 0)

    def job_condition(self, kind: str) -> Json | None:
        """The Job's condition of that kind, if it holds."""
        return condition(self.job or {}, kind)

    def job_events(self, reason: str) -> list[str]:
        """What events of that reason say, the newest last."""
        return [e.get("message") or "" for e in self.events if e.get("reason") == reason]


def condition(found: Json, kind: str) -> Json | None:
    """The condition of that kind, if it holds."""
    conditions = (found.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c.get("type") == kind and c.get("status") == "True"), None)


def condition_is_false(found: Json, kind: str) -> Json | None:
    """The condition of that kind, if it is said not to hold."""
    conditions = (found.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c.get("type") == kind and c.get("status") == "False"), None)


def newest(pods: Sequence[Json]) -> Json | None:
    """The one that was made last; None: there is none."""
    return max(pods, key=_created, default=None)


def is_finished(job: Json) -> bool:
    """Whether the Job is complete or has failed."""
    return any(condition(job, kind) for kind in ("Complete", "Failed"))


def name_of(found: Json) -> str:
    """The object's name."""
    return str(found["metadata"]["name"])


def is_being_deleted(found: Json | None) -> bool:
    """Whether somebody has asked for its end."""
    return found is not None and "deletionTimestamp" in found["metadata"]


def main_status(pod: Json) -> Json:
    """The status of the main container: the first one of the spec. What stands beside it are sidecars."""
    containers = (pod.get("spec") or {}).get("containers") or ()
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    if containers:
        return next((s for s in statuses if s.get("name") == containers[0]["name"]), {})
    return statuses[0] if statuses else {}


def ended_state(pod: Json) -> Json | None:
    """How the main container ended; None: it has not. A container that was started again has ended before."""
    status = main_status(pod)
    state: Json | None = (status.get("state") or {}).get("terminated") or (status.get("lastState") or {}).get(
        "terminated"
    )
    return state


def waiting_state(pod: Json) -> Json:
    """Why the main container, or one that has to run before it, waits: ``reason`` and ``message``; empty: none waits."""
    status = pod.get("status") or {}
    for one in [*(status.get("initContainerStatuses") or ()), main_status(pod)]:
        waiting: Json | None = (one.get("state") or {}).get("waiting")
        if waiting and waiting.get("reason") not in (None, "PodInitializing"):
            return waiting
    return {}


def failed_init(pod: Json) -> tuple[str, Json] | None:
    """An init container that failed for good, with how."""
    for one in (pod.get("status") or {}).get("initContainerStatuses") or ():
        ended = (one.get("state") or {}).get("terminated")
        if ended and ended.get("exitCode") != 0 and pod["status"].get("phase") == "Failed":
            return one["name"], ended
    return None


def has_ended(pod: Json) -> bool:
    """Whether no user code can run in it any more. A sidecar that runs on does not keep it alive."""
    return (pod.get("status") or {}).get("phase") in ENDED_PHASES or ended_state(pod) is not None


def has_run(pod: Json) -> bool:
    """Whether its main container was started."""
    status = main_status(pod)
    return "running" in (status.get("state") or {}) or ended_state(pod) is not None


def _created(pod: Json) -> tuple[str, int]:
    meta = pod["metadata"]
    version = str(meta.get("resourceVersion") or "0")
    return str(meta.get("creationTimestamp") or ""), int(version) if version.isdigit() else 0
