"""Many statements in one round trip.

All messages up to one Sync are one transaction, without BEGIN and COMMIT: what a statement refuses undoes those before it, and
the answer to the Sync says that the transaction is stored.

Sources: https://www.postgresql.org/docs/current/libpq-pipeline-mode.html,
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .dialect import Outcome, Statement
from .libpq.connection import Connection
from .libpq.failures import ConnectionFailedError, PostgresError, RefusedError

PREPARED_AT_MOST = 200
_NAMED = re.compile(r"(?<!:):([a-z_]+)")
_INT8, _FLOAT8, _TEXT, _BYTEA = 20, 701, 25, 17


class Text(NamedTuple):
    """A statement with numbered places, and which parameter belongs to each."""

    sql: bytes
    names: tuple[str, ...]


_TEXTS: dict[str, Text] = {}


class Pipeline:
    """Sends statements over one connection.

    Args:
        connection: nobody else uses it while a call is under way.
        prepares: keep statements prepared on the server; not through a pooler, where the next transaction meets another server
            process.
        answer_within_s: how long the server may be silent.
    """

    def __init__(self, connection: Connection, *, prepares: bool, answer_within_s: float) -> None:
        self._connection = connection
        self._prepares = prepares
        self._answer_within_s = answer_within_s
        self._prepared: dict[tuple[str, tuple[int, ...]], bytes] = {}
        self._names_given = 0

    def run(self, statements: Sequence[Statement]) -> list[Outcome]:
        """One transaction.

        Raises:
            RefusedError: a statement was refused, and nothing of the transaction is stored.
            NoAnswerError, ConnectionFailedError: the transaction may be stored or not.

        After anything but a RefusedError the connection is of no more use: answers may be on their way.
        """
        connection = self._connection
        connection.enter_pipeline()
        expected: list[bool] = []
        made: list[tuple[str, tuple[int, ...]]] = []
        try:
            for statement in statements:
                self._send(statement, expected, made)
            connection.sync()
            outcomes = self._collect(expected)
        except RefusedError:
            # Which of them the server has come to prepare is not known; their names are not used again.
            for key in made:
                del self._prepared[key]
            connection.leave_pipeline()
            raise
        connection.leave_pipeline()
        return outcomes

    def _send(self, statement: Statement, expected: list[bool], made: list[tuple[str, tuple[int, ...]]]) -> None:
        sql, params = statement
        text = numbered(sql)
        values, types, formats = _encoded(text.names, params)
        connection = self._connection
        key = (sql, tuple(types))
        name = self._prepared.get(key)
        if name is None and self._prepares and len(self._prepared) < PREPARED_AT_MOST:
            self._names_given += 1
            name = self._prepared[key] = f"runplane_{self._names_given}".encode()
            made.append(key)
            connection.send_prepare(name, text.sql, types)
            expected.append(False)
        if name is not None:
            connection.send_prepared(name, values, formats)
        else:
            connection.send(text.sql, values, types, formats)
        expected.append(True)

    def _collect(self, expected: Sequence[bool]) -> list[Outcome]:
        """The answers, one by one; the answer to the Sync comes last."""
        next_answer, within_s = self._connection.next_answer, self._answer_within_s
        outcomes: list[Outcome] = []
        failed: PostgresError | None = None
        for is_statement in expected:
            answer = next_answer(within_s)
            if answer is None:
                raise ConnectionFailedError("the server closed the connection in the middle of a transaction")
            if answer.failure is not None:
                failed = failed or answer.failure
            elif is_statement:
                outcomes.append(Outcome(answer.matched, answer.rows))
            while next_answer(within_s) is not None:
                pass
        sync = next_answer(within_s)
        if sync is None:
            failed = failed or ConnectionFailedError("the server closed the connection")
        elif not sync.is_sync:  # the commit itself failed
            failed = (
                failed
                or sync.failure
                or ConnectionFailedError("the server did not say whether it stored the transaction")
            )
        if failed is not None:
            raise failed
        return outcomes


def numbered(sql: str) -> Text:
    """``:name`` -> ``$1``; texts are few and kept."""
    found = _TEXTS.get(sql)
    if found is None:
        names: dict[str, int] = {}
        text = _NAMED.sub(lambda m: f"${names.setdefault(m.group(1), len(names) + 1)}", sql)
        found = _TEXTS[sql] = Text(text.encode(), tuple(names))
    return found


def _encoded(names: Sequence[str], params: Mapping[str, Any]) -> tuple[list[bytes | None], list[int], list[int]]:
    values: list[bytes | None] = []
    types: list[int] = []
    formats: list[int] = []
    for name in names:
        value = params[name]
        form = 0
        if value is None:
            kind, raw = _TEXT, None
        elif type(value) is int:
            kind, raw = _INT8, b"%d" % value
        elif isinstance(value, float):
            kind, raw = _FLOAT8, repr(value).encode()
        elif isinstance(value, bytes):
            kind, raw, form = _BYTEA, value, 1
        else:
            kind, raw = _TEXT, value.encode()
        values.append(raw)
        types.append(kind)
        formats.append(form)
    return values, types, formats
