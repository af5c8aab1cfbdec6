"""Watches over runs: who does not start, who does not end, who lost its worker.

A worker is lost on evidence (its process is gone, its launcher says so and nothing is heard of it), or when its beat stood still through
a whole lease of this daemon's own uninterrupted contact with the database. Then another worker is started while the budget lasts, or the
run is taken over and ended, with the cause.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
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
from ..storage.watching import WatchedRuns
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


class Ending(NamedTuple):
    """A run that is to end when nothing of it is left.

    Attributes:
        epoch: of the coordinator that is lost.
        evidence: why it is known to be.
        since: from when on it was told to end.
    """

    epoch: int
    evidence: str
    since: float


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
        self._ending: dict[str, Ending] = {}

    def run_once(self, context: LoopContext) -> LoopReport:
        """Look at every run that is under way."""
        polls = self._clock() - self._polled >= self._settings.poll_s
        if polls:
            self._polled = self._clock()
        done, problems = 0, []
        heads = WatchedRuns(context.instance.database).heads()
        under_way = {head.run_id for head in heads}
        self._watches = {run_id: watch for run_id, watch in self._watches.items() if run_id in under_way}
        self._ending = {run_id: ending for run_id, ending in self._ending.items() if run_id in under_way}
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
            return polls and (self._start_timeout(instance, head) or self._died_before_its_claim(instance, head))
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
        return self._fail_unclaimed(instance, head, body)

    def _died_before_its_claim(self, instance: Instance, head: Head) -> bool:
        """A worker that is proven gone will not claim the run any more: another one may, while the budget lasts."""
        if head.status is not RunStatus.STARTING or head.epoch > 0:
            return False
        health = instance.worker_health(head.run_id)
        if health.state is not HealthState.GONE or instance.journal.head(head.run_id).epoch > 0:
            return False  # or it has claimed the run since, and ended it
        evidence = f"it never claimed the run; {health.evidence}"
        tries = WatchedRuns(instance.database).workers_launched_again(head.run_id)
        if not health.is_hopeless and self._may_resume(instance, tries):
            self._resume(instance, head, evidence)
            return True
        reason = RunFailureReason.UNEXPECTED_TERMINATION.value
        body = {
            "reason": reason,
            "message": self._marked_as_failed(head, evidence, tries),
            "tags": {"dagster/failure_reason": reason},
        }
        return self._fail_unclaimed(instance, head, body)

    def _fail_unclaimed(self, instance: Instance, head: Head, body: Mapping[str, object]) -> bool:
        try:
            instance.journal.move(head.run_id, event_now(EventKind.RUN_FAILURE, body))
        except ConflictError:
            return False  # it was claimed just now, or has ended
        instance.stop_all(head.run_id)
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
        message = f"The run is ended by the daemon: {evidence}."
        left = instance.stop_all(head.run_id)
        return end_lost_run(context, head, message, evidence, FailureCause.CANCELED, left)

    def _end_unclaimed(self, instance: Instance, head: Head) -> bool:
        """Canceled before a worker claimed it: none can any more."""
        instance.stop_all(head.run_id)
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
        ending = self._ending.get(head.run_id)
        if ending is not None and ending.epoch == head.epoch:
            return ending.evidence
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
            return self._end(context, head, f"The run was canceled; {evidence}.", evidence, FailureCause.CANCELED)
        launched = WatchedRuns(instance.database).workers_launched_again(head.run_id)
        if launched > head.resumes and not self._is_late(instance, head):
            return False
        evidence = _with_health(instance, head, evidence)
        tries = max(head.resumes, launched)
        if self._may_resume(instance, tries):
            self._resume(instance, head, evidence)
            return True
        return self._end(context, head, self._marked_as_failed(head, evidence, tries), evidence, FailureCause.LOST)

    def _may_resume(self, instance: Instance, tries: int) -> bool:
        return tries < self._settings.resumes and isinstance(instance.launcher, Resumes)

    def _resume(self, instance: Instance, head: Head, evidence: str) -> None:
        said = f"Detected that the run's worker is gone: {evidence}. Resuming run {head.run_id} with a new worker."
        instance.journal.annotate(head.run_id, [event_now(EventKind.ENGINE_EVENT, {"message": said, "reported": True})])
        instance.resume(head.run_id)

    def _marked_as_failed(self, head: Head, evidence: str, tries: int) -> str:
        why = "" if not tries else f" The maximum of {self._settings.resumes} attempts to resume it is used up."
        return f"Detected that the run's worker is gone: {evidence}. Marking run {head.run_id} as failed.{why}"

    def _end(self, context: LoopContext, head: Head, message: str, evidence: str, cause: FailureCause) -> bool:
        """End the run when nothing of it is left: steps may run in pods of their own. What does not go away is named in the end."""
        ending = self._ending.get(head.run_id)
        if ending is None or ending.epoch != head.epoch:
            ending = self._ending[head.run_id] = Ending(head.epoch, evidence, self._clock())
        left = context.instance.stop_all(head.run_id)
        if left and self._clock() - ending.since < self._settings.cancel_timeout_s:
            return False
        return end_lost_run(context, head, message, evidence, cause, left)

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


def _with_health(instance: Instance, head: Head, evidence: str) -> str:
    """The evidence, and what the worker's launcher knows of its end: a beat that stood still says nothing of why."""
    health = instance.worker_health(head.run_id)
    if health.state is not HealthState.GONE or health.evidence in evidence:
        return evidence
    return f"{evidence}; {health.evidence}"


def _health(instance: Instance, head: Head) -> str:
    """What is known of the run's worker, for a message."""
    if instance.runs.handle(head.run_id) is None:
        return " No worker of it is known."
    return f" Its worker: {instance.worker_health(head.run_id).evidence}."
