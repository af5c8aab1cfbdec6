"""What the log keeps of the pod that an attempt ran in: where it was, and when it got there. It is read when the pod is long gone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .observed import Json, Observed, condition, ended_state, main_status, name_of
from .trimmed import job_name_of


def pod_story(observed: Observed) -> dict[str, Any] | None:
    """The newest pod of an attempt: ``namespace``, ``job``, ``pod``, ``node``, and, in seconds since the epoch, ``created_at`` (of the Job),
    ``scheduled_at``, ``started_at`` (of the container), as far as they are known. None: it has had no pod.

    Kubernetes writes whole seconds.
    """
    pod = observed.live or observed.last
    if pod is None:
        return None
    told = {
        "namespace": pod["metadata"].get("namespace"),
        "job": name_of(observed.job) if observed.job is not None else job_name_of("pods", pod),
        "pod": name_of(pod),
        "node": (pod.get("spec") or {}).get("nodeName"),
        "created_at": _seconds((observed.job or pod)["metadata"].get("creationTimestamp")),
        "scheduled_at": _seconds((condition(pod, "PodScheduled") or {}).get("lastTransitionTime")),
        "started_at": _started_at(pod),
    }
    return {key: value for key, value in told.items() if value is not None}


def has_started(story: Mapping[str, Any]) -> bool:
    """Whether the container was seen to have started: what is told of it is whole then."""
    return "started_at" in story


def _started_at(pod: Json) -> float | None:
    running = (main_status(pod).get("state") or {}).get("running") or {}
    return _seconds(running.get("startedAt") or (ended_state(pod) or {}).get("startedAt"))


def _seconds(text: str | None) -> float | None:
    """A time of the API, seconds since the epoch."""
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
