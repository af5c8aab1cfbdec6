"""What differs between the two databases' SQL: a few expressions. Everything else is written once, in ``rules.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..serdes.record import record


class Statement(NamedTuple):
    """One statement of a transaction; parameters are named ``:name`` in the text."""

    sql: str
    params: dict[str, Any]


class Outcome(NamedTuple):
    """What a statement did: rows matched, and the rows it returned (if it returns any)."""

    matched: int
    rows: list[tuple[Any, ...]]


@record
class Dialect:
    """SQL fragments of one database.

    Attributes:
        name: ``sqlite`` or ``postgresql``.
        prefix: put before every table name (``"runplane".``, or nothing).
        now: the database's time, seconds since the epoch.
        greatest: name of the function that returns its largest argument.
        numbers_feed: whether a transaction may number its feed rows itself, since writers are alone.
        notify: an expression that wakes waiting readers when the transaction commits; the parameter ``:run`` is the run.
        tell_queue: an expression that wakes workers who wait for steps; the column ``q.queue`` is the queue.
        lock_rows: what makes a SELECT lock its rows until the end of the transaction; SQLite's writers are alone anyway.
    """

    name: str
    prefix: str
    now: str
    greatest: str
    lock_rows: str
    numbers_feed: bool
    notify: str
    tell_queue: str

    def rows(self, param: str, columns: Sequence[tuple[str, str]]) -> str:
        """A table expression: the JSON array of arrays in parameter `param`, as rows with an `ord` from 1.

        Args:
            columns: name and type (``text``, ``int``, ``real``) of each position.
        """
        return self.rows_of(f":{param}", columns)

    def rows_of(self, json: str, columns: Sequence[tuple[str, str]]) -> str:
        """The same for the JSON array that the SQL expression `json` gives."""
        if self.name == "sqlite":
            picks = ", ".join(f"json_extract(value, '$[{i}]') AS {name}" for i, (name, _) in enumerate(columns))
            return f"(SELECT key + 1 AS ord, {picks} FROM json_each({json}))"
        types = {"text": "", "int": "::int", "real": "::float8"}
        picks = ", ".join(f"(j.value->>{i}){types[kind]} AS {name}" for i, (name, kind) in enumerate(columns))
        return f"(SELECT j.ord, {picks} FROM jsonb_array_elements(CAST({json} AS jsonb)) WITH ORDINALITY j(value, ord))"

    def field(self, json: str, name: str) -> str:
        """The text of one field of the JSON object that the SQL expression `json` gives; NULL when it has none."""
        if self.name == "sqlite":
            return f"json_extract({json}, '$.{name}')"
        return f"(CAST({json} AS jsonb)->>'{name}')"


SQLITE = Dialect("sqlite", "", "now_s()", "max", "", True, "0", "0")


def postgresql(schema: str) -> Dialect:
    """The dialect of a Postgres database whose tables stand in `schema`."""
    return Dialect(
        "postgresql",
        f"{quoted(schema)}.",
        "extract(epoch from clock_timestamp())::float8",
        "greatest",
        " FOR UPDATE",
        False,
        f"pg_notify({literal(schema)}, :run)",
        f"pg_notify({literal(queue_channel(schema))}, q.queue)",
    )


def quoted(name: str) -> str:
    """A name as Postgres takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as Postgres takes it, whatever is in it."""
    return "'" + text.replace("'", "''") + "'"


def queue_channel(schema: str) -> str:
    """The channel on which workers are told of queues. A name may have 63 bytes; two schemas that share one are woken for each other."""
    return f"{schema.encode()[:50].decode(errors='ignore')} queues"
