"""What a server answers to one statement, read out of libpq's result at once, which is then given back.

Source: https://www.postgresql.org/docs/current/libpq-exec.html
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_void_p
from typing import Any, NamedTuple

from .failures import ConnectionFailedError, PostgresError, RefusedError
from .library import Library

COMMAND_OK, TUPLES_OK, PIPELINE_SYNC, _PIPELINE_ABORTED = 1, 2, 10, 11
_SQLSTATE = ord("C")
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
"""By the type's number; all others are text. Source: https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat"""


class Answer(NamedTuple):
    """One answer.

    Attributes:
        is_sync: it says that a pipeline's transaction is stored.
        matched: rows that the statement wrote or found.
        rows: the rows it returned.
        failure: why it was refused.
    """

    is_sync: bool
    matched: int
    rows: list[tuple[Any, ...]]
    failure: PostgresError | None


def take(lib: Library, result: c_void_p) -> Answer:
    """Read a result and free it."""
    try:
        status: int = lib.result_status(result)
        if status == TUPLES_OK:
            rows = _rows(lib, result)
            return Answer(False, len(rows), rows, None)
        if status == COMMAND_OK:
            return Answer(False, int(lib.cmd_tuples(result) or 0), [], None)
        if status == PIPELINE_SYNC:
            return Answer(True, 0, [], None)
        return Answer(False, 0, [], _failure(lib, result, status))
    finally:
        lib.clear(result)


def _rows(lib: Library, result: c_void_p) -> list[tuple[Any, ...]]:
    value, is_null = lib.getvalue, lib.getisnull
    columns = [(i, _READ_AS.get(lib.ftype(result, i), bytes.decode)) for i in range(lib.nfields(result))]
    rows = []
    for row in range(lib.ntuples(result)):
        cells: list[Any] = []
        for column, read_as in columns:
            raw = value(result, row, column)
            cells.append(read_as(raw) if raw or not is_null(result, row, column) else None)
        rows.append(tuple(cells))
    return rows


def _failure(lib: Library, result: c_void_p, status: int) -> PostgresError:
    if status == _PIPELINE_ABORTED:
        return ConnectionFailedError("the transaction was given up by the server")
    state: bytes | None = lib.result_error_field(result, _SQLSTATE)
    message = (lib.result_error_message(result) or b"").decode(errors="replace").strip()
    return RefusedError(message, state.decode() if state else None)
