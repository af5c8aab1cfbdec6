"""What a failure's cause is called, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Mapping

from ..events.causes import FailureCause, RunFailureReason

_STEP: Mapping[str, str] = {
    FailureCause.USER_CODE.value: "Mend the code; the last lines of the traceback are yours.",
    FailureCause.USER_RETRY.value: "Mend what made it ask for a retry, or allow more of them (max_retries).",
    FailureCause.FRAMEWORK.value: "Look at the error: an input, a resource or an output of the step could not be prepared or kept.",
    FailureCause.CRASHED.value: "Look at what it printed last. A signal such as SIGSEGV points at native code.",
    FailureCause.OUT_OF_MEMORY.value: "Give it more memory, or run fewer steps at once (max_concurrent of the executor).",
    FailureCause.TIMED_OUT.value: "Look at what it printed last; allow it more time by the op's tag runplane/timeout.",
    FailureCause.LOST.value: "Nothing says that the code is at fault. Run it again.",
    FailureCause.EVICTED.value: "Look at the evidence: give it the memory or disk that it needs as a request, so that its node keeps room for it.",
    FailureCause.PREEMPTED.value: "Give it a priority class under which it is let run, or run it when there is room.",
    FailureCause.NODE_LOST.value: "Nothing says that the code is at fault. Run it again; look at the node when it goes on.",
    FailureCause.INTERRUPTED.value: "Find out who ends its process: a drain, a deploy, a script.",
    FailureCause.START_TIMED_OUT.value: "Look at the evidence: room in the cluster, image, quota; or allow it more time (runplane/start_timeout).",
    FailureCause.LAUNCH_REFUSED.value: "Look at the error: whoever starts the step's process refuses it and will go on refusing.",
    FailureCause.CANCELED.value: "It was told to stop. Run it again when it is wanted.",
}
_RUN: Mapping[str, str] = {
    RunFailureReason.JOB_INITIALIZATION_FAILURE.value: "Look at the error: the executor could not be made from its config.",
    RunFailureReason.RUN_EXCEPTION.value: "Look at the error: a resource of the run could not be made, or runplane has a fault.",
    RunFailureReason.RUN_WORKER_RESTART.value: "Its process went away again and again: look at what it printed, and at its memory.",
    RunFailureReason.START_TIMEOUT.value: "Its process never came up: look at its launcher.",
    RunFailureReason.UNEXPECTED_TERMINATION.value: "Its process was told to end. Run it again.",
    RunFailureReason.VERSION_SKEW.value: "Use one version of runplane in all images of the run.",
}


def step_advice(failure: Mapping[str, object] | None) -> str | None:
    """What to do about a step's failure; None when its cause is not known here."""
    return _STEP.get(str((failure or {}).get("cause")))


def run_advice(tags: Mapping[str, str]) -> str | None:
    """What to do about a run's failure that is no step's."""
    return _RUN.get(tags.get("dagster/failure_reason", ""))
