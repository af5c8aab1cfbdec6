"""Runs as they are listed and shown: reading the wide rows, tags, and where a run's worker is."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ConflictError, DocumentError, NotFoundError, nearest
from ..events.run import Run
from ..events.run_document import run_from_document
from ..events.status import RunStatus
from .contract import Page, RunFilter
from .database import Database
from .dialect import Statement
from .rules import Rules

RUN_COLUMNS = "r.run_id, r.job_name, r.body, r.parent_run_id, r.root_run_id, r.plan_id, r.created_at, r.started_at, r.ended_at, h.status"
SHORTEST_BEGINNING = 4
"""Characters of an id that may stand for it."""
_BEGINNING = re.compile(f"[0-9A-Fa-f-]{{{SHORTEST_BEGINNING},}}")
"""Of a UUID: long enough to be meant, and with nothing in it that a pattern of SQL would take for itself."""


class Runs:
    """Reading runs from one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rules = Rules(database.dialect)

    def get(self, run_id: str) -> Run:
        """The run of this id, or the only one whose id starts so (at least four characters).

        Raises:
            NotFoundError: there is none; ConflictError: there are several.
        """
        found = self._select(" WHERE r.run_id = :run", {"run": run_id}, 1)
        if not found and _BEGINNING.fullmatch(run_id):
            found = self._select(" WHERE r.run_id LIKE :prefix", {"prefix": f"{run_id.lower()}%"}, 3)
        if len(found) > 1:
            raise ConflictError(
                f"{len(found)} or more runs start with {run_id!r}", hint="Give more characters of the id."
            )
        if not found:
            known = [r.run_id for r in self.page(RunFilter(), limit=50).runs]
            raise NotFoundError(
                f"no run {run_id!r} is stored in {self._database.where}.",
                nearest=nearest(run_id, known),
                hint="`runplane run list` shows what is there."
                if len(run_id) >= SHORTEST_BEGINNING
                else f"The beginning of an id has at least {SHORTEST_BEGINNING} characters.",
            )
        return found[0]

    def page(self, wanted: RunFilter, cursor: str | None = None, limit: int = 50) -> Page:
        """Runs that match, newest first.

        Args:
            cursor: from the page before; opaque.
            limit: runs a page.

        Raises:
            DocumentError: the cursor is not one of ours.
        """
        where, params = self._conditions(wanted)
        if cursor is not None:
            at, run_id = _read_cursor(cursor)
            where.append("(r.created_at < :at OR (r.created_at = :at AND r.run_id < :after_id))")
            params.update(at=at, after_id=run_id)
        text = " WHERE " + " AND ".join(where) if where else ""
        runs = self._select(text, params, limit + 1)
        more = len(runs) > limit
        runs = runs[:limit]
        return Page(tuple(runs), _write_cursor(runs[-1]) if more else None)

    def count(self, wanted: RunFilter) -> int:
        """How many runs match."""
        where, params = self._conditions(wanted)
        text = " WHERE " + " AND ".join(where) if where else ""
        rows = self._database.read(
            self._named("SELECT count(*) FROM {run} r JOIN {run_head} h ON h.run_id = r.run_id" + text), params
        )
        return int(rows[0][0])

    def put_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run; others stay."""
        rows = self._rules.dialect.rows("tags", [("key", "text"), ("value", "text")])
        sql = (
            f"INSERT INTO {{run_tag}} (run_id, key, value) SELECT :run, v.key, v.value FROM {rows} v WHERE true"
            " ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value"
        )
        self._write(sql, {"run": run_id, "tags": json.dumps([[k, v] for k, v in tags.items()])})

    def put_handle(self, run_id: str, handle: Mapping[str, Any]) -> None:
        """Remember where the run's newest worker is."""
        self._write(
            "UPDATE {run} SET handle = :handle WHERE run_id = :run", {"run": run_id, "handle": json.dumps(handle)}
        )

    def handle(self, run_id: str) -> dict[str, Any] | None:
        """Where the run's newest worker is, or None."""
        rows = self._database.read(self._named("SELECT handle FROM {run} WHERE run_id = :run"), {"run": run_id})
        return json.loads(rows[0][0]) if rows and rows[0][0] else None

    def put_instance(self, run_id: str, document: str) -> None:
        """Remember the document of the instance that a run was launched with; the first one stays."""
        sql = "INSERT INTO {run_instance} (run_id, body) VALUES (:run, :body) ON CONFLICT (run_id) DO NOTHING"
        self._write(sql, {"run": run_id, "body": document})

    def instance(self, run_id: str) -> str | None:
        """The document of the instance that a run was launched with, if its workers are not handed it."""
        rows = self._database.read(self._named("SELECT body FROM {run_instance} WHERE run_id = :run"), {"run": run_id})
        return str(rows[0][0]) if rows else None

    def _conditions(self, wanted: RunFilter) -> tuple[list[str], dict[str, Any]]:
        where: list[str] = []
        params: dict[str, Any] = {}
        if wanted.run_ids is not None:
            where.append(f"r.run_id IN (SELECT v.name FROM {self._names('ids')} v)")
            params["ids"] = json.dumps([[i] for i in wanted.run_ids])
        if wanted.statuses is not None:
            where.append(f"h.status IN (SELECT v.name FROM {self._names('statuses')} v)")
            params["statuses"] = json.dumps([[s.value] for s in wanted.statuses])
        for i, (key, value) in enumerate((wanted.tags or {}).items()):
            letter = f"{chr(97 + i // 26)}{chr(97 + i % 26)}"
            where.append(
                f"EXISTS (SELECT 1 FROM {{run_tag}} t WHERE t.run_id = r.run_id AND t.key = :key_{letter} AND t.value = :value_{letter})"
            )
            params.update({f"key_{letter}": key, f"value_{letter}": value})
        simple: tuple[tuple[str, str, Any], ...] = (
            ("r.job_name = :job", "job", wanted.job_name),
            ("r.root_run_id = :root", "root", wanted.root_run_id),
            ("r.created_at > :created_after", "created_after", wanted.created_after),
            ("r.created_at < :created_before", "created_before", wanted.created_before),
        )
        for text, name, given in simple:
            if given is not None:
                where.append(text)
                params[name] = given
        return where, params

    def _names(self, param: str) -> str:
        return self._rules.dialect.rows(param, [("name", "text")])

    def _select(self, where: str, params: Mapping[str, Any], limit: int) -> list[Run]:
        sql = (
            f"SELECT {RUN_COLUMNS} FROM {{run}} r JOIN {{run_head}} h ON h.run_id = r.run_id{where}"
            " ORDER BY r.created_at DESC, r.run_id DESC LIMIT :limit"
        )
        rows = self._database.read(self._named(sql), {**params, "limit": limit})
        tags = self._tags([row[0] for row in rows])
        return [run_of_row(row, tags.get(row[0], {})) for row in rows]

    def _tags(self, run_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        if not run_ids:
            return {}
        sql = f"SELECT run_id, key, value FROM {{run_tag}} WHERE run_id IN (SELECT v.name FROM {self._names('ids')} v) ORDER BY key"
        found: dict[str, dict[str, str]] = {}
        for run_id, key, value in self._database.read(self._named(sql), {"ids": json.dumps([[i] for i in run_ids])}):
            found.setdefault(run_id, {})[key] = value
        return found

    def _write(self, sql: str, params: dict[str, Any]) -> None:
        self._database.transact([Statement(self._named(sql), params)])

    def _named(self, text: str) -> str:
        return self._rules.named(text)


def run_of_row(row: Sequence[Any], tags: Mapping[str, str]) -> Run:
    """The run of a row of ``RUN_COLUMNS``, from its tables ``run`` (r) and ``run_head`` (h)."""
    run_id, job_name, body, parent, root, plan, created, started, ended, status = row
    columns = Run(
        run_id=run_id,
        job_name=job_name,
        tags=tags,
        status=RunStatus(status),
        parent_run_id=parent,
        root_run_id=root,
        plan_id=plan,
        created_at=float(created),
        started_at=started,
        ended_at=ended,
    )
    return run_from_document(body, columns)


def _write_cursor(run: Run) -> str:
    return base64.urlsafe_b64encode(json.dumps([run.created_at, run.run_id]).encode()).decode()


def _read_cursor(text: str) -> tuple[float, str]:
    try:
        at, run_id = json.loads(base64.urlsafe_b64decode(text.encode()))
        return float(at), str(run_id)
    except (ValueError, TypeError) as e:
        raise DocumentError("not a cursor of `run list`", got=text[:60]) from e
