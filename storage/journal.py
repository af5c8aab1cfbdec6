"""What the rest of the house calls to write and read runs: every write of a run goes through here.

Each method is one transaction of ``rules.py``. A method that is called again after a lost reply, with the same token or batch
number, does nothing twice.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..engine.arcs import OPEN_ATTEMPT_STATES, RUN_ARCS, AttemptState
from ..engine.snapshot import PlanSnapshot, StoredOutput
from ..errors import ConflictError, FencedError, NotFoundError
from ..events.event import Event, NewEvent
from ..events.kinds import EventKind
from ..events.run import Run
from ..events.run_document import run_to_document
from ..events.status import RunStatus
from .contract import (
    Accepted,
    Append,
    AttemptRef,
    AttemptRow,
    Beaten,
    Claimed,
    Committed,
    Finish,
    Head,
    Issue,
    NotClaimed,
    Op,
    OpResult,
    Owner,
    Refused,
    RunClaim,
    Seal,
    StepBrief,
    deletion_id,
)
from .database import Database
from .dialect import Outcome, Statement
from .output_values import OutputValues
from .plans import Plans
from .retry_requests import RetryRequests, RetryRule
from .rules import OPS_PER_BATCH, STEP_ENDS, Rules, Transaction
from .step_briefs import STATEMENTS, StepBriefs, stored_output
from .version import LEVEL, check_level, check_same_major

FIRST_EPOCH = 1
_EVENTS = (
    "SELECT seq, kind, step, n, body, written_at, at, version FROM {event}"
    " WHERE day = (SELECT h.day FROM {run_head} h WHERE h.run_id = :run) AND run_id = :run"
)


class Journal:
    """The writes and reads of runs, on one database.

    Args:
        database: where to.
        retries: when a run that failed is to be run again; None: never.
        steps_hold_slots: whether a step takes a slot of each of its pools; False where the queue sees to pools, run by run.
        default_pool_slots: slots of a pool that nobody set a limit for (``concurrency.pools.default_limit``); None: no limit.
    """

    def __init__(
        self,
        database: Database,
        *,
        default_pool_slots: int | None = None,
        retries: RetryRule | None = None,
        steps_hold_slots: bool = True,
    ) -> None:
        self.database = database
        self.rules = Rules(database.dialect)
        self._plans = Plans(database, self.rules)
        self._briefs = StepBriefs(database.dialect)
        self.values = OutputValues(database)
        self.default_pool_slots = default_pool_slots
        self.steps_hold_slots = steps_hold_slots
        self.retries = retries
        # Runs whose first coordinator claimed them through this object and has taken no slot since, with the newest batch. All of its
        # batches went through here, and nobody but the coordinator issues: there is nothing to free.
        self._slotless: dict[str, int] = {}

    # Making and launching -------------------------------------------------------------------------------------------------

    def put_plan(self, plan: PlanSnapshot) -> str:
        """Store a plan once; return its id."""
        return self._plans.put(plan)

    def storing_plan(self, plan: PlanSnapshot) -> tuple[str, Statement]:
        """The plan's id, and the statement of ``put_plan`` for who does more in the same transaction."""
        return self._plans.storing(plan)

    def get_plan(self, plan: str) -> PlanSnapshot:
        """The stored plan.

        Raises:
            NotFoundError: no such plan. DocumentError: a newer version wrote it.
        """
        return self._plans.get(plan)

    def put_steps(self, plan: PlanSnapshot) -> None:
        """Store each step of a plan by itself, once: for a run whose steps read storage themselves (see ``Claimed.brief``)."""
        self._plans.put_steps(plan)

    def create(self, run: Run) -> None:
        """Make a run, NOT_STARTED; `created_at` 0 means now.

        Raises:
            ConflictError: a run of that id is there and was asked for differently, or one is being deleted.
        """
        self.check_created(run, self.database.transact(self.creation(run)))

    def creation(self, run: Run) -> list[Statement]:
        """The statements of ``create``, for who does more in the same transaction; ``check_created`` reads their outcomes."""
        text = run_to_document(run)
        at = run.created_at or time.time()
        t = Transaction(self.rules, run.run_id, 0)
        t.add(
            self._sql(
                "INSERT INTO {run} (run_id, created_at, job_name, root_run_id, parent_run_id, plan_id, body)"
                " VALUES (:run, :at, :job, :root, :parent, :plan, :body) ON CONFLICT (run_id) DO NOTHING"
            ),
            at=at,
            job=run.job_name,
            root=run.root_run_id,
            parent=run.parent_run_id,
            plan=run.plan_id,
            body=text,
        )
        t.add(
            self._sql(
                "INSERT INTO {run_head} (run_id, day, status) SELECT :run, :day, 'NOT_STARTED' WHERE NOT EXISTS"
                " (SELECT 1 FROM {request} q WHERE q.request_id = :note) ON CONFLICT (run_id) DO NOTHING"
            ),
            day=int(at // 86400),
            note=deletion_id(run.run_id),
        )
        if run.tags:
            rows = self.rules.dialect.rows("tags", [("key", "text"), ("value", "text")])
            t.add(
                self._sql(
                    "INSERT INTO {run_tag} (run_id, key, value)"
                    f" SELECT :run, v.key, v.value FROM {rows} v WHERE true ON CONFLICT (run_id, key) DO NOTHING"
                ),
                tags=json.dumps([[k, v] for k, v in run.tags.items()]),
            )
        return t.statements

    def check_created(self, run: Run, outcomes: Sequence[Outcome]) -> None:
        """Refuse a run whose id another one has; the same one, asked for again after a lost reply, is no mistake.

        Args:
            outcomes: of the transaction that began with the statements of ``creation``.

        Raises:
            ConflictError: a run of that id is there and was asked for differently, or one is being deleted.
        """
        if outcomes[0].matched > outcomes[1].matched:
            self._forget_row(run.run_id)
        if outcomes[0].matched == 0:
            stored = self.database.read(self._sql("SELECT body FROM {run} WHERE run_id = :run"), {"run": run.run_id})
            if stored[0][0] != run_to_document(run):
                raise ConflictError("a run of that id is there already", where=f"run {run.run_id}")

    def _forget_row(self, run_id: str) -> None:
        """Take a new run back whose old one of the same id is still being erased: what is left of that would become its own."""
        t = Transaction(self.rules, run_id, 0)
        without_head = " AND NOT EXISTS (SELECT 1 FROM {run_head} h WHERE h.run_id = :run)"
        t.add(self._sql("DELETE FROM {run} WHERE run_id = :run" + without_head))
        self.database.transact(t.statements)
        raise ConflictError(
            "a run of that id is being deleted",
            where=f"run {run_id}",
            hint="`runplane run purge` goes on with a deletion that was interrupted.",
        )

    def set_plan(self, run_id: str, plan: str) -> None:
        """Give a run the plan that was made after it."""
        t = Transaction(self.rules, run_id, 0)
        t.add(self._sql("UPDATE {run} SET plan_id = :plan WHERE run_id = :run AND plan_id IS NULL"), plan=plan)
        self.database.transact(t.statements)

    def move(self, run_id: str, event: NewEvent, before: Sequence[NewEvent] = ()) -> RunStatus:
        """Move a run that no coordinator holds yet: enqueue, start the launch, fail the launch.

        Args:
            event: of a kind in ``RUN_ARCS``.
            before: annotations to store before it.

        Raises:
            ConflictError: the run's status has no such arc, or a coordinator held it (take it over first).
            NotFoundError: no such run.
        """
        if event.kind in (EventKind.RUN_START, EventKind.RUN_RESUMED):
            raise ConflictError(f"{event.kind} is a coordinator's to store", where=f"run {run_id}")
        event = self._with_retry(run_id, event)
        t = self.rules.as_service(run_id)
        if before:
            self.rules.annotate(t, before)
        self.rules.status(t, event, unclaimed=True)
        outcomes = self.database.transact(t.close())
        if outcomes[t.guards[-1]].matched == 0:
            head = self.head(run_id)
            if self.is_stored(run_id, event):
                return head.status
            arc = RUN_ARCS[EventKind(event.kind)]
            held = head.epoch > 0 and head.status in arc.sources
            raise ConflictError(
                f"{event.kind} makes no sense for a run that is {head.status}{' and has a coordinator' if held else ''}",
                where=f"run {run_id}",
                expected=" or ".join(s.value for s in arc.sources),
            )
        return RunStatus(outcomes[-1].rows[0][1])

    def is_stored(self, run_id: str, event: NewEvent) -> bool:
        """Whether this status event is there: who lost the reply asks again."""
        rows = self.database.read(
            self._sql(
                "SELECT count(*) FROM {event} WHERE run_id = :run AND day = (SELECT h.day FROM {run_head} h WHERE h.run_id = :run)"
                " AND kind = :kind AND written_at = :at"
            ),
            {"run": run_id, "kind": str(event.kind), "at": event.written_at},
        )
        return bool(rows[0][0])

    def annotate(self, run_id: str, events: Sequence[NewEvent]) -> int:
        """Append annotations in a service's name; return the head. They are taken after the run's end too.

        Raises:
            ConflictError: one of them is more than an annotation.
            NotFoundError: no such run.
        """
        t = self.rules.as_service(run_id)
        self.rules.annotate(t, events)
        outcomes = self.database.transact(t.close())
        if outcomes[0].matched == 0:
            raise NotFoundError(f"no run {run_id} is stored")
        return int(outcomes[-1].rows[0][0])

    # The coordinator --------------------------------------------------------------------------------------------------------

    def claim_run(self, run_id: str, owner: Owner, events: Sequence[NewEvent], start: NewEvent) -> RunClaim | None:
        """Become the run's first coordinator.

        Args:
            events: annotations to store before the start.
            start: the RUN_START event.

        Returns:
            The authority; None when the run is not waiting for a first coordinator (see ``head`` for why).
        """
        t = self.rules.claiming_run(run_id, json.dumps(owner.to_body()), LEVEL)
        if events:
            self.rules.annotate(t, events)
        self.rules.status(t, start)
        claim = self._authority(run_id, owner, self.database.transact(t.close()), resumed=False)
        if claim is not None and claim.epoch == FIRST_EPOCH:
            self._slotless[run_id] = 0
        return claim

    def take_over(self, seen: Head, owner: Owner, event: NewEvent) -> RunClaim | None:
        """Become the coordinator in place of the one whose beat stood still at `seen`, or who is proven gone.

        Returns:
            The authority; None when the beat went on or somebody else was first.

        Raises:
            VersionSkewError: a later major version coordinated the run.
        """
        check_level(seen.level, f"run {seen.run_id}")
        t = self.rules.taking_over(seen.run_id, json.dumps(owner.to_body()), LEVEL, seen.epoch, seen.beat)
        t.guard(self.rules.sql["append_guard"], k=1)
        self.rules.event_of_op(t, event)
        return self._authority(seen.run_id, owner, self.database.transact(t.close()), resumed=True)

    def beat(self, run_id: str, epoch: int) -> Beaten:
        """Say that the coordinator is alive, and hear how the run stands.

        Raises:
            FencedError: another coordinator took over, or the run was finalised.
        """
        t = Transaction(self.rules, run_id, 0)
        t.add(
            self._sql(
                "UPDATE {run_head} SET beat = beat + 1 WHERE run_id = :run AND epoch = :epoch RETURNING status, intent, head,"
                " EXISTS (SELECT 1 FROM {request} q WHERE q.run_id = :run AND q.kind = 'cancel')"
            ),
            epoch=epoch,
        )
        rows = self.database.transact(t.statements)[0].rows
        if not rows:
            raise self._fenced(run_id, epoch)
        status, intent, head, asked = rows[0]
        return Beaten(RunStatus(status), intent, int(head), bool(asked))

    def give_up(self, run_id: str, epoch: int) -> None:
        """Leave the run: its coordinator ends, and anybody may take over at once. Nothing happens when the epoch is old."""
        t = Transaction(self.rules, run_id, 0)
        t.add(
            self._sql("UPDATE {run_head} SET owner = NULL, beat = beat + 1 WHERE run_id = :run AND epoch = :epoch"),
            epoch=epoch,
        )
        self.database.transact(t.statements)

    def commit(self, run_id: str, epoch: int, batch: int, ops: Sequence[Op]) -> Committed:
        """One transaction of the coordinator.

        Args:
            batch: grows by one with each new batch of this epoch, from 1. Sent again with the same number after a lost reply, a
                batch is not carried out twice; the answer is the same.
            ops: at most ``OPS_PER_BATCH``; each is accepted or refused by itself.

        Raises:
            FencedError: the epoch is not the newest.
            ConflictError: the run is over.
        """
        if len(ops) > OPS_PER_BATCH:
            raise ConflictError(
                "too many operations in one batch", got=str(len(ops)), expected=f"at most {OPS_PER_BATCH}"
            )
        ops = [Finish(self._with_retry(run_id, op.event), op.expects) if isinstance(op, Finish) else op for op in ops]
        if not self.steps_hold_slots:
            ops = [op._replace(pools=()) if isinstance(op, Issue) else op for op in ops]
        now = time.time()
        pools = [p for op in ops if isinstance(op, Issue) for p in op.pools]
        if pools or epoch != FIRST_EPOCH or self._slotless.get(run_id) not in (batch - 1, batch):
            self._slotless.pop(run_id, None)
        else:
            self._slotless[run_id] = batch
        for op in ops:
            if isinstance(op, Append) and op.ref is not None:
                self.values.put(run_id, op.ref, op.nonce, op.events)
        t = self.rules.as_coordinator(run_id, epoch, batch, may_hold_slots=run_id not in self._slotless)
        if pools:
            self.rules.lock_pools(t, pools, self.default_pool_slots)
        nonces: list[str | None] = []
        for op in ops:
            nonces.append(self._add_op(t, op, now))
        outcomes = self.database.transact(t.close())
        if not outcomes[-1].rows:
            return self._committed_before(run_id, epoch, batch, ops)
        head, status, intent, clock = outcomes[-1].rows[0][:4]
        if RunStatus(status).is_final:
            self._slotless.pop(run_id, None)
        accepted = [outcomes[i].matched > 0 for i in t.guards]
        first = int(head) - sum(_width(op) for op, ok in zip(ops, accepted, strict=True) if ok) + 1
        results = self._results(run_id, ops, accepted, nonces, first)
        return Committed(results, int(head), first, float(clock), RunStatus(status), intent)

    def finalise(
        self, run_id: str, epoch: int, event: NewEvent, before: Sequence[NewEvent] = (), *, cause: str
    ) -> Committed:
        """End a run that nobody drives: seal what is open, and store its last event. For whoever has just claimed it.

        Args:
            event: RUN_FAILURE, RUN_CANCELED.
            before: annotations to store first.
            cause: why open attempts are sealed.
        """
        evidence = str(event.body.get("message", event.kind))
        opened = [a.ref for a in self.attempts(run_id) if a.state in OPEN_ATTEMPT_STATES]
        notes: list[Op] = [Append(before)] if before else []
        seals: list[Op] = [Seal(ref, cause, evidence) for ref in opened]
        rows = self.database.read(self._sql("SELECT batch FROM {run_head} WHERE run_id = :run"), {"run": run_id})
        return self.commit(run_id, epoch, int(rows[0][0]) + 1, [*notes, *seals, Finish(event)])

    def _with_retry(self, run_id: str, event: NewEvent) -> NewEvent:
        """The last event of a run, with what is to follow from it."""
        return RetryRequests(self.database).decide(self.retries, run_id, event) if self.retries is not None else event

    def _add_op(self, t: Transaction, op: Op, now: float) -> str | None:
        if isinstance(op, Append):
            self.rules.append(t, op)
        elif isinstance(op, Seal):
            self.rules.seal(t, op, now)
        elif isinstance(op, Finish):
            self.rules.finish(t, op)
        else:
            nonce = secrets.token_hex(8) if op.worker is not None else None
            self.rules.issue(t, op, nonce, now)
            return nonce
        return None

    def _results(
        self, run_id: str, ops: Sequence[Op], accepted: Sequence[bool], nonces: Sequence[str | None], next_seq: int
    ) -> tuple[OpResult, ...]:
        results: list[OpResult] = []
        for op, ok, nonce in zip(ops, accepted, nonces, strict=True):
            results.append(Accepted(next_seq, nonce) if ok else self._refusal(run_id, op))
            next_seq += _width(op) if ok else 0
        return tuple(results)

    def _refusal(self, run_id: str, op: Op) -> Refused:
        if isinstance(op, Finish):
            open_rows = [
                str(a.ref.step) for a in self.attempts(run_id) if a.state in (AttemptState.ISSUED, AttemptState.RUNNING)
            ]
            return Refused("open_attempts", tuple(open_rows)) if open_rows else Refused("run_is_ending")
        ref = op.ref
        row = self.attempt(run_id, ref) if ref else None
        if isinstance(op, Issue):
            if row is not None:
                return Refused("exists", (row.state.value,))
            others = [a for a in self.attempts(run_id) if a.ref.step == op.ref.step]
            if any(a.state in OPEN_ATTEMPT_STATES for a in others):
                return Refused("open_attempts", (op.ref.step,))
            if any(a.ref.n == 0 or a.ref.n > op.ref.n or a.outcome in STEP_ENDS for a in others):
                return Refused("exists", tuple(a.state.value for a in others))
            head = self.head(run_id)
            if head.status is not RunStatus.STARTED or head.intent != "none":
                return Refused("run_is_ending", (head.intent,))
            return Refused("pool_full", op.pools)
        if row is None:
            return Refused("no_such_attempt")
        return Refused(row.state.value, (row.outcome,) if row.outcome else ())

    def _committed_before(self, run_id: str, epoch: int, batch: int, ops: Sequence[Op]) -> Committed:
        """The answer of a batch whose first reply was lost; or the reason why there is none."""
        rows = self.database.read(
            self._sql("SELECT epoch, batch, status, intent, head, clock, taken FROM {run_head} WHERE run_id = :run"),
            {"run": run_id},
        )
        if not rows:
            raise NotFoundError(f"no run {run_id} is stored")
        found_epoch, found_batch, status, intent, head, clock, taken = rows[0]
        if found_epoch != epoch:
            raise self._fenced(run_id, epoch)
        if found_batch != batch:
            if RunStatus(status).is_final:
                raise ConflictError(f"the run is {status}", where=f"run {run_id}")
            raise ConflictError(
                "batches are numbered from 1 without gaps",
                where=f"run {run_id}",
                got=str(batch),
                expected=str(found_batch + 1),
            )
        firsts = {int(index): int(first) for index, first in (entry.split(":") for entry in taken.split())}
        results = tuple(
            Accepted(firsts[i], self._nonce_of(run_id, op)) if i in firsts else self._refusal(run_id, op)
            for i, op in enumerate(ops)
        )
        return Committed(
            results, int(head), min(firsts.values(), default=int(head) + 1), float(clock), RunStatus(status), intent
        )

    def _nonce_of(self, run_id: str, op: Op) -> str | None:
        if not isinstance(op, Issue) or op.worker is None:
            return None
        rows = self.database.read(
            self._sql("SELECT nonce FROM {attempt} WHERE run_id = :run AND step = :step AND n = :n"),
            {"run": run_id, "step": op.ref.step, "n": op.ref.n},
        )
        return rows[0][0] if rows else None

    def intend(self, run_id: str, intent: str, event: NewEvent, canceled: NewEvent) -> Head:
        """Ask for the run's end (``cancel`` or ``deadline``). A run that no worker has seen ends at once. Idempotent."""
        t = self.rules.intending(run_id, intent)
        self.rules.status(t, event, only_from=("NOT_STARTED", "QUEUED"))
        self.rules.status(t, canceled, only_from=("CANCELING",), follows_previous=True)
        self.rules.status(t, event, only_from=("STARTING", "STARTED"))
        self.database.transact(t.close())
        return self.head(run_id)

    def request(self, run_id: str, request_id: str, kind: str, body: Mapping[str, Any]) -> bool:
        """Store a request without touching the head's lock; False when it was stored before."""
        t = Transaction(self.rules, run_id, 0)
        t.add(
            self._sql(
                "INSERT INTO {request} (request_id, run_id, kind, at, body) VALUES (:id, :run, :kind, :at, :body)"
                " ON CONFLICT (request_id) DO NOTHING"
            ),
            id=request_id,
            kind=kind,
            at=time.time(),
            body=json.dumps(body),
        )
        return self.database.transact(t.statements)[0].matched > 0

    # Attempts that write for themselves ---------------------------------------------------------------------------------------

    def claim(
        self, run_id: str, ref: AttemptRef, worker: str, event: NewEvent, *, make: bool = False
    ) -> Claimed | NotClaimed:
        """Take an issued attempt. The same worker asking again (a lost reply) gets the same nonce.

        Args:
            make: the attempt need not have been issued (a document that names no attempt).

        Raises:
            VersionSkewError: the run's coordinator is of a later major version.
        """
        nonce = secrets.token_hex(8)
        t = self.rules.as_service(run_id)
        self.rules.claim(t, ref, worker, nonce, event, make=make)
        first = len(t.statements)
        self._briefs.add(t, ref.step)
        outcomes = self.database.transact(t.close())
        if outcomes[0].matched == 0:
            raise NotFoundError(f"no run {run_id} is stored")
        found = self._briefs.read(run_id, outcomes[first : first + STATEMENTS])
        if outcomes[t.guards[0]].matched:
            retry_number = int(outcomes[first - 1].rows[0][0])
            claimed: Claimed | NotClaimed = Claimed(ref.n, nonce, retry_number, int(outcomes[-1].rows[0][4]), found)
        else:
            claimed = self._not_claimed(run_id, ref, worker, found)
        if isinstance(claimed, Claimed) and found.planned is None and found.run.plan_id is not None:
            return claimed._replace(brief=self.brief(run_id, ref.step))
        return claimed

    def brief(self, run_id: str, step_key: str) -> StepBrief:
        """What a process has to know to run the step, without a claim.

        Raises:
            NotFoundError: no such run.
        """
        found = self._read_brief(run_id, step_key)
        if found.planned is None and found.run.plan_id is not None:
            # Stored by a coordinator, or by a version, that keeps plans as a whole only.
            self.put_steps(self.get_plan(found.run.plan_id))
            found = self._read_brief(run_id, step_key)
        return found

    def _read_brief(self, run_id: str, step_key: str) -> StepBrief:
        t = Transaction(self.rules, run_id, 0)
        self._briefs.add(t, step_key)
        outcomes = self.database.transact(t.statements)
        if not outcomes[0].rows:
            raise NotFoundError(f"no run {run_id} is stored")
        return self._briefs.read(run_id, outcomes)

    def _not_claimed(self, run_id: str, ref: AttemptRef, worker: str, brief: StepBrief) -> Claimed | NotClaimed:
        head = self.head(run_id)
        check_same_major(head.level, f"run {run_id}, step {ref.step}, attempt {ref.n}")
        rows = self.database.read(
            self._sql(
                "SELECT state, worker, nonce, retry_number, outcome FROM {attempt} WHERE run_id = :run AND step = :step AND n = :n"
            ),
            {"run": run_id, "step": ref.step, "n": ref.n},
        )
        if rows and rows[0][0] == "running" and rows[0][1] == worker and rows[0][2]:
            return Claimed(ref.n, rows[0][2], rows[0][3], head.epoch, brief)
        if rows and rows[0][0] == "done":
            return NotClaimed("done", rows[0][4] or "")
        if head.status is not RunStatus.STARTED or head.intent != "none":
            return NotClaimed("revoked", f"the run is {head.status}")
        if not rows:
            holders = [a for a in self.attempts(run_id) if a.ref.step == ref.step and a.state in OPEN_ATTEMPT_STATES]
            if holders:
                return NotClaimed("duplicate", holders[0].worker or "")
            return NotClaimed("revoked", "no such attempt was issued")
        if rows[0][0] == "running":
            return NotClaimed("duplicate", rows[0][1] or "")
        return NotClaimed("revoked", f"the attempt is {rows[0][0]}")

    def append_as_attempt(
        self, run_id: str, ref: AttemptRef, nonce: str, batch: int, events: Sequence[NewEvent]
    ) -> bool:
        """Append an attempt's own events; True when they are stored (now, or by the same batch before).

        Returns:
            False when the attempt was sealed, or is done and these are more than annotations.
        """
        self.values.put(run_id, ref, nonce, events)
        t = self.rules.as_service(run_id)
        self.rules.append(t, Append(events, ref, nonce), batch)
        outcomes = self.database.transact(t.close())
        if outcomes[t.guards[0]].matched:
            return True
        rows = self.database.read(
            self._sql("SELECT nonce, batch FROM {attempt} WHERE run_id = :run AND step = :step AND n = :n"),
            {"run": run_id, "step": ref.step, "n": ref.n},
        )
        return bool(rows) and rows[0][0] == nonce and int(rows[0][1]) >= batch

    # Reading --------------------------------------------------------------------------------------------------------------------

    def head(self, run_id: str) -> Head:
        """The run's hot row.

        Raises:
            NotFoundError: no such run.
        """
        rows = self.database.read(
            self._sql(
                "SELECT status, intent, epoch, head, beat, resumes, owner, level FROM {run_head} WHERE run_id = :run"
            ),
            {"run": run_id},
        )
        if not rows:
            raise NotFoundError(f"no run {run_id} is stored")
        status, intent, epoch, head, beat, resumes, owner, level = rows[0]
        return Head(
            run_id,
            RunStatus(status),
            intent,
            int(epoch),
            int(head),
            int(beat),
            int(resumes),
            Owner(**json.loads(owner)) if owner else None,
            level,
        )

    def history(self, run_id: str) -> Iterator[Event]:
        """All events of a run so far, in order, read in pages."""
        after = 0
        while page := self.tail(run_id, after, 5000):
            yield from page
            after = page[-1].seq

    def tail(self, run_id: str, after: int, limit: int = 1000) -> list[Event]:
        """Events with a number above `after`, in order, at most `limit`."""
        rows = self.database.read(
            self._sql(f"{_EVENTS} AND seq > :after ORDER BY seq LIMIT :limit"),
            {"run": run_id, "after": after, "limit": limit},
        )
        return _events(run_id, rows)

    def of_attempt(self, run_id: str, ref: AttemptRef) -> list[Event]:
        """What a run's log says of one attempt, in order. It reads the run's whole log for it."""
        rows = self.database.read(
            self._sql(f"{_EVENTS} AND step = :step AND n = :n ORDER BY seq"),
            {"run": run_id, "step": ref.step, "n": ref.n},
        )
        return _events(run_id, rows)

    def log_keys(self, run_id: str) -> list[tuple[str, ...]]:
        """The keys of what was captured of the run's steps so far, in order; not of what is in pods' own logs."""
        rows = self.database.read(
            self._sql(
                "SELECT body FROM {event} WHERE day = (SELECT h.day FROM {run_head} h WHERE h.run_id = :run) AND run_id = :run"
                " AND kind = :kind ORDER BY seq"
            ),
            {"run": run_id, "kind": EventKind.LOGS_CAPTURED.value},
        )
        bodies = [json.loads(text) for (text,) in rows]
        return [tuple(body["log_key"]) for body in bodies if "pod" not in body]

    def attempt(self, run_id: str, ref: AttemptRef) -> AttemptRow | None:
        """One attempt's row, or None."""
        rows = self._attempt_rows(run_id, " AND step = :step AND n = :n", {"step": ref.step, "n": ref.n})
        return rows[0] if rows else None

    def attempts(self, run_id: str) -> list[AttemptRow]:
        """All attempts of a run, and the ends of steps that were never issued (n = 0)."""
        return self._attempt_rows(run_id, "", {})

    def outputs(self, run_id: str, steps: Sequence[str], *, early: bool = False) -> list[StoredOutput]:
        """What the successful attempts of `steps` produced, in the order it was stored.

        Args:
            early: of an output that is not dynamic the newest value counts, whatever became of the attempt that produced it: for runs
                whose steps start as soon as what they need exists (``require_upstream_step_success: false``).
        """
        if not steps:
            return []
        names = self.rules.dialect.rows("steps", [("name", "text")])
        rows = self.database.read(
            self._sql(
                "SELECT e.step, e.body, a.outcome FROM {event} e"
                " JOIN {attempt} a ON a.run_id = e.run_id AND a.step = e.step AND a.n = e.n"
                " WHERE e.run_id = :run AND e.kind = 'STEP_OUTPUT'"
                + ("" if early else " AND a.outcome = 'STEP_SUCCESS'")
                + f" AND e.step IN (SELECT v.name FROM {names} v) ORDER BY e.seq"
            ),
            {"run": run_id, "steps": json.dumps([[s] for s in steps])},
        )
        found: dict[tuple[str, str, str | None], StoredOutput] = {}
        for step, text, outcome in rows:
            output = stored_output(run_id, step, text)
            if output.mapping_key is None or outcome == "STEP_SUCCESS":
                found[step, output.output, output.mapping_key] = output
        return list(found.values())

    def _attempt_rows(self, run_id: str, where: str, params: Mapping[str, Any]) -> list[AttemptRow]:
        rows = self.database.read(
            self._sql(
                "SELECT step, n, state, outcome, cause, worker, retry_number FROM {attempt} WHERE run_id = :run"
                + where
                + " ORDER BY step, n"
            ),
            {"run": run_id, **params},
        )
        return [AttemptRow(AttemptRef(s, n), AttemptState(st), o, c, w, r) for s, n, st, o, c, w, r in rows]

    # Inside -----------------------------------------------------------------------------------------------------------------------

    def _authority(self, run_id: str, owner: Owner, outcomes: Sequence[Outcome], *, resumed: bool) -> RunClaim | None:
        if outcomes[0].matched:
            head, _, _, _, epoch = outcomes[-1].rows[0][:5]
            return RunClaim(int(epoch), int(head), LEVEL, resumed)
        now = self.head(run_id)
        if now.owner is not None and now.owner.worker_id == owner.worker_id:
            return RunClaim(now.epoch, now.head, LEVEL, resumed)
        return None

    def _fenced(self, run_id: str, epoch: int) -> FencedError:
        head = self.head(run_id)
        by = f" by process {head.owner.pid} on {head.owner.host}" if head.owner else ""
        return FencedError(
            f"another coordinator took the run over{by}",
            where=f"run {run_id}",
            got=f"epoch {epoch}",
            expected=f"epoch {head.epoch}",
        )

    def _sql(self, text: str) -> str:
        return self.rules.named(text)


def _events(run_id: str, rows: Sequence[tuple[Any, ...]]) -> list[Event]:
    # One text for the page: most of the time that a short text takes is spent around the parser.
    bodies = json.loads(f"[{','.join([row[4] for row in rows])}]")
    return [
        Event(run_id, seq, kind, step, n, body, written_at, at, version)
        for (seq, kind, step, n, _, written_at, at, version), body in zip(rows, bodies, strict=True)
    ]


def _width(op: Op) -> int:
    if isinstance(op, Append):
        return len(op.events)
    if isinstance(op, Issue):
        return len(op.notes) + (1 if op.worker is None else 2)
    return 1
