"""Automatic retries of failed runs: asked for in the transaction that ends the run, so that none is lost and none is asked for twice.

Source of the meaning: https://docs.dagster.io/guides/deploy/execution/run-retries
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..events.causes import RunFailureReason
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..serdes.record import record
from .database import Database
from .dialect import Statement
from .rules import Rules

MAX_RETRIES_TAG = "dagster/max_retries"
ON_STEP_FAILURE_TAG = "dagster/retry_on_asset_or_op_failure"
WILL_RETRY_TAG = "dagster/will_retry"
KIND = "retry"


class RetryRequest(NamedTuple):
    """A retry that was asked for: of which run."""

    request_id: str
    run_id: str


@record
class RetryRule:
    """When a run that failed is to be run again.

    Attributes:
        max_retries: new runs at most in a group, unless the run's tag says otherwise.
        on_step_failure: whether a run that failed because a step did is retried; its tag wins.
    """

    max_retries: int
    on_step_failure: bool

    def wants(self, tags: Mapping[str, str], reason: str, group_size: int) -> bool:
        """Whether it is to be run again.

        Args:
            tags: of the run. reason: of its failure.
            group_size: runs of its group so far: the first one and all that repeat it.
        """
        on_step = tags.get(ON_STEP_FAILURE_TAG, str(self.on_step_failure)).lower() == "true"
        if reason == RunFailureReason.STEP_FAILURE.value and not on_step:
            return False
        return 0 < group_size <= self.most(tags)

    def most(self, tags: Mapping[str, str]) -> int:
        """New runs at most; a tag that is no number means none."""
        try:
            return int(tags.get(MAX_RETRIES_TAG, self.max_retries))
        except ValueError:
            return 0


class RetryRequests:
    """The retries that were asked for in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rules = Rules(database.dialect)

    def decide(self, rule: RetryRule | None, run_id: str, event: NewEvent) -> NewEvent:
        """The last event of a run, with the tag that says whether it will be run again; the transaction that stores it asks for it."""
        if rule is None or event.kind != EventKind.RUN_FAILURE:
            return event
        wants = rule.wants(self._tags(run_id), str(event.body.get("reason", "")), self.group_size(run_id))
        tags = {**(event.body.get("tags") or {}), WILL_RETRY_TAG: "true" if wants else "false"}
        return event._replace(body={**event.body, "tags": tags})

    def open(self, limit: int = 50) -> list[RetryRequest]:
        """Those that nobody has done yet, oldest first."""
        text = "SELECT q.request_id, q.run_id FROM {request} q WHERE q.kind = :kind AND q.done_at IS NULL ORDER BY q.at LIMIT :limit"
        return [RetryRequest(*row) for row in self._read(text, {"kind": KIND, "limit": limit})]

    def done(self, request_id: str) -> None:
        """A retry was made, or can not be."""
        text = "UPDATE {request} SET done_at = :now WHERE request_id = :id AND done_at IS NULL"
        self._database.transact([Statement(self._rules.named(text), {"id": request_id, "now": time.time()})])

    def group_size(self, run_id: str) -> int:
        """How many runs are in the run's group: the first one and all that repeat it, by hand too."""
        text = "SELECT count(*) FROM {run} r WHERE r.root_run_id = :root OR r.run_id = :root"
        root = self._read("SELECT coalesce(root_run_id, run_id) FROM {run} WHERE run_id = :run", {"run": run_id})
        return int(self._read(text, {"root": root[0][0]})[0][0]) if root else 0

    def _tags(self, run_id: str) -> dict[str, str]:
        return dict(self._read("SELECT key, value FROM {run_tag} WHERE run_id = :run", {"run": run_id}))

    def _read(self, text: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self._database.read(self._rules.named(text), params)
