"""Runs as tasks: a run's process stands in a queue until a worker (``runplane celery worker start``) takes it.

The row in the database is the task; a message of the broker only says where to look. So a message that comes twice starts nothing twice,
and one that is lost costs some seconds: workers look for runs that wait.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..celery_app.broker import Broker, BrokerUnavailableError
from ..celery_app.hint import Hint
from ..celery_app.settings import DEFAULT_QUEUE, QUEUE_TAG, CelerySettings, checked_queue, priority_of
from ..errors import StorageUnavailableError
from ..events.run import Run
from ..storage.step_queues import RUN_STEP, QueuedStep, StepQueues, StepWorker, run_process, watcher_gone
from .contract import Health, HealthState, LaunchRequest, TerminateResult, WorkerHandle

KIND = "celery"
EXECUTE, RESUME = "execute_run", "resume_run"
"""Kinds of what a worker is to start: the verbs of ``api``."""
TASK_ID_TAG = "dagster-celery/task_id"
GRACE_S = 60.0
"""Between telling a run's process to end and killing it."""


class TaskHouse(Protocol):
    """What the launcher needs of its instance."""

    @property
    def instance_id(self) -> str:
        """UUID of the database."""

    @property
    def queues(self) -> StepQueues:
        """Its queues."""

    def note(self, run_id: str, message: str, metadata: Mapping[str, Any]) -> None:
        """An engine event in a run's log."""

    def add_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Put tags on a run."""


class CeleryRunLauncher:
    """See ``RunLauncher``, ``ChecksHealth`` and ``Resumes``. Source of its meaning: https://docs.dagster.io/api/libraries/dagster-celery

    Args:
        settings: the broker, or ``database``.
        house: what is needed of the instance.
        default_queue: of runs without the tag ``dagster-celery/queue``.
        ttl_s: a worker that was not heard of for so long may be gone.
    """

    def __init__(
        self, settings: CelerySettings, house: TaskHouse, *, default_queue: str = DEFAULT_QUEUE, ttl_s: float
    ) -> None:
        self._settings = settings
        self._house = house
        self._default_queue = default_queue
        self._ttl_s = ttl_s
        self._broker = None if settings.uses_database else Broker(settings)
        # A connection to a broker is one thread's at a time; launches are made by several.
        self._lock = threading.Lock()

    def launch(self, request: LaunchRequest) -> WorkerHandle:
        """See ``RunLauncher.launch``. Asked again while the process waits or runs, it changes nothing.

        Raises:
            ConfigErrors: the run's tags name no queue, or no priority.
        """
        run = request.run
        before = self._processes(run.run_id)
        there = next((row for row in before if self._of(row).state is not HealthState.GONE), None)
        return self._told(run, there) if there is not None else self._put(run, EXECUTE, request.document, before)

    def resume(self, request: LaunchRequest) -> WorkerHandle:
        """See ``Resumes.resume``. A process that waits to be started takes the run over too."""
        run = request.run
        before = self._processes(run.run_id)
        waiting = next((row for row in before if row.watcher is None and not row.stopping), None)
        if waiting is not None:
            return self._told(run, waiting)
        handle = self._put(run, RESUME, request.document, before)
        for row in before:
            # Its slot is not waited for: whoever asks for a resumption knows that its worker is gone.
            if row.watcher is not None and row.ended is None:
                self._house.queues.end(row.run_id, row.ref, row.watcher, {"text": "the run was resumed elsewhere"})
        return handle

    def terminate(self, run_id: str, handle: WorkerHandle) -> TerminateResult:
        """SIGTERM to the process, by its worker; nobody starts it when it still waits. Killed after ``GRACE_S``."""
        if handle.kind != KIND:
            return TerminateResult.UNKNOWN
        try:
            row = self._row(run_id, handle)
            if row is None or self._of(row).state is HealthState.GONE:
                return TerminateResult.NOT_FOUND
            self._house.queues.ask_to_stop(run_id, row.ref, GRACE_S)
        except StorageUnavailableError:
            return TerminateResult.UNKNOWN
        return TerminateResult.DELIVERED

    def check(self, run_id: str, handle: WorkerHandle) -> Health:
        """See ``ChecksHealth.check``."""
        if handle.kind != KIND:
            return Health(HealthState.UNKNOWN, f"another launcher started it ({handle.kind})")
        try:
            row = self._row(run_id, handle)
        except StorageUnavailableError as e:
            return Health(HealthState.UNKNOWN, str(e))
        if row is None:
            return Health(HealthState.GONE, "it stands in no queue any more")
        return self._of(row)

    def close(self) -> None:
        """See ``Closes``."""
        if self._broker is not None:
            self._broker.close()

    def _put(self, run: Run, kind: str, document: str, before: Sequence[QueuedStep]) -> WorkerHandle:
        queue = checked_queue(run.tags.get(QUEUE_TAG) or self._default_queue, where=f"run {run.run_id}")
        priority = priority_of(run.tags, {}, where=f"run {run.run_id}")
        row = QueuedStep(run.run_id, run_process(1 + max((r.ref.n for r in before), default=0)), queue, priority)
        body = {"kind": kind, "document": document}
        self._house.queues.put(run.run_id, row.ref, queue, priority, body, tells=self._broker is None)
        return self._told(run, row)

    def _told(self, run: Run, row: QueuedStep) -> WorkerHandle:
        """Say where to look, if a broker is used, and in the run's log where it stands."""
        hint = Hint(self._house.instance_id, run.run_id, RUN_STEP, row.ref.n, row.queue)
        said = f"Put the run into queue {row.queue}."
        if self._broker is not None and row.watcher is None:
            try:
                with self._lock:
                    self._broker.publish(hint, row.priority)
            except BrokerUnavailableError as e:
                said += f" {e} A worker that listens to the queue finds the run without a message, some seconds later."
        self._house.note(run.run_id, said, {"Celery Queue": row.queue, "Celery Task ID": hint.task_id})
        self._house.add_tags(run.run_id, {TASK_ID_TAG: hint.task_id})
        return WorkerHandle(KIND, {"queue": row.queue, "n": row.ref.n, "task_id": hint.task_id})

    def _processes(self, run_id: str) -> list[QueuedStep]:
        return [row for row in self._house.queues.of_run(run_id) if row.ref.step == RUN_STEP]

    def _row(self, run_id: str, handle: WorkerHandle) -> QueuedStep | None:
        return next((row for row in self._processes(run_id) if row.ref.n == handle.data["n"]), None)

    def _of(self, row: QueuedStep) -> Health:
        """How the process is that a row stands for."""
        if row.ended is not None:
            return Health(HealthState.GONE, str(row.ended.get("text", "its worker says that it has ended")))
        if row.watcher is None:
            if row.stopping:
                return Health(HealthState.GONE, "it was taken back before a worker had it")
            return Health(HealthState.ALIVE, f"it waits in queue {row.queue}, for {row.waited_s:.0f} s now")
        gone = watcher_gone(row)
        if gone is not None:
            return Health(HealthState.GONE, gone)
        return self._as_heard_of(row, row.watcher)

    def _as_heard_of(self, row: QueuedStep, watcher: str) -> Health:
        found: StepWorker | None = next((w for w in self._house.queues.workers() if w.worker_id == watcher), None)
        where = f"worker {watcher} on {row.owner.host if row.owner else 'a host that is not known'}"
        if found is None or found.age_s > self._ttl_s:
            return Health(HealthState.UNKNOWN, f"{where} was not heard of for {self._ttl_s:g} s")
        return Health(HealthState.ALIVE, f"{where} watches it")
