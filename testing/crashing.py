"""A database that kills its own process at a numbered call: for tests that crash a worker at every point where it matters.

Named in a dagster.yaml like any other storage::

    storage:
      custom:
        module: runplane.testing.crashing
        class: CrashingDatabase
        config: {database: /tmp/home/runplane.db, schema: runplane}

The number comes by the environment (``RUNPLANE_CRASH_AT``: 1 is the first call; odd numbers die before a call, even ones after it),
so that the instance is the same for the worker that dies and for the one that takes over. Without it the database is an ordinary one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config.pointer import ClassPointer, load_class
from ..storage.database import Database
from ..storage.dialect import Dialect, Outcome, Statement

CRASH_AT_ENV = "RUNPLANE_CRASH_AT"
STEP_CRASH_ENV = "RUNPLANE_STEP_CRASH_AT"
"""``<step key>:<number>``: the first attempt of that step dies at this numbered call of its database."""


class CrashingDatabase:
    """Counts transactions, and dies (SIGKILL) at the one that ``RUNPLANE_CRASH_AT`` names.

    Args:
        inner: the database that does the work.
        crash_at: 2 * k - 1 dies before the k-th transaction, 2 * k after it; 0 never dies.
    """

    def __init__(self, inner: Database, crash_at: int) -> None:
        self._inner = inner
        self._crash_at = crash_at
        self._calls = 0

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """``database``: the path of a SQLite file or the URL of a Postgres database; ``schema`` there."""
        return {"database": str, "schema": str}

    @classmethod
    def from_config_value(cls, _inst_data: Any, config: Mapping[str, Any]) -> CrashingDatabase:
        """Made by the instance."""
        crash_at = int(os.environ.get(CRASH_AT_ENV, "0"))
        if "://" not in config["database"]:
            made = load_class(ClassPointer("runplane.storage.sqlite", "SqliteDatabase"), where="CrashingDatabase")
            return cls(made(Path(config["database"])), crash_at)
        made = load_class(ClassPointer("runplane.storage.postgres", "PostgresDatabase"), where="CrashingDatabase")
        return cls(made(config["database"], schema=config["schema"]), crash_at)

    @property
    def dialect(self) -> Dialect:
        """See ``Database``."""
        return self._inner.dialect

    @property
    def where(self) -> str:
        """See ``Database``."""
        return self._inner.where

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        """The inner database's, with a death before or after it."""
        self._calls += 1
        self._die_at(2 * self._calls - 1)
        done = self._inner.transact(statements)
        self._die_at(2 * self._calls)
        return done

    def read(self, sql: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """See ``Database``."""
        return self._inner.read(sql, params)

    def wait_for_news(self, timeout_s: float) -> bool:
        """See ``Database``."""
        return self._inner.wait_for_news(timeout_s)

    def wait_for_queued(self, timeout_s: float) -> bool:
        """See ``Database``."""
        return self._inner.wait_for_queued(timeout_s)

    def release(self) -> None:
        """See ``Database``."""
        self._inner.release()

    def close(self) -> None:
        """See ``Database``."""
        self._inner.close()

    def _die_at(self, point: int) -> None:
        if point == self._crash_at:
            os.kill(os.getpid(), signal.SIGKILL)
