"""A run as its events tell it: where each step stands, what it waited for and what it worked, why it failed. Pure.

Fed one event at a time, so that a run of 10,000 steps is told without keeping its events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ..engine.snapshot import PlanSnapshot, StepPlan, mapped_key, mapping_key_of, template_key
from ..events.causes import FailureCause
from ..events.event import Event
from ..events.kinds import EventKind
from ..events.status import RunStatus


class StepStatus(str, Enum):
    """Where a step stands, in words for a person."""

    WAITING = "waiting"
    RUNNING = "running"
    LOST = "lost"
    """Its attempt ended without an outcome; what follows, another attempt or a failure, is the next event."""
    RETRYING = "waiting to be retried"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    SKIPPED = "skipped"
    NOT_RUN = "not run"

    def __str__(self) -> str:
        return self.value


@dataclass(slots=True)
class Attempt:
    """One attempt: when it was issued, claimed and began user code, and how it ended. Times in seconds since the epoch.

    `end`: body of the event that ended it; `end_written_at`: when that was written, by the step's clock. `pod`: what the log keeps of its pod. `printed`:
    what that printed last, if the attempt failed by itself.
    """

    n: int
    issued_at: float
    claimed_at: float | None = None
    began_at: float | None = None
    ended_at: float | None = None
    outcome: str | None = None
    end: Mapping[str, Any] = field(default_factory=dict)
    end_written_at: float | None = None
    pod: Mapping[str, Any] | None = None
    printed: str | None = None

    def works_from(self) -> float | None:
        """When its work began: the step's own clock where it lies between claim and outcome, else the claim."""
        if self.claimed_at is None or self.began_at is None:
            return self.claimed_at
        latest = self.ended_at if self.ended_at is not None else self.began_at
        return min(max(self.began_at, self.claimed_at), latest)


@dataclass(slots=True)
class StepStory:
    """One step.

    Attributes:
        key: its key; mapped steps have their own.
        attempts: in order.
        failure: body of the event that ended it badly, or of the newest retry.
        found: text metadata of its outputs that name a place: (label, path or URL).
    """

    key: str
    status: StepStatus = StepStatus.WAITING
    attempts: list[Attempt] = field(default_factory=list)
    failure: Mapping[str, Any] | None = None
    because: tuple[str, ...] = ()
    found: list[tuple[str, str]] = field(default_factory=list)

    @property
    def printed(self) -> str | None:
        """What the pod of its newest attempt printed last."""
        return self.attempts[-1].printed if self.attempts else None

    @property
    def ended_at(self) -> float | None:
        """When its newest attempt ended."""
        return self.attempts[-1].ended_at if self.attempts else None


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in which a step waited or worked."""

    works: bool
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length; never below zero, whatever two clocks say."""
        return max(0.0, self.end - self.start)


class RunStory:
    """A run.

    Args:
        plan: its plan, so that steps that nothing is known of yet are counted; None when it has none yet.
    """

    def __init__(self, plan: PlanSnapshot | None) -> None:
        self.steps: dict[str, StepStory] = {}
        self.status: RunStatus | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.now = 0.0
        self.end: Mapping[str, Any] = {}
        self.run_error: Mapping[str, Any] | None = None
        self.log_keys: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        self._plan: dict[str, StepPlan] = {step.key: step for step in plan.steps} if plan else {}
        for step in self._plan.values():
            if step.mapped_over is None:
                self.steps[step.key] = StepStory(step.key)

    def take(self, event: Event) -> StepStory | None:
        """Take the next event in; the step whose status it changed in a way that is worth telling, or None."""
        self.now = event.at
        if event.step is None:
            self._take_run(event)
            return None
        step = self.steps.setdefault(event.step, StepStory(event.step))
        before = step.status
        _STEP_EVENTS.get(event.kind, _nothing)(step, event)
        return step if step.status not in (before, StepStatus.LOST) else None

    def count(self, *statuses: StepStatus) -> int:
        """How many steps have one of these statuses."""
        return sum(1 for step in self.steps.values() if step.status in statuses)

    def in_state(self, status: StepStatus) -> list[StepStory]:
        """The steps of that status."""
        return [step for step in self.steps.values() if step.status is status]

    def spans(self, step: StepStory, now: float = 0.0) -> list[Span]:
        """What the step waited and worked, in order. It waits from the moment all that it takes from is there.

        Args:
            now: where what goes on ends; the newest event, when that is later.
        """
        found: list[Span] = []
        since = self._ready_at(step)
        for attempt in step.attempts:
            begin = attempt.works_from()
            end = attempt.ended_at if attempt.ended_at is not None else max(self.now, now)
            found.append(Span(False, since, end if begin is None else begin))
            if begin is not None:
                found.append(Span(True, begin, end))
            since = end
        return found

    def _ready_at(self, step: StepStory) -> float:
        first = step.attempts[0].issued_at if step.attempts else self.now
        ends = [self.started_at or first]
        plan = self._plan.get(template_key(step.key))
        for name in self._before(step.key, plan) if plan else ():
            source = self.steps.get(name)
            if source is not None and source.ended_at is not None:
                ends.append(source.ended_at)
        return min(max(ends), first)

    def _before(self, key: str, plan: StepPlan) -> Iterable[str]:
        mapping_key = mapping_key_of(key)
        for ref in [r for i in plan.inputs for r in i.sources] + ([plan.mapped_over] if plan.mapped_over else []):
            if mapping_key is not None and ref.step.endswith("[?]"):
                yield mapped_key(ref.step, mapping_key)
            elif ref.step.endswith("[?]"):
                yield from (k for k in self.steps if template_key(k) == ref.step)
            else:
                yield ref.step

    def _take_run(self, event: Event) -> None:
        kind, body = event.kind, event.body
        if kind in _STATUS_AFTER:
            self.status = _STATUS_AFTER[kind]
        if kind == EventKind.RUN_START:
            self.started_at = event.at
        elif self.status is not None and self.status.is_final and self.ended_at is None:
            self.ended_at = event.at
            self.end = body
            if kind == EventKind.RUN_FAILURE and body.get("error"):
                self.run_error = body["error"]
        elif kind == EventKind.LOGS_CAPTURED:
            self.log_keys.append((tuple(body["log_key"]), tuple(body.get("step_keys") or ())))


def story_of(plan: PlanSnapshot | None, events: Iterable[Event]) -> RunStory:
    """The story that these events tell."""
    story = RunStory(plan)
    for event in events:
        story.take(event)
    return story


def _nothing(_step: StepStory, _event: Event) -> None:
    """An event that does not change where the step stands."""


def _attempt(step: StepStory, event: Event) -> Attempt:
    """The attempt that the event is of; made when it is the first that is heard of it."""
    n = event.n or 1
    for attempt in reversed(step.attempts):
        if attempt.n == n:
            return attempt
    step.attempts.append(Attempt(n, event.at))
    return step.attempts[-1]


def _issued(step: StepStory, event: Event) -> None:
    _attempt(step, event)
    if step.status is StepStatus.LOST:
        step.status = StepStatus.RETRYING


def _claimed(step: StepStory, event: Event) -> None:
    _attempt(step, event).claimed_at = event.at
    step.status = StepStatus.RUNNING


def _began(step: StepStory, event: Event) -> None:
    _attempt(step, event).began_at = event.written_at


def _ended(status: StepStatus) -> Any:
    def take(step: StepStory, event: Event) -> None:
        if event.n:
            attempt = _attempt(step, event)
            attempt.outcome, attempt.end = event.kind, event.body
            attempt.end_written_at = event.written_at
            if attempt.ended_at is None:
                attempt.ended_at = event.at
        canceled = status is StepStatus.FAILED and event.body.get("cause") == FailureCause.CANCELED
        step.status = StepStatus.CANCELED if canceled else status
        step.failure = event.body if status in (StepStatus.FAILED, StepStatus.RETRYING) else None
        step.because = tuple(event.body.get("because") or ())

    return take


def _sealed(step: StepStory, event: Event) -> None:
    attempt = _attempt(step, event)
    attempt.outcome, attempt.end = event.kind, event.body
    attempt.ended_at = event.at
    canceled = event.body.get("cause") == FailureCause.CANCELED
    step.status = StepStatus.CANCELED if canceled else StepStatus.LOST
    step.failure = event.body


def _output(step: StepStory, event: Event) -> None:
    for label, value in (event.body.get("metadata") or {}).items():
        place = _place(value)
        if place is not None:
            step.found.append((label, place))


def _engine(step: StepStory, event: Event) -> None:
    if event.n and event.body.get("pod"):
        _attempt(step, event).pod = event.body["pod"]
    if event.n and event.body.get("evidence"):
        _attempt(step, event).printed = event.body["evidence"]


def _place(value: Any) -> str | None:
    """A metadata value that names a file or a page."""
    text = value.get("value", value.get("path", value.get("url"))) if isinstance(value, Mapping) else value
    if isinstance(text, str) and (text.startswith("/") or text.startswith(("http://", "https://", "file://"))):
        return text
    return None


_STATUS_AFTER: Mapping[str, RunStatus] = {
    EventKind.RUN_ENQUEUED.value: RunStatus.QUEUED,
    EventKind.RUN_STARTING.value: RunStatus.STARTING,
    EventKind.RUN_START.value: RunStatus.STARTED,
    EventKind.RUN_CANCELING.value: RunStatus.CANCELING,
    EventKind.RUN_CANCELED.value: RunStatus.CANCELED,
    EventKind.RUN_SUCCESS.value: RunStatus.SUCCESS,
    EventKind.RUN_FAILURE.value: RunStatus.FAILURE,
}
_STEP_EVENTS: Mapping[str, Any] = {
    EventKind.STEP_ISSUED.value: _issued,
    EventKind.STEP_WORKER_STARTED.value: _claimed,
    EventKind.STEP_START.value: _began,
    EventKind.STEP_RESTARTED.value: _began,
    EventKind.STEP_OUTPUT.value: _output,
    EventKind.STEP_SUCCESS.value: _ended(StepStatus.SUCCEEDED),
    EventKind.STEP_FAILURE.value: _ended(StepStatus.FAILED),
    EventKind.STEP_UP_FOR_RETRY.value: _ended(StepStatus.RETRYING),
    EventKind.STEP_SEALED.value: _sealed,
    EventKind.STEP_SKIPPED.value: _ended(StepStatus.SKIPPED),
    EventKind.STEP_ABANDONED.value: _ended(StepStatus.NOT_RUN),
    EventKind.ENGINE_EVENT.value: _engine,
}

STORY_KINDS: Sequence[str] = (*_STATUS_AFTER, *_STEP_EVENTS, EventKind.LOGS_CAPTURED.value)
"""All that a story is made of. What else a run's log holds (log lines, most of all) need not be read for it."""

CAUSE_WORDS: Mapping[str, str] = {
    FailureCause.USER_CODE.value: "its code raised an error",
    FailureCause.USER_RETRY.value: "its code asked for a retry, and none is left",
    FailureCause.FRAMEWORK.value: "it could not be prepared",
    FailureCause.CRASHED.value: "its process ended without an outcome",
    FailureCause.OUT_OF_MEMORY.value: "it ran out of memory",
    FailureCause.TIMED_OUT.value: "it exceeded its time limit",
    FailureCause.LOST.value: "its process was lost",
    FailureCause.EVICTED.value: "its pod was evicted, again and again",
    FailureCause.PREEMPTED.value: "its pod had to make room, again and again",
    FailureCause.NODE_LOST.value: "its node was lost, again and again",
    FailureCause.INTERRUPTED.value: "its process was told to end, again and again",
    FailureCause.LAUNCH_REFUSED.value: "it could not be started",
    FailureCause.START_TIMED_OUT.value: "it did not start in time",
    FailureCause.CANCELED.value: "it was canceled",
}
