"""The exception classes. The tree is drawn in the package's docstring."""

from __future__ import annotations

from .exit_codes import ExitCode
from .problems import Problem

_SENTENCE_ENDS = (".", "?", "!", ":", "\n")


class RunplaneError(Exception):
    """An error whose text is meant for the person who reads it.

    Args:
        message: one or two sentences: what happened.
        where: file, key path, run or step it happened at.
        got: what was found, as text.
        expected: what would have been right.
        nearest: the known name that comes closest.
        hint: what to do next.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        got: str | None = None,
        expected: str | None = None,
        nearest: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.message = message
        self.where = where
        self.got = got
        self.expected = expected
        self.nearest = nearest
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        if self.got is not None:
            text += f" (got {self.got})" if self.expected is None else f" (got {self.got}, expected {self.expected})"
        elif self.expected is not None:
            text += f" (expected {self.expected})"
        if (self.nearest or self.hint) and text[-1:] not in _SENTENCE_ENDS:
            text += "."
        if self.nearest:
            text += f" Did you mean {self.nearest!r}?"
        if self.hint:
            text += f" {self.hint}"
        return text


class DagsterError(RunplaneError):
    """Base of the errors that have a name in Dagster; the others are in ``definitions/errors.py``."""


class ConfigErrors(DagsterError):
    """All problems of one configuration document, each with its path. Its name in Dagster is ``DagsterInvalidConfigError``."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, problems: list[Problem], *, where: str) -> None:
        self.problems = problems
        many = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([many, *(f"  {p}" for p in problems)]), where=where)


class DocumentError(RunplaneError):
    """A request, stored document or event that can not be read."""

    exit_code = ExitCode.BAD_INPUT


class NotFoundError(RunplaneError):
    """No such run, job, step or file."""

    exit_code = ExitCode.BAD_INPUT


class ConflictError(RunplaneError):
    """The present state does not allow what was asked; the text tells the story so far."""


class FencedError(ConflictError):
    """The token is no longer the current one: somebody newer has the authority."""

    exit_code = ExitCode.FENCED


class StorageUnavailableError(RunplaneError):
    """The database does not answer. Nothing is known to be lost; the call may be repeated."""

    exit_code = ExitCode.DATABASE_UNREACHABLE


class UnsupportedError(RunplaneError):
    """Not here: a platform, a version, or a part that is not installed or not built yet."""

    exit_code = ExitCode.BAD_INPUT
