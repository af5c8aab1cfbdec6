"""One connection to a server, that never blocks but where it says so.

Source: https://www.postgresql.org/docs/current/libpq-async.html
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Mapping, Sequence
from ctypes import c_char_p, c_int, c_uint, c_void_p
from typing import Any

from .answers import Answer, take
from .conninfo import attempts, parsed, timeout_of
from .failures import ConnectionFailedError, NoAnswerError, PostgresError
from .library import NOTICE_RECEIVER, Library, library

CONNECT_WITHIN_S = 10
_BAD = 1
_FAILED, _READING, _WRITING, _OPEN = 0, 1, 2, 3
_OURS = {
    "client_encoding": "UTF8",  # what is sent and read is encoded so, whatever the database's own encoding is
}


_DROPPED = NOTICE_RECEIVER(lambda *_: None)
"""For notices (`schema exists, skipping`), which libpq would print to stderr."""


class Connection:
    """A connection, open once ``open`` was called. Used by one thread at a time, and by the process that made it.

    Args:
        lib: the library.
        handle: its ``PGconn``, for which ``PQconnectStart`` was called.
    """

    def __init__(self, lib: Library, handle: c_void_p) -> None:
        self._lib = lib
        self._handle: c_void_p | None = handle
        self._pid = os.getpid()
        self._readable = select.poll()
        self._usable = select.poll()
        self.socket = -1

    def __del__(self) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether it was not closed here. A server that went away is found out when it is asked."""
        return self._handle is not None

    @property
    def backend_pid(self) -> int:
        """The server's process, or what a pooler says in its place."""
        pid: int = self._lib.backend_pid(self._opened())
        return pid

    def close(self) -> None:
        """Take leave of the server. Once is enough; a child of a fork takes no leave, since the connection is not its own."""
        handle, self._handle = self._handle, None
        if handle is not None and os.getpid() == self._pid:
            self._lib.finish(handle)

    def open(self, within_s: float) -> None:
        """Wait until the server has taken the connection.

        Raises:
            ConnectionFailedError: it did not.
            NoAnswerError: it said nothing within the time.
        """
        lib, handle = self._lib, self._opened()
        deadline = time.monotonic() + within_s
        state = _FAILED if lib.status(handle) == _BAD else _WRITING
        while state in (_READING, _WRITING):
            waiting = select.poll()  # libpq may change to another socket between two calls
            waiting.register(lib.socket(handle), select.POLLIN if state == _READING else select.POLLOUT)
            if not waiting.poll(max(deadline - time.monotonic(), 0.0) * 1000):
                raise NoAnswerError(f"no connection within {within_s:g} s")
            state = lib.connect_poll(handle)
        self._check(state == _OPEN)
        lib.setnonblocking(handle, 1)
        lib.set_notice_receiver(handle, _DROPPED, None)
        self.socket = lib.socket(handle)
        self._readable.register(self.socket, select.POLLIN)
        self._usable.register(self.socket, select.POLLIN | select.POLLOUT)

    def enter_pipeline(self) -> None:
        """Send what follows without waiting for answers.

        Raises:
            ConnectionFailedError: the connection is of no more use.
        """
        self._check(self._lib.enter_pipeline_mode(self._opened()))

    def leave_pipeline(self) -> None:
        """Undo ``enter_pipeline``, when all was answered.

        Raises:
            ConnectionFailedError: something was not.
        """
        self._check(self._lib.exit_pipeline_mode(self._opened()))

    def sync(self) -> None:
        """End a pipeline's transaction.

        Raises:
            ConnectionFailedError: the connection is of no more use.
        """
        self._check(self._lib.pipeline_sync(self._opened()))

    def send_prepare(self, name: bytes, sql: bytes, types: Sequence[int]) -> None:
        """Have a statement prepared under a name.

        Args:
            types: numbers of the parameters' types.

        Raises:
            ConnectionFailedError: the connection is of no more use.
        """
        count = len(types)
        self._check(self._lib.send_prepare(self._opened(), name, sql, count, (c_uint * count)(*types)))

    def send_prepared(self, name: bytes, values: Sequence[bytes | None], formats: Sequence[int]) -> None:
        """Run a prepared statement.

        Args:
            formats: 0 for a parameter that is text, 1 for one that is bytes.

        Raises:
            ConnectionFailedError: the connection is of no more use.
        """
        self._check(self._lib.send_query_prepared(self._opened(), name, *_parameters(values, formats)))

    def send(self, sql: bytes, values: Sequence[bytes | None], types: Sequence[int], formats: Sequence[int]) -> None:
        """Run a statement that is not prepared; see ``send_prepare`` and ``send_prepared``."""
        count, *others = _parameters(values, formats)
        numbers = (c_uint * count)(*types)
        self._check(self._lib.send_query_params(self._opened(), sql, count, numbers, *others))

    def next_answer(self, within_s: float) -> Answer | None:
        """The next answer; None ends those to one statement.

        Args:
            within_s: how long the server may be silent.

        Raises:
            NoAnswerError: it was silent for longer.
            ConnectionFailedError: the connection broke.
        """
        lib, handle = self._lib, self._opened()
        if lib.is_busy(handle):
            self._wait(handle, within_s)
        result: int | None = lib.get_result(handle)
        return None if result is None else take(lib, c_void_p(result))

    def script(self, sql: str, within_s: float) -> list[Answer]:
        """Run statements without parameters, ``;`` between them, in one transaction unless they say otherwise.

        Raises:
            RefusedError: one was refused, and those after it were not run.
            NoAnswerError, ConnectionFailedError: as in ``next_answer``.
        """
        self._check(self._lib.send_query(self._opened(), sql.encode()))
        answers: list[Answer] = []
        while (answer := self.next_answer(within_s)) is not None:
            answers.append(answer)
        for answer in answers:
            if answer.failure is not None:
                raise answer.failure
        return answers

    def forget_notifications(self) -> None:
        """Read what the server told and drop it.

        Raises:
            ConnectionFailedError: the connection broke.
        """
        handle = self._opened()
        self._check(self._lib.consume_input(handle))
        while (told := self._lib.notifies(handle)) is not None:
            self._lib.freemem(c_void_p(told))

    def _wait(self, handle: c_void_p, within_s: float) -> None:
        """Return when an answer is there. What is not sent yet is sent meanwhile."""
        lib = self._lib
        silent_at = time.monotonic() + within_s
        while True:
            unsent: int = lib.flush(handle)
            self._check(unsent >= 0)
            ready = (self._usable if unsent else self._readable).poll(max(silent_at - time.monotonic(), 0.0) * 1000)
            if not ready:
                raise NoAnswerError(f"no answer for {within_s:g} s")
            if any(state & ~select.POLLOUT for _, state in ready):
                self._check(lib.consume_input(handle))
                if not lib.is_busy(handle):
                    return

    def _opened(self) -> c_void_p:
        if self._handle is None:
            raise ConnectionFailedError("the connection is closed")
        return self._handle

    def _check(self, done: int) -> None:
        if not done:
            raise ConnectionFailedError(_message(self._lib, self._opened()))


def connect(conninfo: str, defaults: Mapping[str, str]) -> Connection:
    """Open a connection to the first server that takes it.

    Args:
        conninfo: a connection string or URL.
        defaults: parameters for those that it does not name.

    Raises:
        ConnectionFailedError: none did, with the reason of each.
    """
    params = {**defaults, **parsed(conninfo), **_OURS}
    within_s = timeout_of(params, CONNECT_WITHIN_S)
    failures: list[str] = []
    for attempt in attempts(params):
        try:
            return _connect(attempt, within_s)
        except PostgresError as e:
            failures.append(str(e))
    raise ConnectionFailedError("; ".join(dict.fromkeys(failures)))


def _connect(params: Mapping[str, str], within_s: float) -> Connection:
    lib = library()
    count = len(params) + 1  # a null ends each of the two
    names = (c_char_p * count)(*(name.encode() for name in params))
    values = (c_char_p * count)(*(value.encode() for value in params.values()))
    handle: int | None = lib.connect_start(names, values, 0)
    if handle is None:
        raise ConnectionFailedError("out of memory")
    connection = Connection(lib, c_void_p(handle))
    try:
        connection.open(within_s)
    except NoAnswerError as e:
        connection.close()
        where = params.get("hostaddr") or params.get("host") or "the local socket"
        raise NoAnswerError(f"{where}, port {params.get('port', 5432)}: {e}") from None
    except BaseException:
        connection.close()
        raise
    return connection


def _message(lib: Library, handle: c_void_p) -> str:
    said: bytes = lib.error_message(handle) or b""
    return said.decode(errors="replace").strip() or "the server closed the connection"


def _parameters(values: Sequence[bytes | None], formats: Sequence[int]) -> tuple[int, Any, Any, Any, int]:
    """How libpq takes parameters: how many, values, lengths, formats. The last of it asks for answers as text."""
    count = len(values)
    texts = (c_char_p * count)(*values)
    if 1 not in formats:
        return count, texts, None, None, 0
    lengths = (c_int * count)(*(len(value) if value is not None else 0 for value in values))
    return count, texts, lengths, (c_int * count)(*formats), 0
