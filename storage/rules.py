"""The rules of every write, as guarded statements: written once, for both databases.

One transaction is a list of statements that needs no answer in between, so that Postgres runs it in one pipelined round trip
while the run's head row is locked. What would be an ``if`` is a guard:

* The first statement locks the head row and checks *only columns of that row* (on Postgres a sub-select in it would still see
  the snapshot from before the wait). It sets `mark` to the transaction's first number.
* Each op starts with an update of the head row whose guard says whether the op is allowed; when it is, `mark` takes the op's own
  number. The op's other statements act only while `mark` has that number. A refused op changes nothing, the others go on.
* A coordinator's accepted ops leave their index and first number in `taken`, so that the batch sent again gets the same answer.
* The last statement moves `mark` past all of them, so that the same batch sent again (its reply was lost) finds no place to act.

Source of the locking rule: https://www.postgresql.org/docs/current/transaction-iso.html#XACT-READ-COMMITTED
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

from ..engine.arcs import ATTEMPT_ARCS, OPEN_ATTEMPT_STATES, RUN_ARCS, AttemptState
from ..errors import ConflictError
from ..events.event import NewEvent
from ..events.kinds import Category, EventKind, category_of
from ..events.status import FINAL, RunStatus
from .contract import Append, AttemptRef, Finish, Issue, Seal
from .dialect import Dialect, Statement
from .version import LEVEL

OPS_PER_BATCH = 998
_OWN_OPERATION = (EventKind.STEP_ISSUED, EventKind.STEP_WORKER_STARTED, EventKind.STEP_SEALED)
_OPEN = "('issued', 'running')"
SENT_AGAIN_WITHIN = 1000
"""How far back an annotation is looked for that may have been sent again."""
STEP_ENDS = ("STEP_SUCCESS", "STEP_FAILURE")
"""Outcomes after which a step has no other attempt."""
_EVENT_COLUMNS = (
    ("kind", "text"),
    ("version", "int"),
    ("step", "text"),
    ("n", "int"),
    ("written_at", "real"),
    ("body", "text"),
)
_ARC_COLUMNS = (
    ("step", "text"),
    ("n", "int"),
    ("froms", "text"),
    ("state", "text"),
    ("outcome", "text"),
    ("cause", "text"),
)
_OP = "SET head = head + :k, mark = :mark"
_OP_RECORDED = "SET head = head + :k, taken = taken || :tag || (head + 1), mark = :mark"
_TABLES = (
    "run_head",
    "run_tag",
    "run",
    "event",
    "attempt",
    "pool",
    "slot",
    "request",
    "asset_event",
    "feed_head",
    "feed",
    "plan",
    "plan_step",
    "lease",
    "queue",
    "launch",
    "daemon",
    "instance_identity",
    "step_queue",
    "queued_step",
    "step_worker",
    "output_value",
    "run_instance",
)
NEWS_KINDS = frozenset(
    {
        *(k.value for k in RUN_ARCS),
        *(k.value for k, arc in ATTEMPT_ARCS.items() if arc.target in (AttemptState.DONE, AttemptState.SEALED)),
    }
)
"""What waiting readers are woken for: statuses, outcomes, and with them freed slots. All else is polled for."""
ASSET_KINDS = {
    EventKind.ASSET_MATERIALIZATION.value: "materialized",
    EventKind.ASSET_OBSERVATION.value: "observed",
    EventKind.ASSET_CHECK_EVALUATION.value: "evaluated",
}
"""What is kept by asset, and how it is called there."""
FEED_KINDS = frozenset({*(k.value for k in RUN_ARCS), *ASSET_KINDS})


_encode = json.JSONEncoder(separators=(",", ":")).encode


class Transaction:
    """Collects the statements of one transaction on one run, and which of them tells whether an op was accepted.

    Args:
        low: where this transaction's marks begin; a multiple of 1000 that no other transaction of the run has.
        records: remember accepted ops in `taken` (batches of the coordinator).
        may_hold_slots: whether the run may hold pool slots; False saves the statements that would free them.
    """

    def __init__(
        self, rules: Rules, run_id: str, low: int, *, records: bool = False, may_hold_slots: bool = True
    ) -> None:
        self.rules = rules
        self.run_id = run_id
        self.low = low
        self.high = low + 999
        self.mark = low
        self.statements: list[Statement] = []
        self.guards: list[int] = []
        self._records = records
        self._may_hold_slots = may_hold_slots
        self._ends_attempts = False
        self._makes_news = False

    def add(self, sql: str, **params: Any) -> None:
        """Add a plain statement."""
        self.statements.append(Statement(sql, {"run": self.run_id, **params}))

    def guard(self, sql: str, **params: Any) -> None:
        """Add the statement that decides whether the next op is accepted, and give the op its number."""
        self.mark += 1
        if self._records:
            sql = sql.replace(_OP, _OP_RECORDED)
            params["tag"] = f" {len(self.guards)}:"
        self.guards.append(len(self.statements))
        self.add(sql, low=self.low, mark=self.mark, **params)

    def then(self, sql: str, **params: Any) -> None:
        """Add a statement that acts only when the op's guard did."""
        self.add(sql, mark=self.mark, **params)

    def ends_attempts(self) -> None:
        """Remember that attempts may become final here, so that their slots are freed in this transaction."""
        self._ends_attempts = True

    def makes_news(self) -> None:
        """Remember to wake waiting readers, once, if the transaction stores anything."""
        self._makes_news = True

    def free_slots(self) -> None:
        """Give back the slots of attempts that became final up to here, so that what follows may take them."""
        if self._ends_attempts and self._may_hold_slots:
            self.add(self.rules.sql["lock_held"])
            self.add(self.rules.sql["free_used"])
            self.add(self.rules.sql["free_slots"])
        self._ends_attempts = False

    def close(self) -> list[Statement]:
        """The whole transaction."""
        self.free_slots()
        self.add(self.rules.sql["close_with_news" if self._makes_news else "close"], low=self.low, high=self.high)
        return self.statements


@lru_cache(maxsize=1024)
def _named(text: str, prefix: str) -> str:
    """The texts are few, and asked for with each transaction."""
    for table in _TABLES:
        text = text.replace("{" + table + "}", prefix + table)
    return text


@cache
def _all_named(dialect: Dialect) -> Mapping[str, str]:
    return MappingProxyType({name: _named(text, dialect.prefix) for name, text in _texts(dialect).items()})


class Rules:
    """The statements for one dialect. Texts are built once; a transaction only fills in parameters."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.sql = _all_named(dialect)

    def named(self, text: str) -> str:
        """`text` with the braces around table names filled in."""
        return _named(text, self.dialect.prefix)

    # Ways in: each locks the head row and says who is writing -----------------------------------------------------------

    def as_coordinator(self, run_id: str, epoch: int, batch: int, *, may_hold_slots: bool = True) -> Transaction:
        """A batch of the run's coordinator."""
        t = Transaction(self, run_id, batch * 1000, records=True, may_hold_slots=may_hold_slots)
        t.add(self.sql["open_coordinator"], epoch=epoch, batch=batch, low=t.low)
        return t

    def as_service(self, run_id: str) -> Transaction:
        """Somebody who holds no token: a launcher, the command line."""
        t = Transaction(self, run_id, new_mark())
        t.add(self.sql["open_service"], low=t.low)
        return t

    def claiming_run(self, run_id: str, owner: str, level: str) -> Transaction:
        """The run's first coordinator."""
        t = Transaction(self, run_id, new_mark())
        t.add(self.sql["open_claim_run"], low=t.low, owner=owner, level=level)
        return t

    def taking_over(self, run_id: str, owner: str, level: str, epoch: int, beat: int) -> Transaction:
        """A coordinator that saw `beat` stand still."""
        t = Transaction(self, run_id, new_mark())
        t.add(self.sql["open_take_over"], low=t.low, owner=owner, level=level, epoch=epoch, beat=beat)
        return t

    def intending(self, run_id: str, intent: str) -> Transaction:
        """Somebody who wants the run to end."""
        t = Transaction(self, run_id, new_mark())
        t.add(self.sql["open_intent"], low=t.low, intent=intent)
        return t

    # Ops ------------------------------------------------------------------------------------------------------------------

    def append(self, t: Transaction, op: Append, batch: int | None = None, *, once: bool = False) -> None:
        """Events of the coordinator, of an attempt, or of a service. Arcs are checked against the table and against the rows.

        Args:
            batch: of an attempt that writes for itself; a number that is already stored is refused.
            once: refuse them when the first one is among the newest events already; for writers without batch numbers.
        """
        arcs = _arcs_of(op.events, own=op.ref is not None)
        if op.ref is not None:
            _must_be_own(op.events, op.ref)
        guard = self.sql["append_guard"]
        params: dict[str, Any] = {"k": len(op.events)}
        if op.ref is not None:
            # What an attempt moves is itself, and all arcs that are its own to move lead from RUNNING.
            states = "running" if arcs else "running,done"
            guard += self.sql["and_nonce" if batch is None else "and_nonce_batch"]
            params.update(step=op.ref.step, n=op.ref.n, nonce=op.nonce, states=f",{states},")
            if batch is not None:
                params["batch"] = batch
        if once and op.events:
            first = op.events[0]
            guard += self.sql["and_new"]
            params.update(kind=str(first.kind), at=first.written_at, body=_body_text(first))
        moved = [a for a in arcs if a[2]]
        made = [a for a in arcs if not a[2]]
        if moved and op.ref is None:
            guard += self.sql["and_arcs"]
            params.update(arcs=json.dumps(moved), arc_count=len(moved))
        if made:
            guard += self.sql["and_unissued"]
            params["made"] = json.dumps(made)
        t.guard(guard, **params)
        self._events(t, op.events)
        if op.ref is not None and batch is not None:
            t.then(self.sql["attempt_batch"], step=op.ref.step, n=op.ref.n, batch=batch)
        if any(a[3] != AttemptState.RUNNING.value for a in moved):
            for step, n, _, state, outcome, cause in moved:
                t.then(self.sql["move_attempt"], step=step, n=n, state=state, outcome=outcome, cause=cause)
            t.ends_attempts()
        if made:
            t.then(self.sql["make_ends"], made=json.dumps(made))

    def annotate(self, t: Transaction, events: Sequence[NewEvent]) -> None:
        """Events of somebody who may move nothing.

        Raises:
            ConflictError: one of them is a fact.
        """
        _must_be_annotations(t, events)
        self.append(t, Append(events), once=True)

    def issue(self, t: Transaction, op: Issue, nonce: str | None, at: float) -> None:
        """A new attempt with its slots; with a worker, claimed at once."""
        _must_be_annotations(t, op.notes)
        events = [NewEvent(EventKind.STEP_ISSUED, op.ref.step, op.ref.n, _issue_body(op), at), *op.notes]
        if op.worker is not None:
            events.append(NewEvent(EventKind.STEP_WORKER_STARTED, op.ref.step, op.ref.n, op.claim_body, at))
        guard = self.sql["issue_guard"]
        params: dict[str, Any] = {"k": len(events), "step": op.ref.step, "n": op.ref.n}
        if op.pools:
            t.free_slots()
            guard += self.sql["and_free"]
            params["pools"] = json.dumps([[name] for name in op.pools])
        t.guard(guard, **params)
        self._events(t, events)
        state = AttemptState.ISSUED if op.worker is None else AttemptState.RUNNING
        t.then(
            self.sql["make_attempt"],
            step=op.ref.step,
            n=op.ref.n,
            state=state.value,
            retry_number=op.retry_number,
            nonce=nonce,
            worker=op.worker,
        )
        if op.pools:
            t.then(self.sql["take_slots"], step=op.ref.step, n=op.ref.n, pools=params["pools"])
            t.then(self.sql["take_used"], pools=params["pools"])

    def lock_pools(self, t: Transaction, pools: Iterable[str], default_slots: int | None) -> None:
        """Make missing pools and lock all that this batch may touch, in the order of their names."""
        names = json.dumps([[name] for name in sorted(set(pools))])
        t.add(self.sql["make_pools"], pools=names, slots=default_slots)
        t.add(self.sql["lock_pools"], pools=names)

    def claim(self, t: Transaction, ref: AttemptRef, worker: str, nonce: str, event: NewEvent, *, make: bool) -> None:
        """A worker takes an issued attempt; with `make`, one that nobody issued (a document that names no attempt): it is issued here,
        so that the run's state stays a fold of its events."""
        events = [event]
        if make:
            body = {"retry_number": ref.n - 1} if ref.n > 1 else {}
            events.insert(0, NewEvent(EventKind.STEP_ISSUED, ref.step, ref.n, body, event.written_at))
        majors = LEVEL.split(".")[0] + ".%"
        t.guard(
            self.sql["claim_make_guard" if make else "claim_guard"],
            k=len(events),
            step=ref.step,
            n=ref.n,
            majors=majors,
        )
        self._events(t, events)
        text = self.sql["make_attempt" if make else "claim_attempt"]
        extra: dict[str, Any] = {"state": "running", "retry_number": max(ref.n - 1, 0)} if make else {}
        t.then(text, step=ref.step, n=ref.n, nonce=nonce, worker=worker, **extra)
        t.then(self.sql["claimed"], step=ref.step, n=ref.n)

    def seal(self, t: Transaction, op: Seal, at: float) -> None:
        """Kill the nonce of an attempt that has no outcome."""
        body = {"cause": op.cause, "evidence": op.evidence}
        event = NewEvent(EventKind.STEP_SEALED, op.ref.step, op.ref.n, body, at)
        t.guard(self.sql["seal_guard"], k=1, step=op.ref.step, n=op.ref.n)
        self._events(t, [event])
        t.then(self.sql["seal_attempt"], step=op.ref.step, n=op.ref.n, cause=op.cause)
        t.ends_attempts()

    def status(
        self,
        t: Transaction,
        event: NewEvent,
        *,
        only_from: Sequence[str] = (),
        follows_previous: bool = False,
        unclaimed: bool = False,
    ) -> None:
        """Move the run by the arc of the event's kind.

        Args:
            only_from: a part of the arc's sources, to choose between two ways to an end.
            follows_previous: only when the op before this one was accepted.
            unclaimed: only a run that never had a coordinator.
        """
        arc = RUN_ARCS[EventKind(event.kind)]
        sources = only_from or [s.value for s in arc.sources]
        guard = self.sql["status_guard"]
        params: dict[str, Any] = {"k": 1, "to": arc.target.value, "froms": "," + ",".join(sources) + ","}
        if follows_previous:
            guard += " AND mark = :before"
            params["before"] = t.mark
        if unclaimed:
            guard += " AND epoch = 0"
        if arc.target in FINAL:
            guard += self.sql["and_no_open"]
        t.guard(guard, **params)
        self._events(t, [event])
        if RunStatus.QUEUED in arc.sources:
            t.then(self.sql["leave_queue"])
        if event.kind == EventKind.RUN_START:
            t.then(self.sql["run_started"])
        if arc.target in FINAL:
            t.then(self.sql["run_ended"])
            self._tags(t, event)
            if (event.body.get("tags") or {}).get("dagster/will_retry") == "true":
                t.then(self.sql["ask_for_retry"])

    def finish(self, t: Transaction, op: Finish) -> None:
        """End the run.

        Raises:
            ConflictError: the event is not the end of a run.
        """
        if op.event.kind not in RUN_ARCS or RUN_ARCS[EventKind(op.event.kind)].target not in FINAL:
            raise ConflictError(f"{op.event.kind} does not end a run", where=f"run {t.run_id}")
        self.status(t, op.event, only_from=op.expects)

    def event_of_op(self, t: Transaction, event: NewEvent) -> None:
        """Store the event of the op whose guard was added last."""
        self._events(t, [event])

    def _tags(self, t: Transaction, event: NewEvent) -> None:
        tags = event.body.get("tags")
        if tags:
            t.then(self.sql["put_tags"], tags=json.dumps([[k, v] for k, v in tags.items()]))

    def _events(self, t: Transaction, events: Sequence[NewEvent]) -> None:
        rows = json.dumps([[e.kind, 1, e.step, e.n, e.written_at, _body_text(e)] for e in events])
        t.then(self.sql["insert_events"], k=len(events), rows=rows)
        if any(e.kind in FEED_KINDS for e in events):
            items = _feed_rows(events)
            t.then(self.sql["insert_feed"], k=len(events), rows=json.dumps(items))
            if self.dialect.numbers_feed:
                t.then(self.sql["feed_numbered"], items=len(items))
            of_assets = _asset_rows(events)
            if of_assets:
                t.then(self.sql["insert_assets"], k=len(events), rows=json.dumps(of_assets))
        if any(e.kind in NEWS_KINDS for e in events):
            t.makes_news()


def new_mark() -> int:
    return -(secrets.randbits(50) + 1) * 1000


def _body_text(event: NewEvent) -> str:
    return _encode(event.body)


def _feed_rows(events: Sequence[NewEvent]) -> list[list[Any]]:
    return [[i, e.kind, _body_text(e)] for i, e in enumerate(events, 1) if e.kind in FEED_KINDS]


def _asset_rows(events: Sequence[NewEvent]) -> list[list[Any]]:
    return [
        [i, e.body.get("asset_key"), ASSET_KINDS[e.kind], e.body.get("check_name") or "", e.step, _body_text(e)]
        for i, e in enumerate(events, 1)
        if e.kind in ASSET_KINDS and e.body.get("asset_key")
    ]


def _issue_body(op: Issue) -> dict[str, Any]:
    body: dict[str, Any] = {"retry_number": op.retry_number} if op.retry_number else {}
    if op.pools:
        body["pools"] = list(op.pools)
    return body


def _must_be_annotations(t: Transaction, events: Sequence[NewEvent]) -> None:
    for e in events:
        if category_of(e.kind) is not Category.ANNOTATION:
            raise ConflictError(
                f"{e.kind} is a fact, and who writes here may append annotations only", where=f"run {t.run_id}"
            )


def _must_be_own(events: Sequence[NewEvent], ref: AttemptRef) -> None:
    for e in events:
        if category_of(e.kind) is not Category.ANNOTATION and (e.step, e.n) != (ref.step, ref.n):
            raise ConflictError(
                "an attempt may write facts of its own only",
                where=f"{ref.step} attempt {ref.n}",
                got=f"{e.kind} of {e.step}",
            )


def _arcs_of(events: Sequence[NewEvent], *, own: bool) -> list[list[Any]]:
    """One row per attempt that the events move: step, n, states it may come from, new state, outcome, cause.

    Args:
        own: an attempt writes them for itself; otherwise it is the coordinator, who moves what he has sealed.

    Raises:
        ConflictError: the events contradict each other, or move what an append may not move.
    """
    arcs: dict[tuple[str, int], list[Any]] = {}
    for e in events:
        if category_of(e.kind) is Category.ANNOTATION:
            continue
        arc = ATTEMPT_ARCS.get(EventKind(e.kind))
        if arc is None or e.step is None or e.kind in _OWN_OPERATION:
            raise ConflictError(f"{e.kind} is not appended; it has an operation of its own")
        key = (e.step, e.n or 0)
        ends = arc.target in (AttemptState.DONE, AttemptState.SKIPPED, AttemptState.ABANDONED)
        outcome = e.kind if ends else None
        cause = e.body.get("cause") if ends else None
        sources = [s for s in arc.sources if own or s not in OPEN_ATTEMPT_STATES]
        if arc.sources and not sources:
            raise ConflictError(f"{e.kind} is for the attempt itself to write", where=f"{e.step} attempt {e.n}")
        if key not in arcs:
            froms = "," + ",".join(s.value for s in sources) + "," if sources else ""
            arcs[key] = [e.step, e.n or 0, froms, arc.target.value, outcome, cause]
        elif AttemptState(arcs[key][3]) in arc.sources:
            arcs[key][3:] = [arc.target.value, outcome, cause]
        else:
            raise ConflictError(f"{e.kind} makes no sense after {arcs[key][3]}", where=f"{e.step} attempt {e.n}")
    return list(arcs.values())


def _texts(d: Dialect) -> dict[str, str]:
    """All statement texts of a dialect, table names still in braces.

    SQLite takes the tables of a CROSS JOIN in their order: the few rows of the parameter come first, then a look-up by key.
    """
    lock = f"UPDATE {{run_head}} SET mark = :low, clock = {d.greatest}(clock, {d.now})"
    take = lock + ", epoch = epoch + 1, batch = 0, owner = :owner, level = :level, beat = beat + 1"
    op = "UPDATE {run_head} " + _OP
    allowed = " WHERE run_id = :run AND mark >= :low AND mark < :mark"
    acting = "(SELECT h.mark FROM {run_head} h WHERE h.run_id = :run) = :mark"
    this_attempt = "run_id = :run AND step = :step AND n = :n"
    events, arcs = d.rows("rows", _EVENT_COLUMNS), d.rows("arcs", _ARC_COLUMNS)
    made, pools = d.rows("made", _ARC_COLUMNS), d.rows("pools", [("name", "text")])
    has_attempt = " AND EXISTS (SELECT 1 FROM {attempt} a WHERE a.run_id = :run AND a.step = :step AND a.n = :n AND "
    nonce = "a.nonce = :nonce AND :states LIKE '%,' || a.state || ',%'"
    # No other attempt of a step may be issued while one is open, after the step ended, or below the newest number.
    next_in_row = (
        " AND status = 'STARTED' AND intent = 'none' AND NOT EXISTS (SELECT 1 FROM {attempt} a WHERE a.run_id = :run"
        f" AND a.step = :step AND (a.n >= :n OR a.n = 0 OR a.state IN {_OPEN} OR a.outcome IN {STEP_ENDS}))"
    )
    close = (
        "UPDATE {run_head} SET mark = :high WHERE run_id = :run AND mark >= :low AND mark < :high"
        " RETURNING head, status, intent, clock, epoch"
    )
    return {
        "open_coordinator": lock
        + ", batch = :batch, taken = '' WHERE run_id = :run AND epoch = :epoch AND batch < :batch AND status IN ('STARTED', 'CANCELING')",
        "open_service": lock + " WHERE run_id = :run",
        "open_claim_run": take + " WHERE run_id = :run AND status IN ('NOT_STARTED', 'STARTING') AND owner IS NULL",
        "open_take_over": take + ", resumes = resumes + 1 WHERE run_id = :run AND epoch = :epoch AND beat = :beat"
        " AND status IN ('STARTED', 'CANCELING')",
        "open_intent": lock + ", intent = :intent WHERE run_id = :run AND intent = 'none'"
        " AND status IN ('NOT_STARTED', 'QUEUED', 'STARTING', 'STARTED')",
        "attempt_batch": f"UPDATE {{attempt}} SET batch = :batch WHERE {this_attempt} AND {acting}",
        "append_guard": op + allowed,
        "and_new": " AND NOT EXISTS (SELECT 1 FROM {event} e WHERE e.day = {run_head}.day AND e.run_id = :run"
        f" AND e.seq > {{run_head}}.head - {SENT_AGAIN_WITHIN} AND e.kind = :kind AND e.written_at = :at AND e.body = :body)",
        "and_nonce": has_attempt + nonce + ")",
        "and_nonce_batch": has_attempt + nonce + " AND a.batch < :batch)",
        "and_arcs": f" AND (SELECT count(*) FROM {arcs} v CROSS JOIN {{attempt}} a WHERE a.run_id = :run AND a.step = v.step"
        " AND a.n = v.n AND v.froms LIKE '%,' || a.state || ',%') = :arc_count",
        "and_unissued": f" AND NOT EXISTS (SELECT 1 FROM {made} v CROSS JOIN {{attempt}} a WHERE a.run_id = :run"
        f" AND a.step = v.step AND (v.state = 'skipped' OR a.n = 0 OR a.state IN {_OPEN} OR a.outcome IN {STEP_ENDS}))",
        "insert_events": "INSERT INTO {event} (day, run_id, seq, kind, version, step, n, at, written_at, body)"
        " SELECT h.day, h.run_id, h.head - :k + v.ord, v.kind, v.version, v.step, v.n, h.clock, v.written_at, v.body"
        f" FROM {{run_head}} h CROSS JOIN {events} v WHERE h.run_id = :run AND h.mark = :mark",
        "insert_feed": "INSERT INTO {feed} (run_id, seq, kind, at, body"
        + (", number)" if d.numbers_feed else ")")
        + " SELECT h.run_id, h.head - :k + v.pos, v.kind, h.clock, v.body"
        + (", (SELECT f.last FROM {feed_head} f) + v.ord" if d.numbers_feed else "")
        + " FROM {run_head} h CROSS JOIN "
        + d.rows("rows", [("pos", "int"), ("kind", "text"), ("body", "text")])
        + " v WHERE h.run_id = :run AND h.mark = :mark ORDER BY v.ord",
        "insert_assets": "INSERT INTO {asset_event} (asset_key, kind, check_name, at, run_id, seq, step, body)"
        " SELECT v.asset_key, v.kind, v.check_name, h.clock, h.run_id, h.head - :k + v.pos, v.step, v.body"
        " FROM {run_head} h CROSS JOIN "
        + d.rows(
            "rows",
            [
                ("pos", "int"),
                *((name, "text") for name in ("asset_key", "kind", "check_name", "step", "body")),
            ],
        )
        + " v WHERE h.run_id = :run AND h.mark = :mark",
        "feed_numbered": f"UPDATE {{feed_head}} SET last = last + :items WHERE {acting}",
        "move_attempt": "UPDATE {attempt} SET state = :state, outcome = :outcome, cause = coalesce(:cause, cause)"
        f" WHERE {this_attempt} AND {acting}",
        "make_ends": "INSERT INTO {attempt} (run_id, step, n, state, outcome, cause)"
        f" SELECT h.run_id, v.step, v.n, v.state, v.outcome, v.cause FROM {{run_head}} h CROSS JOIN {made} v"
        " WHERE h.run_id = :run AND h.mark = :mark",
        "issue_guard": op + allowed + next_in_row,
        "and_free": f" AND NOT EXISTS (SELECT 1 FROM {{pool}} p JOIN {pools} v ON p.name = v.name WHERE p.used >= p.slots)",
        "make_attempt": "INSERT INTO {attempt} (run_id, step, n, state, retry_number, nonce, worker)"
        " SELECT h.run_id, :step, :n, :state, :retry_number, :nonce, :worker FROM {run_head} h"
        " WHERE h.run_id = :run AND h.mark = :mark",
        "make_pools": "INSERT INTO {pool} (name, slots, is_default) SELECT v.name, CAST(:slots AS integer), 1"
        f" FROM {pools} v WHERE true ORDER BY v.name ON CONFLICT (name) DO UPDATE SET slots = excluded.slots"
        " WHERE {pool}.is_default = 1 AND coalesce({pool}.slots, -1) <> coalesce(excluded.slots, -1)",
        "lock_pools": f"SELECT p.name FROM {{pool}} p WHERE p.name IN (SELECT v.name FROM {pools} v)"
        " OR p.name IN (SELECT s.pool FROM {slot} s WHERE s.run_id = :run) ORDER BY p.name" + d.lock_rows,
        "take_slots": "INSERT INTO {slot} (run_id, step, n, pool)"
        f" SELECT h.run_id, :step, :n, v.name FROM {{run_head}} h CROSS JOIN {pools} v"
        " WHERE h.run_id = :run AND h.mark = :mark",
        "take_used": f"UPDATE {{pool}} SET used = used + 1 WHERE name IN (SELECT v.name FROM {pools} v) AND {acting}",
        "lock_held": "SELECT p.name FROM {pool} p WHERE p.name IN (SELECT s.pool FROM {slot} s WHERE s.run_id = :run)"
        " ORDER BY p.name" + d.lock_rows,
        "free_used": "UPDATE {pool} SET used = used - x.held FROM (SELECT s.pool AS pool, count(*) AS held FROM {slot} s"
        " JOIN {attempt} a ON a.run_id = s.run_id AND a.step = s.step AND a.n = s.n"
        " WHERE s.run_id = :run AND a.state IN ('done', 'sealed') GROUP BY s.pool) x"
        " WHERE {pool}.name = x.pool",
        "free_slots": "DELETE FROM {slot} WHERE run_id = :run AND EXISTS (SELECT 1 FROM {attempt} a"
        " WHERE a.run_id = :run AND a.step = {slot}.step AND a.n = {slot}.n AND a.state IN ('done', 'sealed'))",
        "claim_guard": op
        + allowed
        + " AND status = 'STARTED' AND intent = 'none' AND (level IS NULL OR level LIKE :majors)"
        + has_attempt
        + "a.state = 'issued')",
        "claim_make_guard": op + allowed + next_in_row,
        "claim_attempt": "UPDATE {attempt} SET state = 'running', nonce = :nonce, worker = :worker"
        f" WHERE {this_attempt} AND {acting}",
        "claimed": f"SELECT a.retry_number FROM {{attempt}} a WHERE {this_attempt} AND {acting}",
        "seal_guard": op + allowed + has_attempt + f"a.state IN {_OPEN})",
        "seal_attempt": "UPDATE {attempt} SET state = 'sealed', nonce = NULL, cause = :cause"
        f" WHERE {this_attempt} AND {acting}",
        "status_guard": op + ", status = :to" + allowed + " AND :froms LIKE '%,' || status || ',%'",
        "and_no_open": f" AND NOT EXISTS (SELECT 1 FROM {{attempt}} a WHERE a.run_id = :run AND a.state IN {_OPEN})",
        "run_started": "UPDATE {run} SET started_at = (SELECT h.clock FROM {run_head} h WHERE h.run_id = :run)"
        f" WHERE run_id = :run AND {acting}",
        "run_ended": "UPDATE {run} SET ended_at = (SELECT h.clock FROM {run_head} h WHERE h.run_id = :run)"
        f" WHERE run_id = :run AND {acting}",
        "leave_queue": f"DELETE FROM {{queue}} WHERE run_id = :run AND {acting}",
        "ask_for_retry": "INSERT INTO {request} (request_id, run_id, kind, at, body)"
        " SELECT 'retry:' || h.run_id, h.run_id, 'retry', h.clock, '{}' FROM {run_head} h WHERE h.run_id = :run AND h.mark = :mark"
        " ON CONFLICT (request_id) DO NOTHING",
        "put_tags": "INSERT INTO {run_tag} (run_id, key, value) SELECT h.run_id, v.key, v.value FROM {run_head} h CROSS JOIN "
        + d.rows("tags", [("key", "text"), ("value", "text")])
        + " v WHERE h.run_id = :run AND h.mark = :mark"
        " ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value",
        "close": close,
        "close_with_news": close + f", {d.notify}",
    }
