"""An instance in memory and what a loop is given, for tests of single passes."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from typing import Any

from storage_runs import event

from runplane.coordinators.queued import QueuedRunCoordinator
from runplane.daemon.contract import DaemonLoop, LoopContext, LoopReport
from runplane.engine.snapshot import PlanSnapshot, StepPlan
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.run import Run
from runplane.events.status import RunStatus
from runplane.instance.instance import Instance
from runplane.launchers.contract import LaunchRequest, TerminateResult, WorkerHandle
from runplane.storage.contract import Owner
from runplane.storage.leases import Lease, Leases


class FakeClock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class RecordingLauncher:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.launched: list[str] = []
        self.terminated: list[str] = []

    def launch(self, request: LaunchRequest) -> WorkerHandle:
        self.launched.append(request.run.run_id)
        return WorkerHandle("recorded", {"run": request.run.run_id})

    def terminate(self, run_id: str, handle: WorkerHandle) -> TerminateResult:
        self.terminated.append(run_id)
        return TerminateResult.DELIVERED


class DaemonHouse:
    """One daemon's view of an instance in memory.

    Args:
        launcher: in place of the instance's.
        instance: another one than one in memory.
    """

    def __init__(self, launcher: Any = None, instance: Instance | None = None) -> None:
        self.instance = instance or Instance.ephemeral()
        self.launcher = launcher or RecordingLauncher()
        self.instance.__dict__["launcher"] = self.launcher
        self.instance.document = lambda run, *, resume=False: "{}"  # type: ignore[method-assign]
        self.me = Owner("me", "here", "boot", 1, 1)
        self.coordinator = QueuedRunCoordinator(self.instance.journal, self.instance.runs)
        self.rings = 0
        self._ringing = threading.Lock()
        self._leases: dict[str, Lease] = {}

    def lease(self, name: str) -> Lease:
        if name not in self._leases:
            found = Leases(self.instance.database, self.me, ttl_s=60).acquire(name)
            assert found is not None
            self._leases[name] = found
        return self._leases[name]

    def run_once(self, loop: DaemonLoop) -> LoopReport:
        lease = self.lease(loop.name) if loop.is_leased else None
        return loop.run_once(LoopContext(self.instance, self.me, lease, lambda: False, self._ring))

    def _ring(self) -> None:
        with self._ringing:
            self.rings += 1

    def submit(self, plan: PlanSnapshot | None = None, **tags: str) -> str:
        run = Run(run_id=str(uuid.uuid4()), job_name="job", tags={k.replace("__", "/"): v for k, v in tags.items()})
        return self.coordinator.submit_new(run, plan).run_id

    def status(self, run_id: str) -> RunStatus:
        return self.instance.journal.head(run_id).status

    def in_status(self, status: RunStatus) -> list[str]:
        sql = self.instance.journal.rules.named("SELECT run_id FROM {run_head} WHERE status = :status")
        return [row[0] for row in self.instance.database.read(sql, {"status": status.value})]

    def end(self, run_id: str) -> None:
        self.instance.journal.move(run_id, event(EventKind.RUN_FAILURE))

    def cancel(self, run_id: str) -> None:
        self.instance.cancel(run_id)

    def last(self, run_id: str, kind: str) -> Mapping[str, Any]:
        return [e for e in self.instance.tail(run_id) if e.kind == kind][-1].body

    def note(self, run_id: str, new: NewEvent) -> None:
        self.instance.journal.annotate(run_id, [new])


def plan_with_pools(*pools: str) -> PlanSnapshot:
    """One first step per name, which needs a slot of that pool; "" for none."""
    return PlanSnapshot(
        "job", tuple(StepPlan(f"s{i}", f"s{i}", f"s{i}", pools=(p,) if p else ()) for i, p in enumerate(pools))
    )
