"""Creating a Job so that it may be asked again: after a lost answer the one that is there is ours, and only then it is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .client import Json, KubeClient
from .errors import KubeConflictError, KubeRefusedError
from .job_facts import ATTEMPT_LABEL, INSTANCE_LABEL, RUN_LABEL, STEP_ANNOTATION
from .observed import is_being_deleted, is_finished

IDENTITY_LABELS = (RUN_LABEL, INSTANCE_LABEL, ATTEMPT_LABEL, "app.kubernetes.io/component")


class NameTakenError(KubeRefusedError):
    """A Job of that name is there, and it is somebody else's, or an older one."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A Job that is there.

    Attributes:
        job: as the API server has it.
        is_over: it is the right one, and it has finished or is being deleted: what came of it has to be found out.
    """

    job: Json
    is_over: bool = False


def place_job(client: KubeClient, namespace: str, manifest: Mapping[str, Any]) -> Placed:
    """Create the Job; when its name is taken by a Job of the same attempt, take that one.

    Raises:
        NameTakenError: the name belongs to another run, instance, step or attempt; the text says whose it is.
        KubeUnavailableError: no answer; call this again.
        KubeRefusedError: it can not be created.
    """
    name = str(manifest["metadata"]["name"])
    try:
        return Placed(client.create_job(namespace, manifest))
    except KubeConflictError as conflict:
        found = client.get_job(namespace, name)
        if found is None:
            # Gone between the two calls; it was in the way, so it was another one's: try again.
            return Placed(client.create_job(namespace, manifest))
        if not is_same_attempt(found, manifest):
            raise NameTakenError(
                f"there is a Job of this name already, and it is not this attempt's: {whose(found)}",
                where=f"Job {name} in namespace {namespace}",
                status=409,
                reason=conflict.reason,
                hint="Delete it, if nobody needs it any more.",
            ) from conflict
        return Placed(found, is_over=is_over(found))


def is_same_attempt(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether two Jobs are for the same attempt of the same thing, of one instance."""
    return identity(found) == identity(wanted)


def identity(job: Mapping[str, Any]) -> tuple[str | None, ...]:
    """What tells attempts apart."""
    meta = job["metadata"]
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    return (*(labels.get(label) for label in IDENTITY_LABELS), annotations.get(STEP_ANNOTATION))


def is_over(job: Mapping[str, Any]) -> bool:
    """Whether it has finished, or is being deleted."""
    return is_being_deleted(job) or is_finished(job)


def is_owned_by(job: Mapping[str, Any], owner: Mapping[str, Any]) -> bool:
    """Whether that object, and nobody else, is its owner."""
    return [one["uid"] for one in job["metadata"].get("ownerReferences") or ()] == [owner["uid"]]


def may_go_on(job: Mapping[str, Any]) -> bool:
    """Whether its controller may put another pod in the place of one that has ended."""
    spec = job.get("spec") or {}
    again = spec.get("backoffLimit", 6) > 0 or spec.get("podFailurePolicy") or spec.get("suspend")
    return bool(again) and not is_over(job)


def whose(job: Mapping[str, Any]) -> str:
    """Whom a Job belongs to, for a person."""
    labels = job["metadata"].get("labels") or {}
    annotations = job["metadata"].get("annotations") or {}
    told = {
        "run": labels.get(RUN_LABEL),
        "step": annotations.get(STEP_ANNOTATION),
        "attempt": labels.get(ATTEMPT_LABEL),
        "instance": labels.get(INSTANCE_LABEL),
    }
    words = ", ".join(f"{what} {value}" for what, value in told.items() if value)
    return words or "it has none of runplane's labels"
