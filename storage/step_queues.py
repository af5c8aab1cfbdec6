"""Steps that wait in a named queue for a worker, who watches them, and the workers with their slots.

A message of a broker only says where to look: what may run is a row here, made by the run's coordinator for an attempt that it issued,
and taken by one worker. A queue's slots bound what runs of it, whoever watches: ``take`` counts in its transaction.

Whether a worker lives is judged in two ways. For its slots by the database's clock alone: when it is not heard of, its slots do not
count, which errs on the side of fewer steps; nor do they once another worker has come to its queue, until it is heard of again. So who
is started in place of a killed worker brings no more slots than that one had. For what it watches by whoever coordinates, as everywhere: see ``liveness.py``.
What lives *apart* from its worker (a pod) goes on without it and is adopted by another worker, who may be wrong about the first one's
end: then two watch the same pod, which changes nothing, and the row says whose word counts.

The process of a whole run may stand in a queue too (``run_process``). It needs no attempt: it may be taken while its run is under way.

Workers of several versions may listen to one queue. A worker is given nothing of a run that is coordinated at another major protocol level:
it waits for a worker that understands it. The process of a run is also given to a worker of a later one, which goes on with older runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..serdes.record import record
from .contract import AttemptRef, Owner
from .database import Database
from .dialect import Dialect, Outcome, Statement
from .liveness import proven_gone
from .rules import Rules
from .version import LEVEL, major

RUN_STEP = ""
"""In place of a step's key: the process that coordinates the run."""
KEPT_S = 86400.0
"""How long the row of a worker that is not heard of stays."""


@record
class QueuedStep:
    """An attempt in a queue.

    Attributes:
        queue, priority: where it waits; 9 comes first.
        watcher: the worker that took it; None: nobody yet.
        owner, beat: that worker's process and its newest beat; None: it has left.
        ended: what the watcher says of its end; None: it has not ended.
        waited_s: seconds since it was put there, by the database's clock.
        stopping: it is to end.
        is_apart: it lives apart from its watcher.
    """

    run_id: str
    ref: AttemptRef
    queue: str
    priority: int
    watcher: str | None = None
    owner: Owner | None = None
    beat: int | None = None
    ended: Mapping[str, Any] | None = None
    waited_s: float = 0.0
    stopping: bool = False
    is_apart: bool = False


def watcher_gone(step: QueuedStep) -> str | None:
    """Evidence that the worker that took a step is not there any more; None: it may be."""
    if step.owner is None:
        return f"worker {step.watcher} has left"
    gone = proven_gone(step.owner)
    return None if gone is None else f"its worker: {gone}"


def nobody_listens(queue: str, listening: Mapping[str, set[str]]) -> str | None:
    """In words, that no worker that serves runs of this version listens to a queue; None: one does.

    Args:
        listening: see ``StepQueues.listening``.
    """
    levels = listening.get(queue, set())
    if any(major(one) == major(LEVEL) for one in levels):
        return None
    if levels:
        return f"No worker of protocol {LEVEL} listens to queue {queue}, only of {' and '.join(sorted(levels))}"
    return f"No worker listens to queue {queue}"


def run_process(n: int) -> AttemptRef:
    """The n-th process that is to coordinate a run, as it stands in a queue; from 1."""
    return AttemptRef(RUN_STEP, n)


@record
class Taken:
    """The worker watches the attempt from here on. `body`: what to start, as the coordinator stored it."""

    body: Mapping[str, Any]


@record
class Adopted:
    """An attempt that lives apart from its former watcher, who is gone; this worker watches it from here on.

    Attributes:
        body: as of ``Taken``.
        was_claimed: its process has begun (or it is decided): nothing is to be started any more.
        taken_s: seconds since a worker took it, by the database's clock.
    """

    run_id: str
    ref: AttemptRef
    body: Mapping[str, Any]
    was_claimed: bool
    taken_s: float


@record
class NotTaken:
    """Why not: ``full`` (the queue's slots are in use; ask again), ``held`` (another worker has it), ``ended`` (it is to stop or has ended, or
    its run is ending), ``unknown`` (nothing of the kind was issued to this queue), ``other_level`` (its run is coordinated at a protocol level
    that this version does not serve, `detail`). The hint of what is full or of another level goes back with `priority`."""

    why: str
    detail: str = ""
    priority: int = 0


@record
class HeldStep:
    """An attempt that a worker watches and has to end.

    Attributes:
        grace_s: between asking it and killing it.
        is_apart: it lives apart from its watcher.
    """

    run_id: str
    ref: AttemptRef
    grace_s: float
    is_apart: bool = False


@record
class StepWorker:
    """A worker as stored. `age_s`: seconds since it was heard of, by the database's clock; for people and for slots."""

    worker_id: str
    queues: tuple[str, ...]
    slots: int
    owner: Owner
    beat: int
    age_s: float
    body: Mapping[str, Any]


@record
class QueueFigures:
    """One queue: `waiting` attempts that nobody took, the `oldest_s` of them, `running` ones, `slots` of living workers."""

    name: str
    waiting: int
    oldest_s: float
    running: int
    slots: int
    workers: int


class StepQueues:
    """The queues of one database.

    Args:
        ttl_s: a worker that was not heard of for so long has no slots.
    """

    def __init__(self, database: Database, *, ttl_s: float) -> None:
        self._database = database
        self._rules = Rules(database.dialect)
        self._ttl_s = ttl_s
        self._sql = {name: self._rules.named(text) for name, text in _texts(database.dialect, major(LEVEL)).items()}

    # The coordinator -----------------------------------------------------------------------------------------------------------

    def put(
        self,
        run_id: str,
        ref: AttemptRef,
        queue: str,
        priority: int,
        body: Mapping[str, Any],
        *,
        apart: bool = False,
        tells: bool = False,
    ) -> None:
        """Put an issued attempt into a queue. Done again (a coordinator took over) it changes nothing.

        Args:
            apart: what is started for it goes on without the worker that started it.
            tells: wake workers that wait for the database's word: nobody sends them a message.
        """
        this = {"run": run_id, "step": ref.step, "n": ref.n}
        row = {**this, "queue": queue, "rank": -priority, "body": json.dumps(body), "apart": int(apart)}
        told: list[tuple[str, dict[str, Any]]] = [("tell", this)] if tells else []
        self._transact([("put", row), *told])

    def of_run(self, run_id: str) -> list[QueuedStep]:
        """What is in queues of one run, with who watches it."""
        rows = self._database.read(self._sql["of_run"], {"run": run_id})
        return [_queued(row) for row in rows]

    def ask_to_stop(self, run_id: str, ref: AttemptRef, grace_s: float) -> None:
        """Nobody takes it any more; who watches it ends it."""
        self._write("stop", run=run_id, step=ref.step, n=ref.n, grace=float(grace_s))

    def tidy(self, run_id: str) -> None:
        """Forget what of a run is decided and nobody runs."""
        self._write("tidy", run=run_id)

    def waiting_in(self, queue: str) -> int:
        """How many attempts, of any run, nobody took."""
        return int(self._database.read(self._sql["waiting"], {"queue": queue})[0][0])

    def wait_for_queued(self, timeout_s: float) -> bool:
        """See ``Database``."""
        return self._database.wait_for_queued(timeout_s)

    def listening(self) -> dict[str, set[str]]:
        """Queues that living workers listen to, with the protocol levels of these."""
        found: dict[str, set[str]] = {}
        for one in self.workers():
            if one.age_s < self._ttl_s:
                for queue in one.queues:
                    found.setdefault(queue, set()).add(str(one.body.get("level", LEVEL)))
        return found

    def figures(self) -> list[QueueFigures]:
        """All queues that hold something or are listened to, by name."""
        rows = self._database.read(self._sql["figures"], {"ttl": self._ttl_s})
        return [QueueFigures(n, int(w), float(o or 0.0), int(r), int(s), int(k)) for n, w, o, r, s, k in rows]

    # The worker ----------------------------------------------------------------------------------------------------------------

    def join(self, owner: Owner, queues: Sequence[str], slots: int, body: Mapping[str, Any]) -> None:
        """A worker's first beat. It may stand in for one that was killed a moment ago: the slots of the others count again with their next beats."""
        for queue in queues:
            others = Statement(self._sql["unheard"], {"me": owner.worker_id, "queue": queue})
            lock = Statement(self._sql["lock"], {"queue": queue})
            self._database.transact([lock, others, self._beat_of(owner, queue, slots, body)])

    def beat(self, owner: Owner, queues: Sequence[str], slots: int, body: Mapping[str, Any]) -> list[HeldStep]:
        """Say that this worker lives and what it listens to; hear what it has to end: attempts that are to stop, and sealed ones."""
        me = owner.worker_id
        statements = [self._beat_of(owner, queue, slots, body) for queue in queues]
        statements.append(Statement(self._sql["forget_old"], {"kept": KEPT_S}))
        statements.append(Statement(self._sql["to_end"], {"me": me}))
        rows = self._database.transact(statements)[-1].rows
        return [
            HeldStep(run, AttemptRef(step, n), float(grace or 0.0), bool(apart)) for run, step, n, grace, apart in rows
        ]

    def next_in(self, queues: Sequence[str], limit: int) -> list[tuple[str, AttemptRef, str]]:
        """What waits, highest priority first: run, attempt, queue. To be taken one by one."""
        return self._next("next", queues, limit=limit)

    def late_runs_in(self, queues: Sequence[str], after_s: float) -> list[tuple[str, AttemptRef, str]]:
        """The first process of a run that has waited for longer than `after_s`: nobody repeats its hint, as coordinators do for steps."""
        return self._next("next_run", queues, limit=1, after=after_s)

    def _next(self, name: str, queues: Sequence[str], **params: float) -> list[tuple[str, AttemptRef, str]]:
        names = self._rules.dialect.rows("queues", [("name", "text")])
        text = self._sql[name].replace("{names}", names)
        rows = self._database.read(text, {"queues": json.dumps([[q] for q in queues]), **params})
        return [(run, AttemptRef(step, n), queue) for run, step, n, queue in rows]

    def take(self, run_id: str, ref: AttemptRef, queue: str, worker_id: str, token: str) -> Taken | NotTaken:
        """Become the attempt's watcher, if its queue has a free slot. The same token asking again (a lost reply) gets the same answer."""
        this = {"run": run_id, "step": ref.step, "n": ref.n}
        params = {**this, "queue": queue, "me": worker_id, "token": token, "ttl": self._ttl_s}
        outcomes = self._transact(
            [
                # The lock is a statement of its own: what follows it sees what whoever held it did.
                ("lock", {"queue": queue}),
                ("heard", {"me": worker_id, "queue": queue}),
                ("sweep", {"queue": queue, "ttl": self._ttl_s}),
                ("sweep_runs", {"queue": queue}),
                ("take", params),
                ("look", {**this, "queue": queue}),
            ]
        )
        if not outcomes[-1].rows:
            return NotTaken("unknown", f"no attempt {ref.n} of step {ref.step} of run {run_id} is in queue {queue}")
        watcher, found_token, stop, ended, body, can_run, served, level, rank = outcomes[-1].rows[0]
        if (watcher, found_token) == (worker_id, token) and ended is None:
            return Taken(json.loads(body))
        if stop is not None or ended is not None or not can_run:
            return NotTaken("ended")
        if watcher is not None:
            return NotTaken("held", watcher)
        priority = -int(rank)
        return NotTaken("full", priority=priority) if served else NotTaken("other_level", level, priority)

    def adopt(self, queues: Sequence[str], worker_id: str, token: str, *, mine_too: bool = False) -> list[Adopted]:
        """Become the watcher of all that lives apart in these queues and whose watcher is not heard of. More than this worker's slots, if it has
        to be: somebody has to see their ends.

        Args:
            token: used once.
            mine_too: tell also what this worker watches already: for one that may have been taken for dead, or that lost an answer.
        """
        params = {"queues": json.dumps([[q] for q in queues]), "me": worker_id, "token": token, "ttl": self._ttl_s}
        names = self._rules.dialect.rows("queues", [("name", "text")])
        done = self._database.transact(
            [
                Statement(self._sql["adopt"].replace("{names}", names), {**params, "mine": int(mine_too)}),
                Statement(self._sql["adopted"], {"me": worker_id, "token": token}),
            ]
        )
        return [
            Adopted(run, AttemptRef(step, n), json.loads(body), bool(claimed), float(taken or 0.0))
            for run, step, n, body, claimed, taken in done[-1].rows
        ]

    def is_watcher(self, run_id: str, ref: AttemptRef, worker_id: str) -> bool:
        """Whether the attempt, not said to have ended, is this worker's to watch."""
        this = {"run": run_id, "step": ref.step, "n": ref.n, "me": worker_id}
        return bool(self._database.read(self._sql["watched"], this))

    def hand_back(self, run_id: str, ref: AttemptRef, worker_id: str) -> None:
        """This worker can not watch what lives apart: nobody does, until another worker adopts it."""
        self._write("hand_back", run=run_id, step=ref.step, n=ref.n, me=worker_id)

    def end(self, run_id: str, ref: AttemptRef, worker_id: str, evidence: Mapping[str, Any]) -> None:
        """The attempt's process has ended. Its slot is free; what is said of it is kept until the attempt is decided."""
        this = {"run": run_id, "step": ref.step, "n": ref.n, "me": worker_id}
        self._transact([("end", {**this, "ended": json.dumps(evidence)}), ("remove_decided", this)])

    def give_back(self, run_id: str, ref: AttemptRef, worker_id: str) -> None:
        """A run's process ended because its worker leaves: another worker may go on with the run, if it is not over."""
        this = {"run": run_id, "step": ref.step, "n": ref.n, "me": worker_id}
        ended = json.dumps({"text": "its worker left"})
        self._transact([("give_back", this), ("end", {**this, "ended": ended}), ("remove_decided", this)])

    def leave(self, worker_id: str) -> None:
        """This worker ends; it watches nothing any more."""
        self._write("leave", me=worker_id)

    def workers(self) -> list[StepWorker]:
        """All workers that have not left."""
        found: dict[str, StepWorker] = {}
        for worker_id, queue, slots, owner, beat, age, body in self._database.read(self._sql["workers"], {}):
            before = found.get(worker_id)
            queues = (*(before.queues if before else ()), queue)
            found[worker_id] = StepWorker(
                worker_id, queues, int(slots), Owner(**json.loads(owner)), int(beat), float(age), json.loads(body)
            )
        return list(found.values())

    # Inside --------------------------------------------------------------------------------------------------------------------

    def _beat_of(self, owner: Owner, queue: str, slots: int, body: Mapping[str, Any]) -> Statement:
        return Statement(
            self._sql["beat"],
            {
                "me": owner.worker_id,
                "queue": queue,
                "slots": slots,
                "owner": json.dumps(owner.to_body()),
                "body": json.dumps(body),
            },
        )

    def _transact(self, named: Sequence[tuple[str, dict[str, Any]]]) -> list[Outcome]:
        return self._database.transact([Statement(self._sql[name], params) for name, params in named])

    def _write(self, name: str, **params: Any) -> int:
        return self._transact([(name, params)])[0].matched


def _queued(row: tuple[Any, ...]) -> QueuedStep:
    run_id, step, n, queue, rank, watcher, ended, waited, stop, apart, owner, beat = row
    return QueuedStep(
        run_id,
        AttemptRef(step, n),
        queue,
        -int(rank),
        watcher,
        Owner(**json.loads(owner)) if owner else None,
        None if beat is None else int(beat),
        json.loads(ended) if ended else None,
        float(waited),
        stop is not None,
        bool(apart),
    )


def _texts(dialect: Dialect, level: int) -> dict[str, str]:
    now = dialect.now
    this = "run_id = :run AND step = :step AND n = :n"
    attempt = "SELECT 1 FROM {attempt} a WHERE a.run_id = {queued_step}.run_id AND a.step = {queued_step}.step AND a.n = {queued_step}.n"
    # The process of a run: it has no attempt, so that what is said of attempts below never holds for it.
    is_run = f"{{queued_step}}.step = '{RUN_STEP}'"
    run_is_open = (
        f"({is_run} AND EXISTS (SELECT 1 FROM {{run_head}} h WHERE h.run_id = {{queued_step}}.run_id"
        " AND h.status IN ('STARTING', 'STARTED', 'CANCELING')))"
    )
    is_open = f"({run_is_open} OR EXISTS ({attempt} AND a.state IN ('issued', 'running')))"
    run_goes_on = (
        "EXISTS (SELECT 1 FROM {run_head} h WHERE h.run_id = {queued_step}.run_id AND h.status = 'STARTED'"
        " AND h.intent = 'none')"
    )
    can_run = f"({run_is_open} OR EXISTS ({attempt} AND a.state = 'issued') AND {run_goes_on})"
    its_run = "FROM {run_head} h WHERE h.run_id = {queued_step}.run_id"
    # A step writes what its coordinator reads. As far as its major version goes, a level is a decimal number.
    served = (
        f"NOT EXISTS (SELECT 1 {its_run} AND (CAST(h.level AS REAL) >= {level + 1}"
        f" OR NOT {is_run} AND CAST(h.level AS REAL) < {level}))"
    )
    lives = f"w.at > {now} - :ttl"
    free = "watcher IS NULL AND stop IS NULL AND ended IS NULL"
    # A run's process ends with its worker, so it counts while that is heard of; a step counts until its coordinator has decided.
    running = (
        "(SELECT count(*) FROM {queued_step} r WHERE r.queue = :queue AND r.watcher IS NOT NULL AND r.ended IS NULL"
        f" AND (r.step <> '{RUN_STEP}' OR EXISTS (SELECT 1 FROM {{step_worker}} w WHERE w.worker_id = r.watcher AND {lives})))"
    )
    slots = f"(SELECT coalesce(sum(w.slots), 0) FROM {{step_worker}} w WHERE w.queue = :queue AND {lives})"
    waiting = (
        "SELECT run_id, step, n, queue FROM {queued_step} WHERE queue IN (SELECT v.name FROM {names} v)"
        f" AND {free} AND {can_run} AND {served}"
    )
    return {
        "put": "INSERT INTO {queued_step} (run_id, step, n, queue, rank, at, body, apart)"
        f" VALUES (:run, :step, :n, :queue, :rank, {now}, :body, :apart) ON CONFLICT (run_id, step, n) DO NOTHING",
        "tell": f"SELECT {dialect.tell_queue} FROM {{queued_step}} q WHERE q.run_id = :run AND q.step = :step AND q.n = :n",
        "of_run": f"SELECT q.run_id, q.step, q.n, q.queue, q.rank, q.watcher, q.ended, {now} - q.at, q.stop,"
        " q.apart, w.owner, w.beat FROM {queued_step} q LEFT JOIN {step_worker} w ON w.worker_id = q.watcher AND w.queue = q.queue"
        " WHERE q.run_id = :run ORDER BY q.rank, q.at, q.step",
        "stop": f"UPDATE {{queued_step}} SET stop = coalesce(stop, :grace) WHERE {this}",
        "tidy": f"DELETE FROM {{queued_step}} WHERE run_id = :run AND (watcher IS NULL OR ended IS NOT NULL) AND NOT {is_open}",
        "waiting": f"SELECT count(*) FROM {{queued_step}} WHERE queue = :queue AND {free}",
        "figures": f"SELECT n.name, sum(n.waiting), {now} - min(n.at), sum(n.running), sum(n.slots), sum(n.workers) FROM ("
        f"SELECT queue AS name, CASE WHEN {free} THEN 1 ELSE 0 END AS waiting, CASE WHEN {free} THEN at END AS at,"
        " CASE WHEN watcher IS NOT NULL AND ended IS NULL THEN 1 ELSE 0 END AS running, 0 AS slots, 0 AS workers"
        " FROM {queued_step} UNION ALL"
        f" SELECT w.queue, 0, NULL, 0, w.slots, 1 FROM {{step_worker}} w WHERE {lives}) n GROUP BY n.name ORDER BY n.name",
        "beat": "INSERT INTO {step_worker} (worker_id, queue, slots, owner, beat, at, body)"
        f" VALUES (:me, :queue, :slots, :owner, 1, {now}, :body) ON CONFLICT (worker_id, queue)"
        f" DO UPDATE SET beat = {{step_worker}}.beat + 1, at = {now}, body = excluded.body, slots = excluded.slots",
        "unheard": "UPDATE {step_worker} SET slots = 0 WHERE queue = :queue AND worker_id <> :me",
        "forget_old": f"DELETE FROM {{step_worker}} WHERE at < {now} - :kept AND NOT EXISTS"
        " (SELECT 1 FROM {queued_step} q WHERE q.watcher = {step_worker}.worker_id)",
        "to_end": "SELECT run_id, step, n, stop, apart FROM {queued_step} WHERE watcher = :me AND ended IS NULL"
        f" AND (stop IS NOT NULL OR EXISTS ({attempt} AND a.state = 'sealed') OR NOT ({is_run} OR EXISTS ({attempt})))",
        "next": f"{waiting} ORDER BY rank, at, step LIMIT :limit",
        "next_run": f"{waiting} AND {is_run} AND {now} - at > :after ORDER BY rank, at LIMIT :limit",
        "lock": "INSERT INTO {step_queue} (name, taken) VALUES (:queue, 1)"
        " ON CONFLICT (name) DO UPDATE SET taken = {step_queue}.taken + 1",
        "heard": f"UPDATE {{step_worker}} SET at = {now}, beat = beat + 1 WHERE worker_id = :me AND queue = :queue",
        "sweep": f"DELETE FROM {{queued_step}} WHERE queue = :queue AND watcher IS NOT NULL AND apart = 0 AND NOT {is_open} AND NOT EXISTS"
        f" (SELECT 1 FROM {{step_worker}} w WHERE w.worker_id = {{queued_step}}.watcher AND {lives})",
        "sweep_runs": f"DELETE FROM {{queued_step}} WHERE queue = :queue AND {is_run} AND (watcher IS NULL OR ended IS NOT NULL)"
        f" AND NOT {is_open}",
        "take": f"UPDATE {{queued_step}} SET watcher = :me, token = :token, taken = {now} WHERE {this} AND queue = :queue AND {free}"
        f" AND {can_run} AND {served} AND {running} < {slots}"
        " AND EXISTS (SELECT 1 FROM {step_worker} w WHERE w.worker_id = :me AND w.queue = :queue)",
        "look": f"SELECT watcher, token, stop, ended, body, CASE WHEN {can_run} THEN 1 ELSE 0 END,"
        f" CASE WHEN {served} THEN 1 ELSE 0 END, (SELECT h.level {its_run}), rank FROM {{queued_step}}"
        f" WHERE {this} AND queue = :queue",
        "watched": f"SELECT 1 FROM {{queued_step}} WHERE {this} AND watcher = :me AND ended IS NULL",
        "end": f"UPDATE {{queued_step}} SET ended = coalesce(ended, :ended) WHERE {this} AND watcher = :me",
        "give_back": f"UPDATE {{queued_step}} SET watcher = NULL, token = NULL WHERE {this} AND watcher = :me"
        f" AND ended IS NULL AND stop IS NULL AND {run_is_open}",
        "remove_decided": f"DELETE FROM {{queued_step}} WHERE {this} AND watcher = :me AND NOT {is_open}",
        "adopt": "UPDATE {queued_step} SET watcher = :me, token = :token WHERE apart = 1 AND ended IS NULL AND watcher IS NOT NULL"
        f" AND queue IN (SELECT v.name FROM {{names}} v) AND {served} AND (:mine = 1 AND watcher = :me OR NOT EXISTS"
        f" (SELECT 1 FROM {{step_worker}} w WHERE w.worker_id = {{queued_step}}.watcher AND {lives}))",
        "hand_back": f"UPDATE {{queued_step}} SET watcher = '' WHERE {this} AND watcher = :me AND apart = 1 AND ended IS NULL",
        "adopted": f"SELECT run_id, step, n, body, CASE WHEN EXISTS ({attempt} AND a.state = 'issued') THEN 0 ELSE 1 END,"
        f" {now} - taken FROM {{queued_step}} WHERE watcher = :me AND token = :token AND ended IS NULL",
        "leave": "DELETE FROM {step_worker} WHERE worker_id = :me",
        "workers": f"SELECT worker_id, queue, slots, owner, beat, {now} - at, body FROM {{step_worker}} ORDER BY worker_id, queue",
    }
