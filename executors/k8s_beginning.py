"""An attempt until its pod runs: its Job is created, or handed over by another coordinator; what keeps it from starting is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from ..errors import ConfigErrors
from ..events.causes import FailureCause
from ..kube.adoption import NameTakenError, Placed
from ..kube.errors import KubeError, KubeForbiddenError, KubeQuotaError, KubeRefusedError, KubeUnavailableError
from ..kube.verdict import Verdict
from .k8s_attempt import Attempt, End
from .k8s_attempts import Attempts, next_pause
from .k8s_calls import JobCalls
from .k8s_refused_creates import READ_S, RefusedCreates

NOTE_S = 60.0
"""Between two events that say why an attempt has not started."""
NO_POD_S = 3.0
"""From when on a Job without a pod is remarkable."""
FORBIDDEN_TRIES = 3


class Beginning:
    """See the module. All in the attempts' one thread.

    Args:
        attempts, calls: of the runner.
        creates: why Jobs have no pod.
        note: takes what a person should know.
    """

    def __init__(
        self, attempts: Attempts, calls: JobCalls, creates: RefusedCreates, note: Callable[[Attempt, str], None]
    ) -> None:
        self._attempts = attempts
        self._calls = calls
        self._creates = creates
        self._note = note

    # Creating ---------------------------------------------------------------------------------------------------------------------

    def place(self, attempt: Attempt) -> None:
        """Create its Job when it is time for that."""
        if (left := attempt.not_before - time.monotonic()) > 0:
            self._attempts.look_in(attempt, left)
        else:
            self._attempts.call(
                attempt, lambda: self._calls.place(attempt), lambda result: self._on_placed(attempt, result)
            )

    def _on_placed(self, attempt: Attempt, result: Placed | KubeError | ConfigErrors) -> None:
        if isinstance(result, Placed):
            attempt.job, attempt.pause_s = result.job, 0.0
            if attempt.end is not None:
                self._note(attempt, f"Deleting Kubernetes job {attempt.job_name} for step")
            self._attempts.look(attempt)
        elif isinstance(result, (KubeUnavailableError, KubeQuotaError)):
            attempt.may_be_there = attempt.may_be_there or isinstance(result, KubeUnavailableError)
            self._try_later(attempt, result)
        elif (isinstance(result, KubeForbiddenError) and self._may_change(attempt, result)) or (
            isinstance(result, KubeRefusedError) and attempt.may_be_there and not isinstance(result, NameTakenError)
        ):
            self._try_later(attempt, result)
        else:
            end = attempt.end or End(FailureCause.LAUNCH_REFUSED, is_refusal=True)
            attempt.end = replace(end, evidence=end.evidence or f"Its Job can not be created: {result}")
            attempt.may_be_there = False
            self._attempts.look(attempt)

    def _may_change(self, attempt: Attempt, error: KubeForbiddenError) -> bool:
        """A role that was taken away for a moment, and not an admission check that says no."""
        attempt.refusals += 1
        return error.hint is not None and attempt.refusals < FORBIDDEN_TRIES

    def _try_later(self, attempt: Attempt, error: KubeError) -> None:
        asked = error.retry_after_s if isinstance(error, KubeUnavailableError) else None
        attempt.not_before = time.monotonic() + (asked or next_pause(attempt))
        if attempt.end is None:
            self._waits(attempt, f"its Job is not created yet: {error}")
        self._attempts.look(attempt)

    # Owners -----------------------------------------------------------------------------------------------------------------------

    def own(self, attempt: Attempt) -> bool:
        """Hand the Job over before anything else is done about it. False: that can not be tried now."""
        if (left := attempt.own_not_before - time.monotonic()) > 0:
            self._attempts.look_in(attempt, left)
            return False
        self._attempts.call(
            attempt, lambda: self._calls.give_owner(attempt), lambda result: self._on_owned(attempt, result)
        )
        return True

    def _on_owned(self, attempt: Attempt, result: bool | KubeError) -> None:
        if isinstance(result, KubeUnavailableError):
            attempt.own_not_before = time.monotonic() + next_pause(attempt)
        else:
            attempt.needs_owner, attempt.pause_s = False, 0.0
        if isinstance(result, KubeRefusedError):
            text = f"Kubernetes job {attempt.job_name} could not be given its new owner; it may go with the former one: {result}"
            self._note(attempt, text)
        self._attempts.look(attempt)

    # Waiting ----------------------------------------------------------------------------------------------------------------------

    def not_yet(self, attempt: Attempt, verdict: Verdict) -> None:
        """Its pod does not run yet: see that it is told why, and that it does not take too long."""
        now = time.monotonic()
        if verdict.row == "suspended":
            attempt.held_since = attempt.held_since or now
        elif attempt.held_since is not None:
            attempt.held_s += now - attempt.held_since
            attempt.held_since = None
        has_no_pod = verdict.row in ("no pod yet", "quota full")
        if has_no_pod and now - attempt.since > NO_POD_S and self._creates.are_due():
            self._attempts.elsewhere(self._creates.read, self._on_refused_creates)
        if not self._waits(attempt, verdict.evidence):
            return
        left = NOTE_S - (now - (attempt.noted_at or attempt.since))
        if attempt.start_timeout_s is not None and attempt.held_since is None:
            left = min(left, attempt.start_timeout_s - attempt.waited_s(now))
        if has_no_pod:
            left = min(left, READ_S if now - attempt.since > NO_POD_S else NO_POD_S)
        if verdict.row == "container config not there yet":
            left = min(left, READ_S)
        self._attempts.look_in(attempt, max(left, 0.05))

    def _waits(self, attempt: Attempt, why: str) -> bool:
        """Say now and then why it does not start. False when its time is over."""
        now = time.monotonic()
        if attempt.start_timeout_s is not None and attempt.waited_s(now) >= attempt.start_timeout_s:
            limit = f"it did not start within {attempt.start_timeout_s:.0f} seconds: {why}"
            attempt.end = End(FailureCause.START_TIMED_OUT, limit)
            self._attempts.look(attempt)
            return False
        if now - (attempt.noted_at or attempt.since) >= NOTE_S:
            attempt.noted_at = now
            self._note(
                attempt, f"Step {attempt.ref.step} has not started after {now - attempt.since:.0f} seconds: {why}"
            )
        return True

    def _on_refused_creates(self, names: list[str]) -> None:
        for name in names:
            self._attempts.changed(name)
