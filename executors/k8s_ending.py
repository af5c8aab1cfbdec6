"""The Job of an attempt that is to end, or that may be gone: deleted, and asked for until a consistent read says what is left."""

from __future__ import annotations

import time

from ..kube.errors import KubeError
from ..kube.observed import Observed
from .k8s_attempt import Attempt
from .k8s_attempts import Attempts, next_pause
from .k8s_calls import JobCalls

CHECK_S = 30.0
"""Between two consistent reads of something that is ending, or that the watch does not show."""


class Ending:
    """See the module. All in the attempts' one thread.

    Args:
        attempts, calls: of the runner.
    """

    def __init__(self, attempts: Attempts, calls: JobCalls) -> None:
        self._attempts = attempts
        self._calls = calls

    def delete(self, attempt: Attempt) -> None:
        """Delete its Job with its pods, once."""
        if attempt.deleted_at is not None:
            self.check_later(attempt)
        elif (left := attempt.not_before - time.monotonic()) > 0:
            self._attempts.look_in(attempt, left)
        else:
            self._attempts.call(
                attempt, lambda: self._calls.delete(attempt), lambda result: self._on_deleted(attempt, result)
            )

    def _on_deleted(self, attempt: Attempt, result: Observed | KubeError) -> None:
        if isinstance(result, KubeError):
            attempt.not_before = time.monotonic() + next_pause(attempt)
        else:
            attempt.deleted_at, attempt.confirmed, attempt.pause_s = time.monotonic(), result, 0.0
        self._attempts.look(attempt)

    def check_later(self, attempt: Attempt) -> None:
        """The watch tells when it is over; if that is deaf, a consistent read does."""
        left = attempt.not_before - time.monotonic()
        if attempt.not_before and left <= 0:
            attempt.not_before = 0.0
            self.confirm(attempt)
            return
        if not attempt.not_before:
            attempt.not_before = time.monotonic() + CHECK_S
        self._attempts.look_in(attempt, attempt.not_before - time.monotonic())

    def confirm(self, attempt: Attempt) -> None:
        """Have a consistent read say what is there."""
        if (left := attempt.not_before - time.monotonic()) > 0 and attempt.pause_s:
            self._attempts.look_in(attempt, left)
            return
        self._attempts.call(
            attempt, lambda: self._calls.confirm(attempt), lambda result: self._on_confirmed(attempt, result)
        )

    def _on_confirmed(self, attempt: Attempt, result: Observed | KubeError) -> None:
        if isinstance(result, KubeError):
            # Unknown is not gone.
            attempt.not_before = time.monotonic() + next_pause(attempt)
            self._attempts.look_in(attempt, attempt.not_before - time.monotonic())
            return
        attempt.pause_s = attempt.not_before = 0.0
        attempt.confirmed = result
        self._attempts.look(attempt)
