"""What is asked of storage and what it answers: plain data. See ``docs/learn/lifecycle.md`` for who may write what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Union

from ..engine.arcs import AttemptState
from ..engine.planned_step import PlannedStep
from ..engine.snapshot import StoredOutput
from ..events.event import Event, NewEvent
from ..events.kinds import EventKind
from ..events.run import Run
from ..events.status import RunStatus
from ..serdes.record import record

_NOTHING_TO_SAY: Mapping[str, Any] = {}


class AttemptRef(NamedTuple):
    """Attempt `n` (from 1) of step `step`."""

    step: str
    n: int


class Append(NamedTuple):
    """Append events in the coordinator's name, or, with a nonce, in an attempt's.

    `ref` and `nonce` say whose events these are when a child's events travel through the coordinator. They are refused when the
    attempt was sealed; when it is done, annotations only are taken.
    """

    events: Sequence[NewEvent]
    ref: AttemptRef | None = None
    nonce: str | None = None


class Issue(NamedTuple):
    """Issue attempt `n` of a step, with a slot in each pool, all or nothing.

    Attributes:
        worker: when given, the attempt is claimed by this worker in the same transaction (steps that the coordinator's own
            process runs); the nonce is in the result.
        claim_body: body of the claim's event.
        notes: annotations that are stored with it, and not when it is refused.
    """

    ref: AttemptRef
    pools: tuple[str, ...] = ()
    priority: int = 0
    retry_number: int = 0
    worker: str | None = None
    claim_body: Mapping[str, Any] = _NOTHING_TO_SAY
    notes: Sequence[NewEvent] = ()


class Seal(NamedTuple):
    """Take an attempt's authority away. An attempt that has an outcome keeps it, and the answer says so."""

    ref: AttemptRef
    cause: str
    evidence: str


class Finish(NamedTuple):
    """End the run: RUN_SUCCESS, RUN_FAILURE or RUN_CANCELED. Refused while an attempt is open.

    Attributes:
        event: the run's last event.
        expects: the status that the coordinator knows of; with another one it is refused (a cancel came in between). Empty: any
            from which the arc leads.
    """

    event: NewEvent
    expects: tuple[str, ...] = ()


Op = Union[Append, Issue, Seal, Finish]  # noqa: UP007 - used at run time


class Accepted(NamedTuple):
    """The op was carried out. `first` is the number of its first event; `nonce` is there for an Issue with a worker."""

    first: int
    nonce: str | None = None


class Refused(NamedTuple):
    """The op was not carried out, and nothing of it was stored.

    Attributes:
        why: ``pool_full``, ``run_is_ending`` (a cancel is on its way), ``sealed``, ``done``, ``open_attempts`` (of the run, for a Finish; of
            the step, for an Issue), ``exists`` (this attempt, a newer one, or the step's end) or ``no_such_attempt``.
        detail: the pools that are full; the outcome's kind of a done attempt.
    """

    why: str
    detail: tuple[str, ...] = ()


OpResult = Union[Accepted, Refused]  # noqa: UP007 - used at run time


class Committed(NamedTuple):
    """What a batch of the coordinator did.

    Attributes:
        results: one per op, in order.
        head: number of the run's newest event.
        first: number that the first event of this batch got, had it been alone: `head_before + 1`.
        at: storage's time of the batch.
        status, intent: of the run, as this transaction leaves them.
    """

    results: tuple[OpResult, ...]
    head: int
    first: int
    at: float
    status: RunStatus
    intent: str


class StepBrief(NamedTuple):
    """What a process has to know to run one attempt. Its size follows the step's own inputs, never the plan.

    Attributes:
        run: the run.
        planned: the step; None when the run has no plan, or its plan no such step.
        outputs: what the steps that ``planned.reads`` names have produced.
    """

    run: Run
    planned: PlannedStep | None
    outputs: tuple[StoredOutput, ...]


class Claimed(NamedTuple):
    """The worker owns the attempt and may run user code.

    Attributes:
        n: attempt number. nonce: what it writes with. retry_number: user retries before this attempt.
        epoch: the coordinator's.
        brief: what it has to know.
    """

    n: int
    nonce: str
    retry_number: int
    epoch: int
    brief: StepBrief


class NotClaimed(NamedTuple):
    """Why not: ``duplicate`` (another worker has it), ``revoked`` (sealed, or the run is ending or over), ``done``."""

    why: str
    detail: str = ""


@record
class Owner:
    """The process that coordinates a run, with enough to prove it gone.

    Attributes:
        worker_id: random, drawn at process start.
        host: its name, with the pid namespace in a container. boot_id: of the kernel, so that a pid means something.
        pid, pid_started: process id and its start time in clock ticks after boot; together they name one process.
    """

    worker_id: str
    host: str
    boot_id: str
    pid: int
    pid_started: int

    def to_body(self) -> dict[str, Any]:
        """The form kept in ``run_head.owner``."""
        return {
            "worker_id": self.worker_id,
            "host": self.host,
            "boot_id": self.boot_id,
            "pid": self.pid,
            "pid_started": self.pid_started,
        }


@record
class Head:
    """The hot row of a run, as read.

    `beat` is raised by the owner; a taker compares two reads of it, never a clock.
    """

    run_id: str
    status: RunStatus
    intent: str
    epoch: int
    head: int
    beat: int
    resumes: int
    owner: Owner | None
    level: str | None = None
    """Protocol level of the coordinator, ``major.minor``."""


class Beaten(NamedTuple):
    """What a coordinator learns when it beats.

    Attributes:
        head: number of the run's newest event.
        cancel_requested: somebody asked for the run's end. Whoever did so may be gone before the intent was stored.
    """

    status: RunStatus
    intent: str
    head: int
    cancel_requested: bool = False


class RunClaim(NamedTuple):
    """A coordinator's authority over a run: the epoch, and the head it starts from."""

    epoch: int
    head: int
    level: str
    resumed: bool


class AttemptRow(NamedTuple):
    """One attempt as stored."""

    ref: AttemptRef
    state: AttemptState
    outcome: str | None
    cause: str | None
    worker: str | None
    retry_number: int


@record
class RunFilter:
    """Which runs to list. None means any; several values of one field mean any of them; several tags mean all."""

    run_ids: tuple[str, ...] | None = None
    job_name: str | None = None
    statuses: tuple[RunStatus, ...] | None = None
    tags: Mapping[str, str] | None = None
    root_run_id: str | None = None
    created_after: float | None = None
    created_before: float | None = None


@record
class Page:
    """A page of runs, newest first; `cursor` continues, None at the end."""

    runs: tuple[Run, ...]
    cursor: str | None


class FeedItem(NamedTuple):
    """One entry of the log that is read across runs. `number` has no gaps and grows for every reader alike."""

    number: int
    run_id: str
    seq: int
    kind: EventKind | str
    at: float
    body: Mapping[str, Any]


DELETION = "delete"
"""Kind of the request that a run be deleted; it is there until all of the run is erased."""


def deletion_id(run_id: str) -> str:
    """Id of the request that a run be deleted."""
    return f"{DELETION}:{run_id}"


class ReadsEvents(Protocol):
    """Reading a run's events."""

    def tail(self, run_id: str, after: int, limit: int = 1000) -> list[Event]:
        """Events with a number above `after`, in order, at most `limit`. A reader that remembers the last number can neither
        skip nor repeat one."""

    def outputs(self, run_id: str, steps: Sequence[str], *, early: bool = False) -> list[StoredOutput]:
        """What the successful attempts of `steps` produced, in the order they were stored; with `early`, the newest value of each output
        that is not dynamic."""
