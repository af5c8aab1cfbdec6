"""From what is seen of a Job to what is thought of it: a table, the first row that fits counts.

``docs/reference/causes.md`` is printed from it, and a test has a case for each row.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors.exit_codes import ExitCode
from ..events.causes import FailureCause
from .observed import (
    Json,
    Observed,
    condition,
    condition_is_false,
    ended_state,
    failed_init,
    has_run,
    is_being_deleted,
    main_status,
    name_of,
    waiting_state,
)
from .verdict import Health

CLEAR_REFUSALS = 3
"""How often the registry has to say that there is no such image."""
CONFIG_PATIENCE_S = 30.0
"""For how long a ConfigMap or Secret that a container needs may be missing."""

Matches = Callable[[Observed], str | None]


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: in a few words; events and docs name it.
        seen: what is observed, in Kubernetes' own words.
        health: what is thought of it.
        cause: what an end by it is counted as, and so which budget pays for another attempt.
        then: what runplane does.
        matches: the evidence, or None when the row does not fit.
    """

    name: str
    seen: str
    health: Health
    cause: FailureCause | None
    then: str
    matches: Matches


# What pods say ------------------------------------------------------------------------------------------------------------------


def _of_last(found: Callable[[Json], str | None]) -> Matches:
    """About the pod that tells the end; only when no other one may still run code."""
    return lambda o: None if o.live is not None or o.last is None else found(o.last)


def _of_live(found: Callable[[Json], str | None]) -> Matches:
    """About the newest pod that has not ended."""
    return lambda o: None if o.live is None else found(o.live)


def _disrupted(reason: str) -> Matches:
    def found(pod: Json) -> str | None:
        why = condition(pod, "DisruptionTarget")
        if why is None or why.get("reason") != reason:
            return None
        return f"pod {name_of(pod)}{_on_node(pod)}: {why.get('message') or reason}"

    return _of_last(found)


def _pod_reason(*reasons: str) -> Matches:
    def found(pod: Json) -> str | None:
        status = pod["status"]
        if not any(str(status.get("reason") or "").startswith(r) for r in reasons):
            return None
        return f"pod {name_of(pod)}{_on_node(pod)}: {status.get('reason')}: {status.get('message') or 'no message'}"

    return _of_last(found)


def _evicted(pod: Json) -> str | None:
    why = condition(pod, "DisruptionTarget") or {}
    status = pod["status"]
    if status.get("reason") != "Evicted" and why.get("reason") != "TerminationByKubelet":
        return None
    return (
        f"pod {name_of(pod)}{_on_node(pod)} was evicted: {status.get('message') or why.get('message') or 'no message'}"
    )


def _over_own_limit(pod: Json) -> str | None:
    text = _evicted(pod)
    return text if text is not None and "exceeds the total limit" in text else None


def _exit(fits: Callable[[int, str], bool], says: str) -> Matches:
    """About how the main container ended: exit code and reason."""

    def found(pod: Json) -> str | None:
        ended = ended_state(pod)
        if ended is None or not fits(int(ended.get("exitCode") or 0), str(ended.get("reason") or "")):
            return None
        told = [f"exit code {ended.get('exitCode')}", ended.get("reason") or "", ended.get("message") or ""]
        container = main_status(pod).get("name") or "main"
        return f"{says}: container {container} of pod {name_of(pod)}{_on_node(pod)}: {', '.join(filter(None, told))}"

    return _of_last(found)


def _init_failed(pod: Json) -> str | None:
    failed = failed_init(pod)
    if failed is None:
        return None
    name, ended = failed
    return (
        f"init container {name} of pod {name_of(pod)} failed: exit code {ended.get('exitCode')}, {ended.get('reason')}"
    )


def _other_failure(pod: Json) -> str | None:
    status = pod["status"]
    if status.get("phase") != "Failed":
        return None
    return f"pod {name_of(pod)}{_on_node(pod)} failed: {status.get('reason') or 'no reason'}: {status.get('message') or ''}"


def _vanished(o: Observed) -> str | None:
    if o.live is not None or o.last is None or o.last not in o.vanished or ended_state(o.last) is not None:
        return None
    return f"pod {name_of(o.last)}{_on_node(o.last)} was deleted while it was {o.last['status'].get('phase')}"


# What waits -----------------------------------------------------------------------------------------------------------------------


def _waits(fits: Callable[[Observed, str, str], bool], says: str) -> Matches:
    """About why a container waits."""

    def found(o: Observed) -> str | None:
        if o.live is None:
            return None
        waiting = waiting_state(o.live)
        reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
        if not reason or not fits(o, reason, message):
            return None
        return f"{says}: pod {name_of(o.live)}: {reason}{f': {message}' if message else ''}"

    return found


IMAGE_WAITS = ("ErrImagePull", "ImagePullBackOff")
_CLEAR = ("not found", "manifest unknown", "does not exist", "denied", "unauthorized", "forbidden")
_UNCLEAR = (
    "timeout",
    "timed out",
    "refused",
    "toomanyrequests",
    "too many requests",
    "no such host",
    "unreachable",
    "eof",
)


def is_clear_refusal(message: str) -> bool:
    """Whether the registry itself has said no: not a network that fails, nor a limit of requests."""
    text = message.lower()
    return any(word in text for word in _CLEAR) and not any(word in text for word in _UNCLEAR)


def image_refusals(events: Sequence[Json]) -> int:
    """How often events about a pod tell of a clear refusal of its image: for who has not watched the pod itself."""
    told = [e for e in events if e.get("reason") == "Failed" and is_clear_refusal(str(e.get("message") or ""))]
    return sum(int(e.get("count") or 1) for e in told if "pull" in str(e["message"]).lower())


def _unscheduled(pod: Json) -> str | None:
    why = condition_is_false(pod, "PodScheduled")
    if why is None or why.get("reason") not in ("Unschedulable", "SchedulingGated"):
        return None
    return f"pod {name_of(pod)} has no node: {why.get('message') or why.get('reason')}"


def _create_refused(quota: bool) -> Matches:
    def found(o: Observed) -> str | None:
        if o.live is not None or o.last is not None:
            return None
        told = [m for m in o.job_events("FailedCreate") if m]
        if not told or ("exceeded quota" in told[-1]) is not quota:
            return None
        final = (
            "denied the request",
            "violates PodSecurity",
            "is forbidden",
            "not found",
            "is invalid",
            "Invalid value",
        )
        if not quota and not any(word in told[-1] for word in final):
            return None
        return f"no pod can be made for the Job: {told[-1]}"

    return found


# What the Job says ----------------------------------------------------------------------------------------------------------------


def _ending(fits: Callable[[Observed, Json], bool], says: str) -> Matches:
    """The Job is on its way to its end, and a pod may still run code."""

    def found(o: Observed) -> str | None:
        if o.live is None or not fits(o, o.live):
            return None
        return f"{says}; pod {name_of(o.live)}{_on_node(o.live)} is not gone yet"

    return found


def _job_ended(kind: str, reason: str | None, says: str) -> Matches:
    def found(o: Observed) -> str | None:
        end = o.job_condition(kind)
        if o.live is not None or end is None or reason not in (None, end.get("reason")):
            return None
        return f"{says}: {end.get('reason') or kind}: {end.get('message') or ''}".rstrip(": ")

    return found


def _on_node(pod: Json) -> str:
    node = (pod.get("spec") or {}).get("nodeName")
    return f" on node {node}" if node else ""


def _killed(code: int, _reason: str) -> bool:
    return code > 128 and code - 128 in {s.value for s in signal.Signals}


_OVER = "is sealed; with budget left another attempt is issued"
_FAIL = "the Job is deleted, the step fails"
_WAIT = "an event each 60 s says why; limited by the start timeout and max_runtime"
_ENDING = "waited for: nothing is issued before it is gone"

ROWS: tuple[Row, ...] = (
    # A pod that may still run code decides before all else: nothing is gone while it lives.
    Row(
        "job deleted, pod lives",
        "the Job is not there, a pod of it has not ended",
        Health.ENDING,
        None,
        _ENDING,
        _ending(lambda o, pod: o.job is None, "its Job is not there any more"),
    ),
    Row(
        "job being deleted",
        "the Job has a `deletionTimestamp`, a pod has not ended",
        Health.ENDING,
        None,
        _ENDING,
        _ending(lambda o, pod: is_being_deleted(o.job), "its Job is being deleted"),
    ),
    Row(
        "job is failing",
        "condition `FailureTarget` (before `Failed`), a pod has not ended",
        Health.ENDING,
        None,
        _ENDING,
        _ending(lambda o, pod: o.job_condition("FailureTarget") is not None, "its Job is failing (FailureTarget)"),
    ),
    Row(
        "suspended, pod lives",
        "`spec.suspend`, a pod has not ended",
        Health.ENDING,
        None,
        _ENDING,
        _ending(lambda o, pod: o.is_suspended, "its Job was suspended"),
    ),
    Row(
        "pod being deleted",
        "the pod has a `deletionTimestamp` and has not ended; `status.failed` counts it already",
        Health.ENDING,
        None,
        _ENDING,
        _ending(lambda o, pod: is_being_deleted(pod), "its pod is being deleted"),
    ),
    # Pods that have not started.
    Row(
        "image name is wrong",
        "waiting: `InvalidImageName`, `ErrImageNeverPull`",
        Health.NEVER,
        FailureCause.LAUNCH_REFUSED,
        _FAIL,
        _waits(lambda o, reason, m: reason in ("InvalidImageName", "ErrImageNeverPull"), "the image can not be used"),
    ),
    Row(
        "image missing",
        f"waiting: `ErrImagePull` or `ImagePullBackOff`, and the registry said {CLEAR_REFUSALS} times that there is no such image or "
        "no right to it",
        Health.NEVER,
        FailureCause.LAUNCH_REFUSED,
        _FAIL,
        _waits(
            lambda o, reason, m: reason in IMAGE_WAITS and o.image_refusals >= CLEAR_REFUSALS,
            "the registry refused the image again and again",
        ),
    ),
    Row(
        "image not pulled yet",
        "waiting: `ErrImagePull` or `ImagePullBackOff`: fewer refusals, or a registry that does not answer",
        Health.NOT_YET,
        None,
        _WAIT,
        _waits(lambda o, reason, m: reason in IMAGE_WAITS, "the image could not be pulled yet"),
    ),
    Row(
        "container config missing",
        f"waiting: `CreateContainerConfigError` or `CreateContainerError`, for {CONFIG_PATIENCE_S:.0f} s (a ConfigMap, Secret or key is not there)",
        Health.NEVER,
        FailureCause.LAUNCH_REFUSED,
        _FAIL,
        _waits(
            lambda o, reason, m: reason.startswith("CreateContainer") and o.waiting_s >= CONFIG_PATIENCE_S,
            "the container can not be made",
        ),
    ),
    Row(
        "container config not there yet",
        "waiting: `CreateContainerConfigError` or `CreateContainerError`, for less",
        Health.NOT_YET,
        None,
        _WAIT,
        _waits(lambda o, reason, m: reason.startswith("CreateContainer"), "the container can not be made yet"),
    ),
    Row(
        "no node",
        "condition `PodScheduled` false: `Unschedulable`, `SchedulingGated`",
        Health.NOT_YET,
        None,
        _WAIT,
        _of_live(_unscheduled),
    ),
    Row(
        "starting",
        "a pod whose main container does not run yet",
        Health.NOT_YET,
        None,
        _WAIT,
        _of_live(lambda pod: None if has_run(pod) else f"pod {name_of(pod)}{_on_node(pod)} is starting"),
    ),
    Row(
        "running",
        "the main container runs",
        Health.ALIVE,
        None,
        "its outcome comes through the database",
        _of_live(lambda pod: f"pod {name_of(pod)}{_on_node(pod)} runs"),
    ),
    # No pod lives: the one that ended last says why.
    Row(
        "preempted",
        "DisruptionTarget: `PreemptionByScheduler`",
        Health.GONE,
        FailureCause.PREEMPTED,
        _OVER,
        _disrupted("PreemptionByScheduler"),
    ),
    Row(
        "suspended in mid-run",
        "`spec.suspend` (Kueue), and its pod is gone",
        Health.GONE,
        FailureCause.PREEMPTED,
        _OVER,
        lambda o: None if not o.is_suspended or o.live or o.last is None else "its Job was suspended while it ran",
    ),
    Row(
        "evicted on request",
        "DisruptionTarget: `EvictionByEvictionAPI` (a drain)",
        Health.GONE,
        FailureCause.EVICTED,
        _OVER,
        _disrupted("EvictionByEvictionAPI"),
    ),
    Row(
        "over its own disk limit",
        "reason `Evicted`, `... exceeds the total limit of containers`",
        Health.GONE,
        FailureCause.CRASHED,
        _OVER,
        _of_last(_over_own_limit),
    ),
    Row(
        "evicted by the node",
        "reason `Evicted`, or DisruptionTarget: `TerminationByKubelet` (memory, disk or process ids run short)",
        Health.GONE,
        FailureCause.EVICTED,
        _OVER,
        _of_last(_evicted),
    ),
    Row(
        "taint",
        "DisruptionTarget: `DeletionByTaintManager`",
        Health.GONE,
        FailureCause.EVICTED,
        _OVER,
        _disrupted("DeletionByTaintManager"),
    ),
    Row(
        "node lost",
        "DisruptionTarget: `DeletionByPodGC` (the node does not exist any more)",
        Health.GONE,
        FailureCause.NODE_LOST,
        _OVER,
        _disrupted("DeletionByPodGC"),
    ),
    Row(
        "node lost, older clusters",
        "pod reason `NodeLost`",
        Health.GONE,
        FailureCause.NODE_LOST,
        _OVER,
        _pod_reason("NodeLost"),
    ),
    Row(
        "node shut down",
        "pod reason `Terminated`, `NodeShutdown` or `Shutdown`",
        Health.GONE,
        FailureCause.NODE_LOST,
        _OVER,
        _pod_reason("Terminated", "NodeShutdown", "Shutdown"),
    ),
    Row(
        "turned away by the node",
        "pod reason `OutOf...`, `NodeAffinity`, `UnexpectedAdmissionError`",
        Health.GONE,
        FailureCause.LOST,
        _OVER,
        _pod_reason("OutOf", "NodeAffinity", "UnexpectedAdmissionError"),
    ),
    Row(
        "pod deadline",
        "pod reason `DeadlineExceeded` (`activeDeadlineSeconds`)",
        Health.GONE,
        FailureCause.TIMED_OUT,
        _OVER,
        _pod_reason("DeadlineExceeded"),
    ),
    Row(
        "out of memory, container killed",
        "reason `OOMKilled`, exit code 137",
        Health.GONE,
        FailureCause.OUT_OF_MEMORY,
        _OVER,
        _exit(
            lambda code, reason: reason == "OOMKilled" and code == 137, "memory ran out and the container was killed"
        ),
    ),
    Row(
        "out of memory, child killed",
        "reason `OOMKilled`, another exit code: a process under the worker was killed",
        Health.GONE,
        FailureCause.OUT_OF_MEMORY,
        _OVER,
        _exit(
            lambda code, reason: reason == "OOMKilled" and code != 0, "memory ran out and a process in it was killed"
        ),
    ),
    Row(
        "out of memory, exit 0",
        "reason `OOMKilled`, exit code 0",
        Health.GONE,
        FailureCause.OUT_OF_MEMORY,
        _OVER,
        _exit(lambda code, reason: reason == "OOMKilled", "memory ran out in the container"),
    ),
    Row(
        "image without runplane",
        "reason `StartError` or `ContainerCannotRun`, or exit code 126 or 127",
        Health.NEVER,
        FailureCause.LAUNCH_REFUSED,
        _FAIL,
        _exit(
            lambda code, reason: reason in ("StartError", "ContainerCannotRun") or code in (126, 127),
            "the image can not run the command; is runplane installed in it?",
        ),
    ),
    Row(
        "no instance in the pod",
        f"exit code {ExitCode.NO_INSTANCE}",
        Health.NEVER,
        FailureCause.LAUNCH_REFUSED,
        _FAIL,
        _exit(lambda code, reason: code == ExitCode.NO_INSTANCE, "the pod found no instance"),
    ),
    Row(
        "version skew",
        f"exit code {ExitCode.VERSION_SKEW}",
        Health.NEVER,
        FailureCause.LAUNCH_REFUSED,
        _FAIL,
        _exit(lambda code, reason: code == ExitCode.VERSION_SKEW, "the image is of another major version"),
    ),
    Row(
        "no database in the pod",
        f"exit code {ExitCode.DATABASE_UNREACHABLE}",
        Health.GONE,
        FailureCause.LOST,
        _OVER,
        _exit(lambda code, reason: code == ExitCode.DATABASE_UNREACHABLE, "the pod did not reach the database"),
    ),
    Row(
        "told to end",
        f"exit code {ExitCode.TERMINATED} (SIGTERM), and no cancel was asked for",
        Health.GONE,
        FailureCause.INTERRUPTED,
        _OVER,
        _exit(lambda code, reason: code == ExitCode.TERMINATED, "it was told to end"),
    ),
    Row(
        "killed",
        "exit code 137 (SIGKILL) without `OOMKilled`",
        Health.GONE,
        FailureCause.LOST,
        _OVER,
        _exit(lambda code, reason: code == 137, "it was killed from outside"),
    ),
    Row(
        "crashed by a signal",
        "exit code above 128",
        Health.GONE,
        FailureCause.CRASHED,
        _OVER,
        _exit(_killed, "it was ended by a signal"),
    ),
    Row(
        "crashed",
        "another exit code that is not 0",
        Health.GONE,
        FailureCause.CRASHED,
        _OVER,
        _exit(lambda code, reason: code != 0, "it ended without an outcome"),
    ),
    Row(
        "ended without an outcome",
        "exit code 0, and no outcome is stored",
        Health.GONE,
        FailureCause.LOST,
        _OVER,
        _exit(lambda code, reason: True, "it ended well and no outcome is stored"),
    ),
    Row(
        "init container failed",
        "an init container ended with another code than 0, and the pod failed",
        Health.GONE,
        FailureCause.CRASHED,
        _OVER,
        _of_last(_init_failed),
    ),
    Row(
        "pod failed",
        "phase `Failed` for any other reason",
        Health.GONE,
        FailureCause.LOST,
        _OVER,
        _of_last(_other_failure),
    ),
    Row(
        "pod deleted",
        "the pod was there and is not any more, and nothing says why",
        Health.GONE,
        FailureCause.LOST,
        _OVER,
        _vanished,
    ),
    # No pod has been seen.
    Row(
        "job gone",
        "the Job is not there, which a consistent read confirms, and none of its pods is",
        Health.GONE,
        FailureCause.LOST,
        _OVER,
        lambda o: "its Job is not there" if o.job is None and o.confirmed else None,
    ),
    Row(
        "job not seen",
        "the Job is not there as far as a cache knows, or the API server does not answer",
        Health.UNKNOWN,
        None,
        "asked again; nothing follows from it",
        lambda o: "its Job is not seen; that is not confirmed" if o.job is None else None,
    ),
    Row(
        "job complete",
        "condition `Complete`, no pod is left, and no outcome is stored",
        Health.GONE,
        FailureCause.LOST,
        _OVER,
        _job_ended("Complete", None, "its Job is complete and no outcome is stored"),
    ),
    Row(
        "job deadline",
        "condition `Failed`: `DeadlineExceeded` (`activeDeadlineSeconds`), no pod is left",
        Health.GONE,
        FailureCause.TIMED_OUT,
        _OVER,
        _job_ended("Failed", "DeadlineExceeded", "its Job ran out of time"),
    ),
    Row(
        "job failed",
        "condition `Failed`, no pod is left",
        Health.GONE,
        FailureCause.LOST,
        _OVER,
        _job_ended("Failed", None, "its Job failed"),
    ),
    Row(
        "suspended",
        "`spec.suspend` (Kueue), and it has had no pod",
        Health.NOT_YET,
        None,
        "waited for; its start timeout stands still",
        lambda o: "its Job is suspended" if o.is_suspended else None,
    ),
    Row(
        "quota full",
        "event `FailedCreate`: `exceeded quota`",
        Health.NOT_YET,
        None,
        _WAIT,
        _create_refused(quota=True),
    ),
    Row(
        "pod denied",
        "event `FailedCreate`: an admission check, the pod security standard, a service account that is not there",
        Health.NEVER,
        FailureCause.LAUNCH_REFUSED,
        _FAIL,
        _create_refused(quota=False),
    ),
    Row(
        "no pod yet",
        "a Job without a pod",
        Health.NOT_YET,
        None,
        _WAIT,
        lambda o: "its Job has no pod yet",
    ),
)
