"""Plans as they are stored: whole, for who coordinates a run, and step by step, for the processes that run one step."""

from __future__ import annotations

import json
import time
import zlib

from ..engine.planned_step import planned_step_to_body, planned_steps
from ..engine.snapshot import PLAN_VERSION, PlanSnapshot, plan_from_body, plan_id, plan_to_body
from ..errors import DocumentError, NotFoundError
from .database import Database
from .dialect import Statement
from .rules import Rules

PLANNED_STEP_VERSION = 1
NOTED_EVERY_S = 3600.0
_STEP_COLUMNS = (("step", "text"), ("reads", "text"), ("body", "text"))


class Plans:
    """The plans in one database."""

    def __init__(self, database: Database, rules: Rules) -> None:
        self._database = database
        self._rules = rules
        self._packed: tuple[PlanSnapshot, str, bytes] | None = None

    def put(self, plan: PlanSnapshot) -> str:
        """Store a plan once; return its id."""
        found, statement = self.storing(plan)
        self._database.transact([statement])
        return found

    def storing(self, plan: PlanSnapshot) -> tuple[str, Statement]:
        """The plan's id, and the statement of ``put`` for who does more in the same transaction.

        That it is used is noted once an hour at most: those who submit runs of one job do not wait for each other.
        """
        now = time.time()
        found, packed = self._pack(plan)
        sql = (
            "INSERT INTO {plan} AS p (plan_id, version, body, used_at) VALUES (:id, :version, :body, :now)"
            " ON CONFLICT (plan_id) DO UPDATE SET used_at = excluded.used_at WHERE coalesce(p.used_at, 0) < :an_hour_ago"
        )
        params = {"id": found, "version": PLAN_VERSION, "body": packed, "now": now, "an_hour_ago": now - NOTED_EVERY_S}
        return found, Statement(self._rules.named(sql), params)

    def _pack(self, plan: PlanSnapshot) -> tuple[str, bytes]:
        """Its id and its stored form. Who submits a thousand runs of one plan has it packed once."""
        if self._packed is None or self._packed[0] is not plan:
            body = plan_to_body(plan)
            packed = zlib.compress(json.dumps(body, separators=(",", ":")).encode(), 1)
            self._packed = plan, plan_id(body), packed
        return self._packed[1:]

    def get(self, found: str) -> PlanSnapshot:
        """The stored plan.

        Raises:
            NotFoundError: no such plan. DocumentError: a newer version wrote it.
        """
        rows = self._database.read(
            self._rules.named("SELECT version, body FROM {plan} WHERE plan_id = :id"), {"id": found}
        )
        if not rows:
            raise NotFoundError(f"no plan {found} is stored")
        version, body = rows[0]
        check_plan_version(version, PLAN_VERSION)
        return plan_from_body(json.loads(zlib.decompress(body)))

    def put_steps(self, plan: PlanSnapshot) -> None:
        """Store each step of a plan by itself, once, so that the process that runs it reads no other.

        Whoever coordinates a run whose steps read storage themselves does this before the first is started.
        """
        found = plan_id(plan_to_body(plan))
        there = self._rules.named("SELECT 1 FROM {plan_step} WHERE plan_id = :id LIMIT 1")
        if self._database.read(there, {"id": found}):
            return
        rows = [
            [
                p.step.key,
                json.dumps([[r.step, int(r.own_key_only)] for r in p.reads()]),
                json.dumps(planned_step_to_body(p)),
            ]
            for p in planned_steps(plan)
        ]
        sql = (
            "INSERT INTO {plan_step} (plan_id, step, version, reads, body) SELECT :id, v.step, :version, v.reads, v.body"
            f" FROM {self._rules.dialect.rows('rows', _STEP_COLUMNS)} v WHERE true ON CONFLICT (plan_id, step) DO NOTHING"
        )
        params = {"id": found, "version": PLANNED_STEP_VERSION, "rows": json.dumps(rows)}
        self._database.transact([Statement(self._rules.named(sql), params)])


def check_plan_version(found: int, newest: int) -> None:
    """Refuse a plan, or a part of one, that was stored in a later form.

    Raises:
        DocumentError: it was.
    """
    if found > newest:
        raise DocumentError("the plan was written by a newer runplane", got=f"version {found}", expected=f"{newest}")
