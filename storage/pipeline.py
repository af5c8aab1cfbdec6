"""Many statements in one round trip, over libpq itself.

psycopg's own pipeline spends more time in Python on a statement than the server does on running it; the driver's usual batch took
twice as long through it. What is used here of libpq is its documented interface, as psycopg offers it in ``psycopg.pq``.

All messages up to one Sync are one transaction, without BEGIN and COMMIT: what a statement refuses undoes those before it, and
the answer to the Sync says that the transaction is stored.

Sources: https://www.postgresql.org/docs/current/libpq-pipeline-mode.html,
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING.
"""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from psycopg import errors, pq
from psycopg.pq import ExecStatus

from .dialect import Outcome, Statement

PREPARED_AT_MOST = 200
_NAMED = re.compile(r"(?<!:):([a-z_]+)")
_INT8, _FLOAT8, _TEXT, _BYTEA = 20, 701, 25, 17
_READ_AS: dict[int, Callable[[bytes], Any]] = {
    16: lambda raw: raw == b"t",
    20: int,
    21: int,
    23: int,
    700: float,
    701: float,
    1700: float,
    17: lambda raw: bytes.fromhex(raw[2:].decode("ascii")),
}
_GOOD = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.SINGLE_TUPLE)


class Text(NamedTuple):
    """A statement with numbered places, and which parameter belongs to each."""

    sql: bytes
    names: tuple[str, ...]


class NoAnswerError(Exception):
    """The server said nothing within the time."""


_TEXTS: dict[str, Text] = {}


class Pipeline:
    """Sends statements over one connection.

    Args:
        pgconn: an idle, non-blocking connection. Nobody else uses it while a call is under way.
        prepares: keep statements prepared on the server; not through a pooler, where the next transaction meets another server
            process.
        answer_within_s: how long the server may be silent.
    """

    def __init__(self, pgconn: pq.abc.PGconn, *, prepares: bool, answer_within_s: float) -> None:
        self._pgconn = pgconn
        self._prepares = prepares
        self._answer_within_s = answer_within_s
        self._prepared: dict[tuple[str, tuple[int, ...]], bytes] = {}
        self._names_given = 0
        self._poll = select.poll()
        self._poll.register(pgconn.socket, select.POLLIN)
        self._poll_both = select.poll()
        self._poll_both.register(pgconn.socket, select.POLLIN | select.POLLOUT)

    def run(self, statements: Sequence[Statement]) -> list[Outcome]:
        """One transaction.

        Raises:
            psycopg.Error: a statement was refused, and nothing of the transaction is stored.
            NoAnswerError, psycopg.OperationalError: the connection is of no more use, and the transaction may be stored or not.
        """
        pgconn = self._pgconn
        pgconn.enter_pipeline_mode()
        expected: list[bool] = []
        made: list[tuple[str, tuple[int, ...]]] = []
        for statement in statements:
            self._send(statement, expected, made)
        pgconn.pipeline_sync()
        try:
            outcomes = self._collect(expected)
        except errors.Error:
            # Which of them the server has come to prepare is not known; their names are not used again.
            for key in made:
                del self._prepared[key]
            raise
        finally:
            if (
                pgconn.status == pq.ConnStatus.OK
                and pgconn.pipeline_status != pq.PipelineStatus.OFF
                and not pgconn.is_busy()
            ):
                pgconn.exit_pipeline_mode()
        return outcomes

    def _send(self, statement: Statement, expected: list[bool], made: list[tuple[str, tuple[int, ...]]]) -> None:
        sql, params = statement
        text = numbered(sql)
        values, types, formats = _encoded(text.names, params)
        pgconn = self._pgconn
        key = (sql, tuple(types))
        name = self._prepared.get(key)
        if name is None and self._prepares and len(self._prepared) < PREPARED_AT_MOST:
            self._names_given += 1
            name = self._prepared[key] = f"runplane_{self._names_given}".encode()
            made.append(key)
            pgconn.send_prepare(name, text.sql, types)
            expected.append(False)
        if name is not None:
            pgconn.send_query_prepared(name, values, formats)
        else:
            pgconn.send_query_params(text.sql, values, types, formats)
        expected.append(True)

    def _collect(self, expected: Sequence[bool]) -> list[Outcome]:
        """The answers, one by one; the answer to the Sync comes last."""
        outcomes: list[Outcome] = []
        failed: Exception | None = None
        for is_statement in expected:
            result = self._next_result()
            if result is None:
                raise errors.OperationalError("the server closed the connection in the middle of a transaction")
            if result.status not in _GOOD:
                failed = failed or _error_of(result)
            elif is_statement and failed is None:
                outcomes.append(_outcome_of(result))
            while self._next_result() is not None:
                pass
        sync = self._next_result()
        if sync is None or sync.status != ExecStatus.PIPELINE_SYNC:
            # The commit itself failed.
            failed = failed or (
                _error_of(sync) if sync is not None else errors.OperationalError("the server closed the connection")
            )
        if failed is not None:
            raise failed
        return outcomes

    def _next_result(self) -> pq.abc.PGresult | None:
        pgconn = self._pgconn
        if pgconn.is_busy():
            silent_at = time.monotonic() + self._answer_within_s
            while True:
                unsent = pgconn.flush()
                left = silent_at - time.monotonic()
                ready = (self._poll_both if unsent else self._poll).poll(max(left, 0.0) * 1000)
                if not ready:
                    raise NoAnswerError(f"no answer for {self._answer_within_s:g} s")
                if any(state & ~select.POLLOUT for _, state in ready):
                    pgconn.consume_input()
                    if not pgconn.is_busy():
                        break
        return pgconn.get_result()


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


def _outcome_of(result: pq.abc.PGresult) -> Outcome:
    if result.status == ExecStatus.COMMAND_OK:
        return Outcome(result.command_tuples or 0, [])
    get = result.get_value
    columns = [(i, _READ_AS.get(result.ftype(i))) for i in range(result.nfields)]
    rows = []
    for row in range(result.ntuples):
        cells = []
        for column, read_as in columns:
            raw = get(row, column)
            cells.append(None if raw is None else read_as(raw) if read_as else raw.decode())
        rows.append(tuple(cells))
    return Outcome(result.command_tuples if result.command_tuples is not None else len(rows), rows)


def _error_of(result: pq.abc.PGresult) -> errors.Error:
    """The error of a refused statement, as psycopg would raise it."""
    if result.status == ExecStatus.PIPELINE_ABORTED:
        return errors.OperationalError("the transaction was given up by the server")
    message = (result.error_message or b"").decode(errors="replace").strip()
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    kind: type[errors.Error] = errors.OperationalError
    if state is not None:
        try:
            kind = errors.lookup(state.decode())
        except KeyError:
            kind = errors.DatabaseError
    return kind(message)
