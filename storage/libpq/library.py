"""Finds libpq, and declares what is used of it.

psycopg's binary distribution carries a libpq of its own; where psycopg was built from source, or is pure Python, the system has one.

Sources: https://www.postgresql.org/docs/current/libpq.html, https://www.psycopg.org/psycopg3/docs/basic/install.html.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from ctypes import POINTER, c_char_p, c_int, c_uint, c_void_p
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import UnsupportedError

OLDEST = 14_00_00
"""The first libpq with a pipeline mode; what ``PQlibVersion`` says of it."""
_SYSTEM = "libpq.5.dylib" if sys.platform == "darwin" else "libpq.so.5"
_HINT = "Install the driver: pip install 'runplane[postgres]', or the system's libpq 14 or newer (on Debian: libpq5)."


class Option(ctypes.Structure):
    """``PQconninfoOption``: one parameter of a connection string."""

    _fields_ = (
        ("keyword", c_char_p),
        ("envvar", c_char_p),
        ("compiled", c_char_p),
        ("val", c_char_p),
        ("label", c_char_p),
        ("dispchar", c_char_p),
        ("dispsize", c_int),
    )


class Library:
    """libpq's functions under their own names, less the ``PQ``.

    A connection or a result is a ``c_void_p``, text is bytes, a number an int, an array one of ctypes: so they are passed as what they
    are, and declaring each parameter as well would make a call take twice as long.

    Args:
        path: of the shared library, or its name for the system's loader.

    Raises:
        OSError: there is none.
        AttributeError: it has not all of these functions.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        # Used on connections that do not block: they return in less time than it takes to let another thread run meanwhile.
        quick = ctypes.PyDLL(path)
        # Wait for the network, or compute for long.
        waiting = ctypes.CDLL(path)

        self.lib_version = _function(quick, "PQlibVersion")
        self.conninfo_parse = _function(quick, "PQconninfoParse", POINTER(Option))
        self.conninfo_free = _function(quick, "PQconninfoFree", None)
        self.freemem = _function(quick, "PQfreemem", None)

        self.connect_start = _function(waiting, "PQconnectStartParams", c_void_p)
        self.connect_poll = _function(waiting, "PQconnectPoll")
        self.finish = _function(waiting, "PQfinish", None)
        self.setnonblocking = _function(quick, "PQsetnonblocking")
        self.set_notice_receiver = _function(quick, "PQsetNoticeReceiver", c_void_p)
        self.status = _function(quick, "PQstatus")
        self.socket = _function(quick, "PQsocket")
        self.backend_pid = _function(quick, "PQbackendPID")
        self.error_message = _function(quick, "PQerrorMessage", c_char_p)

        self.enter_pipeline_mode = _function(quick, "PQenterPipelineMode")
        self.exit_pipeline_mode = _function(quick, "PQexitPipelineMode")
        self.pipeline_sync = _function(quick, "PQpipelineSync")
        self.send_query = _function(quick, "PQsendQuery")
        self.send_prepare = _function(quick, "PQsendPrepare")
        self.send_query_params = _function(quick, "PQsendQueryParams")
        self.send_query_prepared = _function(quick, "PQsendQueryPrepared")
        self.flush = _function(quick, "PQflush")
        self.consume_input = _function(quick, "PQconsumeInput")
        self.is_busy = _function(quick, "PQisBusy")
        self.get_result = _function(quick, "PQgetResult", c_void_p)
        self.notifies = _function(quick, "PQnotifies", c_void_p)

        self.clear = _function(quick, "PQclear", None)
        self.result_status = _function(quick, "PQresultStatus")
        self.result_error_message = _function(quick, "PQresultErrorMessage", c_char_p)
        self.result_error_field = _function(quick, "PQresultErrorField", c_char_p)
        self.cmd_tuples = _function(quick, "PQcmdTuples", c_char_p)
        self.ntuples = _function(quick, "PQntuples")
        self.nfields = _function(quick, "PQnfields")
        self.ftype = _function(quick, "PQftype", c_uint)
        self.getisnull = _function(quick, "PQgetisnull")
        # Whatever is read as text has no NUL in it: its length need not be asked.
        self.getvalue = _function(quick, "PQgetvalue", c_char_p)


def _function(of: ctypes.CDLL, name: str, gives: Any = c_int) -> Callable[..., Any]:
    found: Any = of[name]
    found.restype = gives
    return found  # type: ignore[no-any-return]  # ctypes says nothing of what it loads


NOTICE_RECEIVER = ctypes.CFUNCTYPE(None, c_void_p, c_void_p)


@cache
def library() -> Library:
    """libpq, loaded once in a process.

    Raises:
        UnsupportedError: there is none, or it is too old.
    """
    tried: list[str] = []
    for path in _places():
        try:
            found = Library(path)
        except (OSError, AttributeError) as e:  # no such file; a function that it has not
            tried.append(f"{path}: {e}")
            continue
        version: int = found.lib_version()
        if version >= OLDEST:
            return found
        tried.append(f"{path}: it is of version {version // 10000}, and 14 is needed")
    raise UnsupportedError(f"no usable libpq, the client library of Postgres: {'; '.join(tried)}", hint=_HINT)


def _places() -> Iterator[str]:
    spec = find_spec("psycopg_binary")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        # Where the tools that pack wheels on Linux and on macOS put the libraries that a wheel needs.
        for folder in (package.parent / "psycopg_binary.libs", package / ".dylibs"):
            yield from sorted(str(path) for path in folder.glob("libpq[-.]*"))
    yield _SYSTEM
