"""What a process has to know to run one attempt, read in the transaction that claims it.

The claim's reply is all that such a process reads, unless it collects mapped steps. Its size follows the step's own inputs: neither
the plan nor the run's log is read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..engine.planned_step import planned_step_from_body
from ..engine.snapshot import StoredOutput, mapping_key_of, template_key
from .contract import StepBrief
from .dialect import Dialect, Outcome
from .plans import PLANNED_STEP_VERSION, check_plan_version
from .rules import Transaction
from .runs import RUN_COLUMNS, run_of_row

STATEMENTS = 4


class StepBriefs:
    """The statements that read a brief, for one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._texts = _texts(dialect)

    def add(self, t: Transaction, step_key: str) -> None:
        """Add the statements to a transaction on the run."""
        mapping_key = mapping_key_of(step_key)
        run, tags, step, outputs = (t.rules.named(text) for text in self._texts)
        t.add(run)
        t.add(tags)
        t.add(step, template=template_key(step_key))
        suffix = f"[{mapping_key}]" if mapping_key is not None else None
        t.add(outputs, template=template_key(step_key), mapping_key=mapping_key, suffix=suffix)

    def read(self, run_id: str, outcomes: Sequence[Outcome]) -> StepBrief:
        """What the statements answered; the run is there."""
        runs, tags, steps, outputs = (outcome.rows for outcome in outcomes)
        planned = None
        for version, body in steps:
            check_plan_version(version, PLANNED_STEP_VERSION)
            planned = planned_step_from_body(json.loads(body))
        return StepBrief(
            run_of_row(runs[0], dict(tags)),
            planned,
            tuple(stored_output(run_id, step, body) for step, body in outputs),
        )


def stored_output(run_id: str, step: str, text: str) -> StoredOutput:
    """What the body of a STEP_OUTPUT says."""
    body = json.loads(text)
    return StoredOutput(run_id, step, body["output"], body.get("mapping_key"), body.get("location"))


def _texts(d: Dialect) -> tuple[str, str, str, str]:
    own_row = "plan_id = (SELECT r.plan_id FROM {run} r WHERE r.run_id = :run) AND step = :template"
    reads = d.rows_of(f"(SELECT p.reads FROM {{plan_step}} p WHERE p.{own_row})", [("step", "text"), ("own", "int")])
    return (
        f"SELECT {RUN_COLUMNS} FROM {{run}} r JOIN {{run_head}} h ON h.run_id = r.run_id WHERE r.run_id = :run",
        "SELECT key, value FROM {run_tag} WHERE run_id = :run ORDER BY key",
        f"SELECT version, body FROM {{plan_step}} WHERE {own_row}",
        # SQLite takes the tables of a CROSS JOIN in their order: the few steps first, then a look-up by key.
        (
            f"SELECT e.step, e.body FROM {reads} v CROSS JOIN {{event}} e CROSS JOIN {{attempt}} a"
            " WHERE e.run_id = :run AND e.kind = 'STEP_OUTPUT' AND e.step = coalesce(replace(v.step, '[?]', :suffix), v.step)"
            " AND a.run_id = e.run_id AND a.step = e.step AND a.n = e.n AND a.outcome = 'STEP_SUCCESS'"
            f" AND (v.own = 0 OR {d.field('e.body', 'mapping_key')} = :mapping_key) ORDER BY e.seq"
        ),
    )
