"""What is in a cluster and nobody needs any more: the Jobs and pods of one instance, held against what its database says. Pure.

Finished Jobs of runs that are known are none of it: they stay for people, until their time to live or ``retention`` takes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .foreign_job import COMPONENT as FOREIGN
from .job_facts import ATTEMPT_LABEL, INSTANCE_LABEL, RUN_LABEL, STEP_ANNOTATION
from .observed import Json, has_ended, is_being_deleted, is_finished
from .trimmed import job_name_of

COMPONENT_LABEL = "app.kubernetes.io/component"
GRACE_S = 60.0
"""An end that was stored so lately may still be on its way in the cluster: a Job is Complete seconds after its code ran."""


class Why(str, Enum):
    """Why nobody needs an object."""

    RUN_IS_OVER = "its run is over"
    ATTEMPT_IS_OVER = "its attempt is over"
    WORKER_IS_REPLACED = "a newer worker has its run"
    UNKNOWN = "the database does not know it"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """Of one attempt that was issued: when its end was stored (seconds since the epoch), or None while it is open."""

    ended_at: float | None = None


@dataclass(frozen=True, slots=True)
class RunInLog:
    """What the database says of one run.

    Attributes:
        status: a word for people.
        ended_at: seconds since the epoch; None while it is under way.
        worker: place of its newest worker's Job (``namespace``, ``job``, ``uid``); None: not known.
        attempts: (step, n) -> its end. Read only for runs that are under way.
    """

    status: str
    ended_at: float | None = None
    worker: Mapping[str, Any] | None = None
    attempts: Mapping[tuple[str, int], AttemptEnd] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leftover:
    """An object that nobody needs.

    Attributes:
        resource: ``jobs``, or ``pods`` for a pod whose Job is not there.
        why: the reason.
        detail: the same for a person, with the run's status.
    """

    resource: str
    namespace: str
    name: str
    uid: str
    run_id: str
    step: str | None
    attempt: int | None
    why: Why
    detail: str


def run_of(found: Json) -> str | None:
    """The run that an object belongs to by its label."""
    labels: Mapping[str, str] = found["metadata"].get("labels") or {}
    return labels.get(RUN_LABEL)


def leftover(resource: str, found: Json, run: RunInLog | None, instance_id: str, now: float) -> Leftover | None:
    """The object, if nobody needs it.

    Args:
        resource: ``jobs`` or ``pods``.
        found: as the API has it.
        run: what the database says of its run; None: nothing.
        instance_id: of the instance whose database that is. An object of another one is never anything of ours.
        now: seconds since the epoch, by the database's clock as far as possible.
    """
    meta = found["metadata"]
    labels = meta.get("labels") or {}
    run_id = labels.get(RUN_LABEL)
    if labels.get(INSTANCE_LABEL) != instance_id or run_id is None or is_being_deleted(found):
        return None
    step = (meta.get("annotations") or {}).get(STEP_ANNOTATION)
    number = labels.get(ATTEMPT_LABEL) or ""
    n = int(number) if number.isdigit() else None
    why = _why(resource, found, run, step, n, now)
    if why is None:
        return None
    detail = f"{why}{f': {run.status}' if run is not None and why is Why.RUN_IS_OVER else ''}"
    return Leftover(resource, meta["namespace"], meta["name"], meta["uid"], run_id, step, n, why, detail)


def is_over(resource: str, found: Json) -> bool:
    """Whether nothing runs in it any more, nor will."""
    return is_finished(found) if resource == "jobs" else has_ended(found)


def _why(resource: str, found: Json, run: RunInLog | None, step: str | None, n: int | None, now: float) -> Why | None:
    if run is None:
        return Why.UNKNOWN
    if is_over(resource, found):
        return None
    if run.ended_at is not None:
        return Why.RUN_IS_OVER if now - run.ended_at >= GRACE_S else None
    if step is None:
        return Why.WORKER_IS_REPLACED if _is_replaced(resource, found, run, n) else None
    attempt = run.attempts.get((step, n or 0))
    if attempt is None:
        return Why.UNKNOWN
    if (found["metadata"].get("labels") or {}).get(COMPONENT_LABEL) == FOREIGN:
        # The step's next attempt takes it over: it is its step's, whichever attempt made it.
        ends = [one.ended_at for (key, _), one in run.attempts.items() if key == step]
        attempt = AttemptEnd(None if None in ends else max(end for end in ends if end is not None))
    return Why.ATTEMPT_IS_OVER if attempt.ended_at is not None and now - attempt.ended_at >= GRACE_S else None


def _is_replaced(resource: str, found: Json, run: RunInLog, n: int | None) -> bool:
    """Whether the run's newest worker is a later one. A Job with a higher number was made just now, and is not noted yet."""
    newest = run.worker
    name = job_name_of(resource, found)
    if newest is None or n is None or name is None or "job" not in newest:
        return False
    return name != newest["job"] and n < _number(str(newest["job"]), str(found["metadata"]["labels"][RUN_LABEL]))


def _number(job: str, run_id: str) -> int:
    """Which worker of its run a Job's name stands for; 0: it can not be told."""
    rest = job.rpartition(run_id)[2]
    if not rest:
        return 1
    return int(rest[1:]) + 1 if rest[1:].isdigit() else 0
