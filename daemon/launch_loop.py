"""Launches the runs that left the queue: every daemon with a free hand does, each launch in a thread of its own.

A launcher that hangs costs one thread: after the deadline its run fails, and should the worker start after all it is refused when it
wants to claim the run.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..coordinators.failing import fail_launch
from ..errors import ConflictError, RunplaneError
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.run import Run
from ..events.status import RunStatus
from ..launchers.contract import BackendAwayError, WorkerHandle
from ..storage.contract import RunFilter
from ..storage.launches import Launches, TakenLaunch
from .contract import LoopContext, LoopReport

THREADS = 16
DEADLINE_S = 60.0
AWAY_PAUSE_S = 2.0
"""Between two launches while the launcher's backend is away; the launcher itself has waited before it said so."""
CLOSE_S = 10.0
"""How long a daemon that ends waits for launches that are under way."""


class LaunchTimeoutError(RunplaneError):
    """The launcher did not return in time."""


@dataclass
class _Flight:
    """A launch that is under way: since when, and whether its run has failed over it already."""

    run: Run
    since: float
    given_up: bool = False


@dataclass(frozen=True, slots=True)
class _Landed:
    """How a launch ended: with a handle, with an error, or (neither) not made, since it is not this daemon's any more."""

    run_id: str
    handle: WorkerHandle | None = None
    error: Exception | None = None


class LaunchLoop:
    """The launch loop; see ``DaemonLoop``.

    Args:
        threads: launches at once.
        deadline_s: how long one may take.
        pause: waits between two launches of a run while the backend is away.
        trust_s: how long a launch that was taken is known to be this daemon's without asking: less than the time after which others
            take it up.
    """

    name = "launch"
    interval_s = 1.0
    budget_s = 30.0
    is_leased = False
    wakes = True

    def __init__(
        self,
        *,
        threads: int = THREADS,
        deadline_s: float = DEADLINE_S,
        trust_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[], None] = lambda: time.sleep(AWAY_PAUSE_S),
    ) -> None:
        self._threads = threads
        self._deadline_s = deadline_s
        self._trust_s = trust_s
        self._clock = clock
        self._pause = pause
        self._flights: dict[str, _Flight] = {}
        self._landed: queue.SimpleQueue[_Landed] = queue.SimpleQueue()
        self._unstored: dict[str, _Landed] = {}
        self._took_s: list[float] = []
        self._context: LoopContext | None = None

    def run_once(self, context: LoopContext) -> LoopReport:
        """Store how launches ended, and begin others."""
        self._context = context
        self._took_s = []
        problems = [*self._store(context), *self._give_up_overdue(context)]
        free = self._threads - len(self._flights)
        launches = self._launches(context)
        begun = 0
        if free > 0 and not context.stopping() and launches.waiting():
            busy = {*self._flights, *self._unstored}
            taken = [launch for launch in launches.take(free) if launch.run_id not in busy]
            begun = self._begin(context, taken)
        return LoopReport(begun, tuple(problems), latencies_s=tuple(self._took_s))

    def close(self) -> None:
        """Wait for what is under way, and store where it is."""
        end = self._clock() + CLOSE_S
        while self._context is not None and self._flights and self._clock() < end:
            self._take_landed(timeout_s=0.1)
        if self._context is not None:
            self._store(self._context)

    def _begin(self, context: LoopContext, taken: Sequence[TakenLaunch]) -> int:
        wanted = [launch for launch in taken if launch.status is RunStatus.STARTING and launch.epoch == 0]
        for launch in taken:
            if launch not in wanted:
                # It was canceled, or the worker of an earlier try has claimed it.
                self._unstored[launch.run_id] = _Landed(launch.run_id)
        if not wanted:
            return 0
        ids = tuple(launch.run_id for launch in wanted)
        now = self._clock()
        for run in context.instance.runs.page(RunFilter(run_ids=ids), limit=len(ids)).runs:
            self._flights[run.run_id] = _Flight(run, now)
            thread = threading.Thread(target=self._launch, args=(context, run, now), name=f"launch {run.run_id}")
            thread.daemon = True
            thread.start()
        return len(wanted)

    def _launch(self, context: LoopContext, run: Run, taken_at: float) -> None:
        """In a thread of its own."""
        try:
            mine = self._clock() - taken_at < self._trust_s or self._launches(context).is_mine(run.run_id)
            landed = self._tried(context, run) if mine else _Landed(run.run_id)
        except Exception as e:  # noqa: BLE001 - whatever a launcher raises fails the run, with it as the cause
            landed = _Landed(run.run_id, error=e)
        if landed is not None:
            self._landed.put(landed)
            context.wake()

    def _tried(self, context: LoopContext, run: Run) -> _Landed | None:
        """Launch it; again and again while the launcher's backend is away. None: this daemon ends, and the launch is another one's."""
        while True:
            try:
                return _Landed(run.run_id, context.instance.launch_worker(run))
            except BackendAwayError:
                if context.stopping():
                    return None
                head = context.instance.journal.head(run.run_id)
                if head.status is not RunStatus.STARTING or not self._launches(context).is_mine(run.run_id):
                    return _Landed(run.run_id)
                # It did return, so it does not hang.
                self._flights[run.run_id].since = self._clock()
                self._pause()

    def _take_landed(self, timeout_s: float = 0.0) -> None:
        try:
            while True:
                landed = self._landed.get(timeout=timeout_s) if timeout_s else self._landed.get_nowait()
                timeout_s = 0.0
                flight = self._flights.pop(landed.run_id)
                self._unstored[landed.run_id] = landed
                if flight.given_up and landed.handle is not None and self._context is not None:
                    self._context.instance.launcher.terminate(landed.run_id, landed.handle)
        except queue.Empty:
            return

    def _store(self, context: LoopContext) -> list[str]:
        """Store handles, and end runs that could not be launched. What can not be stored now is kept."""
        self._take_landed()
        if not self._unstored:
            return []
        problems: list[str] = []
        for landed in self._unstored.values():
            if landed.error is not None:
                problems.append(f"run {landed.run_id} could not be launched: {landed.error}")
                self._fail(context, landed.run_id, landed.error)
        done = self._launches(context).done({run_id: _document(one) for run_id, one in self._unstored.items()})
        self._took_s += [took_s for run_id, took_s in done.took_s.items() if self._unstored[run_id].handle is not None]
        for run_id in done.canceled:
            self._end_canceled(context, run_id, self._unstored[run_id].handle)
        self._unstored.clear()
        return problems

    def _give_up_overdue(self, context: LoopContext) -> list[str]:
        problems = []
        for flight in self._flights.values():
            if not flight.given_up and self._clock() - flight.since > self._deadline_s:
                error = LaunchTimeoutError(f"the launcher did not return within {self._deadline_s:g} s")
                self._fail(context, flight.run.run_id, error)
                self._launches(context).done({flight.run.run_id: None})
                flight.given_up = True
                problems.append(f"run {flight.run.run_id}: {error}")
        return problems

    def _fail(self, context: LoopContext, run_id: str, error: Exception) -> None:
        try:
            fail_launch(context.instance.journal, run_id, error)
        except ConflictError:
            # Its worker was started all the same, or it was canceled: it is not to be failed any more.
            return

    def _end_canceled(self, context: LoopContext, run_id: str, handle: WorkerHandle | None) -> None:
        """A run that was canceled while it was launched: its worker can not claim it any more. Who canceled it ended it, as a rule."""
        if handle is not None:
            context.instance.launcher.terminate(run_id, handle)
        body = {"message": "The run was canceled before its worker claimed it."}
        event = NewEvent(EventKind.RUN_CANCELED, None, None, body, time.time())
        try:
            context.instance.journal.move(run_id, event)
        except ConflictError:
            # Somebody else has ended it meanwhile.
            return

    def _launches(self, context: LoopContext) -> Launches:
        return Launches(context.instance.database, context.me.worker_id)


def _document(landed: _Landed) -> Mapping[str, Any] | None:
    return {"kind": landed.handle.kind, "data": dict(landed.handle.data)} if landed.handle is not None else None
