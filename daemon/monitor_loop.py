"""Watches over runs: who does not start, who does not end, who lost its worker.

A worker is lost on evidence (its process is gone, its launcher says so and nothing is heard of it), or when its beat stood still through
a whole lease of this daemon's own uninterrupted contact with the database. Then another worker is started while the budget lasts, or the
run is taken over and ended, with the cause.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from ..errors import ConflictError, StorageUnavailableError
from ..events.causes import FailureCause, RunFailureReason
from ..events.kinds import EventKind
from ..events.status import RunStatus
from ..instance.instance import Instance
from ..instance.settings import RunMonitoring
from ..launchers.contract import HealthState, Resumes
from ..storage.contract import Head
from ..storage.leases import LOOKS_PER_TTL, BeatWatch
from ..storage.liveness import proven_gone
from ..storage.watching import RESUMING, WatchedRuns
from .contract import LoopContext, LoopReport
from .ending import end_lost_run, event_now

GRACE_S = 60.0
"""The run's own worker ends it at its time limit; this long after, the daemon asks for it."""
MAX_RUNTIME_TAGS = ("dagster/max_runtime", "dagster/max_runtime_seconds")


class MonitorSettings(NamedTuple):
    """What is watched for. Times in seconds; 0 for `max_runtime_s` is no limit, None for `free_slots_s` is off.

    Attributes:
        poll_s: how often launchers are asked how their workers are.
        resumes: how often a run may get a further worker.
        ttl_s: how long the beat of a run's worker has to stand still.
    """

    start_timeout_s: float
    cancel_timeout_s: float
    max_runtime_s: float
    poll_s: float
    resumes: int
    free_slots_s: float | None
    ttl_s: float


class MonitorLoop:
    """The monitor; see ``DaemonLoop``."""

    name = "monitor"
    budget_s = 120.0
    is_leased = True
    wakes = False

    def __init__(self, settings: MonitorSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        # Beats have to be looked at more often than launchers are asked.
        self.interval_s = min(settings.poll_s, settings.ttl_s / (2 * LOOKS_PER_TTL))
        self._polled = clock() - settings.poll_s
        self._watches: dict[str, BeatWatch] = {}

    def run_once(self, context: LoopContext) -> LoopReport:
        """Look at every run that is under way."""
        polls = self._clock() - self._polled >= self._settings.poll_s
        if polls:
            self._polled = self._clock()
        done, problems = 0, []
        heads = WatchedRuns(context.instance.database).heads()
        under_way = {head.run_id for head in heads}
        self._watches = {run_id: watch for run_id, watch in self._watches.items() if run_id in under_way}
        for head in heads:
            if context.stopping():
                break
            try:
                done += self._look(context, head, polls=polls)
            except StorageUnavailableError:
                raise
            except Exception as e:  # noqa: BLE001 - one run must not keep the others from being looked at
                problems.append(f"run {head.run_id}: {type(e).__name__}: {e}")
        if polls and self._settings.free_slots_s is not None:
            WatchedRuns(context.instance.database).free_slots_of_ended_runs(self._settings.free_slots_s)
        return LoopReport(done, tuple(problems))

    def close(self) -> None:
        """Nothing is held."""

    def _look(self, context: LoopContext, head: Head, *, polls: bool) -> bool:
        """Whether something was done for the run."""
        instance = context.instance
        if head.status in (RunStatus.NOT_STARTED, RunStatus.STARTING):
            return polls and self._start_timeout(instance, head)
        if head.status is RunStatus.CANCELING and (polls and self._cancel_timeout(context, head)):
            return True
        evidence = self._lost(instance, head, polls=polls)
        if evidence is not None:
            return self._replace(context, head, evidence)
        return head.status is RunStatus.STARTED and polls and self._overdue(instance, head)

    # Runs that do not start, or do not end --------------------------------------------------------------------------------

    def _start_timeout(self, instance: Instance, head: Head) -> bool:
        age = WatchedRuns(instance.database).seconds_since(head.run_id, EventKind.RUN_STARTING)
        if head.status is RunStatus.NOT_STARTED:
            age = time.time() - instance.runs.get(head.run_id).created_at
        limit = self._settings.start_timeout_s
        if age is None or age <= limit or head.epoch > 0:
            return False
        body = {
            "reason": RunFailureReason.START_TIMEOUT.value,
            "message": f"Run timed out due to taking longer than {limit:g} seconds to start.{_health(instance, head)}",
            "tags": {"dagster/failure_reason": RunFailureReason.START_TIMEOUT.value},
        }
        try:
            instance.journal.move(head.run_id, event_now(EventKind.RUN_FAILURE, body))
        except ConflictError:
            return False  # it was claimed just now, or has ended
        instance.terminate_worker(head.run_id)
        return True

    def _cancel_timeout(self, context: LoopContext, head: Head) -> bool:
        instance = context.instance
        if head.epoch == 0:
            return self._end_unclaimed(instance, head)
        age = WatchedRuns(instance.database).seconds_since(head.run_id, EventKind.RUN_CANCELING)
        limit = self._settings.cancel_timeout_s
        if age is None or age <= limit:
            return False
        evidence = f"it took longer than {limit:g} seconds to cancel"
        return end_lost_run(
            context, head, f"The run is ended by the daemon: {evidence}.", evidence, FailureCause.CANCELED
        )

    def _end_unclaimed(self, instance: Instance, head: Head) -> bool:
        """Canceled before a worker claimed it: none can any more."""
        instance.terminate_worker(head.run_id)
        body = {"message": "The run was canceled before its worker claimed it."}
        try:
            instance.journal.move(head.run_id, event_now(EventKind.RUN_CANCELED, body))
        except ConflictError:
            return False
        return True

    def _overdue(self, instance: Instance, head: Head) -> bool:
        if head.intent != "none":
            return False
        run = instance.runs.get(head.run_id)
        given = next((run.tags[tag] for tag in MAX_RUNTIME_TAGS if tag in run.tags), None)
        try:
            limit = self._settings.max_runtime_s if given is None else float(given)
        except ValueError:
            return False  # the run's worker has said so
        age = WatchedRuns(instance.database).seconds_since(head.run_id, EventKind.RUN_START)
        if not limit or age is None or age <= limit + GRACE_S:
            return False
        message = f"Canceling due to exceeding maximum runtime of {limit:g} seconds."
        canceling = event_now(EventKind.RUN_CANCELING, {"intent": "deadline", "message": message})
        instance.journal.intend(head.run_id, "deadline", canceling, event_now(EventKind.RUN_CANCELED, {}))
        return True

    # Runs that lost their worker ------------------------------------------------------------------------------------------

    def _lost(self, instance: Instance, head: Head, *, polls: bool) -> str | None:
        """Why the run's worker is known to be gone, or None."""
        watch = self._watches.setdefault(head.run_id, BeatWatch(self._settings.ttl_s, self._clock))
        still = watch.stood_still((head.epoch, head.beat))
        if head.epoch == 0:
            return None
        if head.owner is None:
            return "its worker gave the run up"
        proof = proven_gone(head.owner)
        if proof is not None:
            return proof
        if still:
            return f"its worker has not been heard of for {self._settings.ttl_s:g} s"
        if polls and watch.still_for_s >= self._settings.ttl_s / 2:
            health = instance.worker_health(head.run_id)
            if health.state is HealthState.GONE:
                return health.evidence
        return None

    def _replace(self, context: LoopContext, head: Head, evidence: str) -> bool:
        """Another worker, or the run's end."""
        instance = context.instance
        if head.status is RunStatus.CANCELING:
            return end_lost_run(context, head, f"The run was canceled; {evidence}.", evidence, FailureCause.CANCELED)
        launched = WatchedRuns(instance.database).workers_launched_again(head.run_id)
        if launched > head.resumes and not self._is_late(instance, head):
            return False
        tries = max(head.resumes, launched)
        if tries < self._settings.resumes and isinstance(instance.launcher, Resumes):
            said = f"Detected that the run's worker is gone: {evidence}. Resuming run {head.run_id} with a new worker."
            number = f"{RESUMING} (attempt {tries + 1} of {self._settings.resumes})"
            now = [event_now(EventKind.ENGINE_EVENT, {"message": text, "reported": True}) for text in (said, number)]
            instance.journal.annotate(head.run_id, now)
            instance.resume(head.run_id)
            return True
        why = "" if not tries else f" The maximum of {self._settings.resumes} attempts to resume it is used up."
        message = f"Detected that the run's worker is gone: {evidence}. Marking run {head.run_id} as failed.{why}"
        return end_lost_run(context, head, message, evidence, FailureCause.LOST)

    def _is_late(self, instance: Instance, head: Head) -> bool:
        """Whether the further worker that was started will not take the run over any more: it is gone itself, or late."""
        health = instance.worker_health(head.run_id)
        if health.state is HealthState.GONE:
            return True
        age = WatchedRuns(instance.database).seconds_since(head.run_id, EventKind.ENGINE_EVENT)
        return age is not None and age > self._settings.start_timeout_s


def monitor_loop_of(instance: Instance) -> MonitorLoop | None:
    """The monitor as the instance's settings want it; None when they do not."""
    given: RunMonitoring = instance.settings.run_monitoring
    if not given.enabled:
        return None
    settings = MonitorSettings(
        start_timeout_s=instance.start_timeout_s,
        cancel_timeout_s=given.cancel_timeout_seconds,
        max_runtime_s=given.max_runtime_seconds,
        poll_s=given.poll_interval_seconds,
        resumes=instance.resumes_allowed,
        free_slots_s=given.free_slots_after_run_end_seconds,
        ttl_s=instance.lease_ttl_s,
    )
    return MonitorLoop(settings)


def _health(instance: Instance, head: Head) -> str:
    """What is known of the run's worker, for a message."""
    if instance.runs.handle(head.run_id) is None:
        return " No worker of it is known."
    return f" Its worker: {instance.worker_health(head.run_id).evidence}."
