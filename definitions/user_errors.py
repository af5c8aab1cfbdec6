"""Exceptions as data and as text, the way a user wants to see them: their own frames, the whole chain of causes.

Limits by environment variable, with Dagster's names: ``DAGSTER_EVENT_ERROR_FIELD_SIZE_LIMIT`` (characters of message and stack,
500000), ``DAGSTER_EVENT_ERROR_MAX_STACK_TRACE_DEPTH`` (how far the chain of causes is followed, 5),
``DAGSTER_REDACT_USER_CODE_ERRORS`` (``1``, ``true``, ``t``: what user code raised is replaced by an error id, and logged).
"""

from __future__ import annotations

import logging
import os
import traceback
import uuid
from types import TracebackType

from ..errors.base import RunplaneError
from ..events.causes import ErrorInfo

_PACKAGE = __name__.split(".", 1)[0]
_USERS_WITHIN = (f"{_PACKAGE}.examples", f"{_PACKAGE}.tests")
_CARRIERS = frozenset({"asyncio", "contextlib", "importlib", "runpy"})
_TRUNCATED = "(TRUNCATED)"
_BY_CAUSE = "The above exception was the direct cause of the following exception:"
_WHILE_HANDLING = "During handling of the above exception, another exception occurred:"
_CHAIN_CUT = "(Cause truncated due to size limitations)"


def error_info(error: BaseException) -> ErrorInfo:
    """`error` with its causes, our frames left out, cut to the limits."""
    if os.environ.get("DAGSTER_REDACT_USER_CODE_ERRORS", "").lower() in ("1", "true", "t") and _is_users(error):
        return _redacted(error)
    depth = _limit("DAGSTER_EVENT_ERROR_MAX_STACK_TRACE_DEPTH", 5)
    size = _limit("DAGSTER_EVENT_ERROR_FIELD_SIZE_LIMIT", 500_000)
    return _info(error, depth, size)


def _limit(name: str, default: int) -> int:
    """The variable's number; the default for anything else, because telling of the user's error comes first."""
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default


def error_text(info: ErrorInfo) -> str:
    """`info` as a person reads it in a terminal: the innermost cause last, as Python prints it."""
    parts = []
    cause = info.cause or info.context
    if cause is not None:
        parts += [error_text(cause), "", _BY_CAUSE if info.cause else _WHILE_HANDLING, ""]
    if info.stack:
        parts.append("Traceback (most recent call last):\n" + "".join(info.stack).rstrip("\n"))
    parts.append(info.message.rstrip("\n"))
    return "\n".join(parts)


def _info(error: BaseException, depth: int, size: int) -> ErrorInfo:
    cause = error.__cause__
    context = None if cause is not None or error.__suppress_context__ else error.__context__
    return ErrorInfo(
        message=_cut("".join(traceback.format_exception_only(type(error), error)), size),
        stack=_cut_lines(_stack(error), size),
        cls_name=type(error).__name__,
        cause=_next(cause, depth, size),
        context=_next(context, depth, size),
    )


def _next(error: BaseException | None, depth: int, size: int) -> ErrorInfo | None:
    if error is None:
        return None
    return ErrorInfo(_CHAIN_CUT) if depth <= 0 else _info(error, depth - 1, size)


def _stack(error: BaseException) -> list[str]:
    """The lines of the traceback that are not ours. An error of ours that is no message for a user keeps them all: it is a bug."""
    frames = list(traceback.walk_tb(error.__traceback__))
    theirs = [pair for pair in frames if not _is_ours(pair[0].f_globals.get("__name__", ""))]
    # Between our frame and the first of the user's stand those of the library through which we call.
    while theirs and theirs[0][0].f_globals.get("__name__", "").split(".")[0] in _CARRIERS:
        del theirs[0]
    if not theirs and not isinstance(error, RunplaneError) and _raised_here(error.__traceback__):
        theirs = frames
    return list(traceback.StackSummary.extract(iter(theirs)).format())


def _raised_here(tb: TracebackType | None) -> bool:
    """Whether the last frame is one of ours (an exception that user code raised by `raise` has its own frame last)."""
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    return tb is not None and _is_ours(tb.tb_frame.f_globals.get("__name__", ""))


def _is_ours(module: str) -> bool:
    return module.split(".", 1)[0] == _PACKAGE and not module.startswith(_USERS_WITHIN)


def _is_users(error: BaseException) -> bool:
    """Whether something in the chain was raised by user code."""
    seen: BaseException | None = error
    while seen is not None:
        if any(not _is_ours(f.f_globals.get("__name__", "")) for f, _ in traceback.walk_tb(seen.__traceback__)):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _redacted(error: BaseException) -> ErrorInfo:
    error_id = str(uuid.uuid4())
    logging.getLogger(os.environ.get("DAGSTER_REDACTED_ERROR_LOGGER_NAME", "dagster.redacted_errors")).error(
        "Error occurred during user code execution, error ID %s", error_id, exc_info=error
    )
    return ErrorInfo(
        message=(
            f"Error occurred during user code execution, error ID {error_id}. The error has been masked to prevent leaking "
            "sensitive information. Search in logs for this error ID for more details."
        ),
        cls_name="DagsterRedactedUserCodeError",
    )


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[:size]} {_TRUNCATED}"


def _cut_lines(lines: list[str], size: int) -> tuple[str, ...]:
    kept: list[str] = []
    for line in lines:
        if size - len(line) < 0:
            kept.append(_TRUNCATED)
            break
        size -= len(line)
        kept.append(line)
    return tuple(kept)
