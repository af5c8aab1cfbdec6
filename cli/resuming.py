"""``run resume``: another worker for a run whose worker is gone."""

from __future__ import annotations

from ..errors import ConflictError
from ..events.run import Run
from ..instance.instance import Instance
from ..launchers.contract import HealthState
from ..storage.contract import Head
from ..storage.liveness import boot_id, host_name, proven_gone


def resume(instance: Instance, run: Run) -> str:
    """Start a worker that takes the run over; a sentence that says from whom.

    Raises:
        ConflictError: the run is not in progress, its worker lives, or it was resumed as often as it may be.
    """
    head = instance.journal.head(run.run_id)
    where = f"run {run.run_id}"
    if head.status.is_final:
        raise ConflictError(
            f"the run is {head.status}", where=where, hint="`runplane run retry` makes a new run of it."
        )
    life = _life(instance, head)
    if life is not None:
        raise ConflictError(f"the run has a worker: {life}", where=where, hint="`runplane run cancel` ends it.")
    if head.owner is not None and head.resumes >= instance.resumes_allowed:
        raise ConflictError(
            f"the run was resumed {head.resumes} times, as often as it may be",
            where=where,
            expected="run_monitoring.max_resume_run_attempts",
            hint="`runplane run cancel` ends it; `runplane run retry` then goes on where it stopped.",
        )
    known = _why_gone(instance, head)
    instance.resume(run.run_id)
    if known is not None:
        return f"Another worker takes the run over: {known}."
    return (
        "Whether its worker lives can not be known from here. Another one was started: it takes the run over"
        f" when the old one has not been heard of for {instance.lease_ttl_s:g} s."
    )


def _life(instance: Instance, head: Head) -> str | None:
    """What shows that the run's worker lives, or None."""
    owner = head.owner
    if owner is not None:
        is_here = owner.host == host_name() and owner.boot_id == boot_id() != ""
        if is_here and proven_gone(owner) is None:
            return f"process {owner.pid} coordinates it"
        if is_here:
            return None  # whatever its launcher says: who holds the run is gone
    health = instance.worker_health(head.run_id)
    return health.evidence if health.state is HealthState.ALIVE else None


def _why_gone(instance: Instance, head: Head) -> str | None:
    """What shows that it is gone, or None: it is not known."""
    if head.owner is None and head.epoch > 0:
        return "its worker gave it up"
    if head.owner is not None and (proof := proven_gone(head.owner)) is not None:
        return proof
    health = instance.worker_health(head.run_id)
    return health.evidence if health.state is HealthState.GONE else None
