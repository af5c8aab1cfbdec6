"""What a run launcher is: two methods, and two abilities that it may add.

A launcher starts the process of a run and answers whether that process lives. It decides nothing: what follows from "gone" is the
engine's affair. A plug-in that was written for Dagster's contract is wrapped (``launchers/dagster_contract.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from ..errors import RunplaneError
from ..events import Run
from ..serdes.record import record


@record
class LaunchRequest:
    """What a worker is started with.

    Attributes:
        run: the run, already STARTING.
        document: the text for `api execute_run` or `api resume_run`: an ``ExecuteRunArgs`` or ``ResumeRunArgs``. It is at most
            1 kB plus the instance, and holds environment sources unresolved.
        resume_attempt: 0 for the first worker of the run, n for its n-th resumption.
        env: variables that the worker needs beside those of its surroundings.
    """

    run: Run
    document: str
    resume_attempt: int = 0
    env: Mapping[str, str] = field(default_factory=dict)


@record
class WorkerHandle:
    """Where the worker is; stored with the run, so that another process can ask about it.

    Attributes:
        kind: which launcher understands it (`process`, `k8s`, a class path for a plug-in).
        data: JSON values; enough to prove that a worker is gone (pid, start time and boot id; Job name and uid).
    """

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


class BackendAwayError(RunplaneError):
    """The backend does not answer, so that no worker was started, or nobody knows of one. Launching again finds what is there.

    A daemon launches again, as long as the run may take to start; a verb for people gives up.
    """


class TerminateResult(str, Enum):
    """What became of the wish that a worker ends. Repeating the wish is always allowed."""

    DELIVERED = "DELIVERED"
    """The worker was told; it may still be ending."""
    NOT_FOUND = "NOT_FOUND"
    """There is nothing to tell: no such worker."""
    UNKNOWN = "UNKNOWN"
    """The backend did not answer."""

    def __str__(self) -> str:
        return self.value


class HealthState(str, Enum):
    """Whether a worker lives. Unknown is not gone."""

    ALIVE = "ALIVE"
    GONE = "GONE"
    """On positive evidence only."""
    UNKNOWN = "UNKNOWN"

    def __str__(self) -> str:
        return self.value


@record
class Health:
    """A worker's health.

    Attributes:
        state: whether it lives.
        evidence: what that is known from: one sentence for a person.
        is_hopeless: another worker would fare the same: its image is not there, its Job is refused.
    """

    state: HealthState
    evidence: str
    is_hopeless: bool = False


@runtime_checkable
class RunLauncher(Protocol):
    """Starts and ends workers. Both methods may be called from several threads at once."""

    def launch(self, request: LaunchRequest) -> WorkerHandle:
        """Start the worker and return; never wait for the run. An exception fails the run, but for ``BackendAwayError`` in a daemon."""

    def terminate(self, run_id: str, handle: WorkerHandle) -> TerminateResult:
        """Tell the worker to end. Idempotent; returns at once."""


@runtime_checkable
class ChecksHealth(Protocol):
    """A launcher that can tell whether a worker lives. Without it a worker is judged by its lease alone."""

    def check(self, run_id: str, handle: WorkerHandle) -> Health:
        """The worker's health now. An answer that the backend did not give is UNKNOWN, never GONE."""


@runtime_checkable
class StopsAll(Protocol):
    """A launcher whose backend may run more for a run than its newest worker: former workers, steps in pods of their own."""

    def stop_all(self, run_id: str, handle: WorkerHandle | None) -> Sequence[str]:
        """Tell all of it to end. Idempotent; returns at once.

        Returns:
            What is still there, each in words for a person; empty when nothing is. A backend that does not answer is told here too.
        """


@runtime_checkable
class Closes(Protocol):
    """A launcher, or another part of an instance, that holds something open (a client, threads, a process)."""

    def close(self) -> None:
        """Called once, when the instance is closed. Workers live on."""


@record
class CleanedUp:
    """What a launcher found of runs that are over: how much it ended, and what it could not end, a sentence each."""

    deleted: int
    problems: tuple[str, ...] = ()


@runtime_checkable
class CleansUp(Protocol):
    """A launcher whose backend may hold something of runs that are over: steps of a run that nobody went on with."""

    def clean_up(self) -> CleanedUp:
        """End it. Called by a daemon now and then; safe beside runs that are under way."""


@runtime_checkable
class Resumes(Protocol):
    """A launcher that can start a further worker for a run whose worker is gone."""

    def resume(self, request: LaunchRequest) -> WorkerHandle:
        """As ``launch``, with the document of `api resume_run`."""
