"""Failures that end a run before its first step."""

from __future__ import annotations

from ..definitions import code_loading
from ..definitions.user_errors import error_info
from ..errors import RunplaneError
from ..events.causes import ErrorInfo


class CodeLoadError(RunplaneError):
    """The user's code can not be loaded. `error` is the user's own error, our frames left out."""

    def __init__(self, error: ErrorInfo) -> None:
        self.error = error
        super().__init__(f"the job's code can not be loaded: {error.message.strip()}")

    @classmethod
    def from_exception(cls, error: BaseException) -> CodeLoadError:
        """The error of an import that failed in this process."""
        return cls(error.error if isinstance(error, code_loading.CodeLoadError) else error_info(error))
