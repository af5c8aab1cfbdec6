"""What an attempt did when: queued, scheduling, pulling, starting, importing, loading inputs, user code, storing. From the log alone.

Kubernetes tells whole seconds, by clocks of its own: each phase begins where the one before it ended, and none is below zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..events.kinds import EventKind
from .story import Attempt, RunStory, StepStory

NAMES = ("queued", "scheduling", "pulling", "starting", "importing", "loading inputs", "user code", "storing")


def phases(story: RunStory, step: StepStory, attempt: Attempt) -> dict[str, float]:
    """Seconds of each phase that is over, in order. Those that are not told apart are left out: without a pod there is no scheduling and no
    pulling, and an attempt that failed tells no more than when it ended."""
    found: dict[str, float] = {}
    since = _ready_at(story, step, attempt)
    for name, until in _ends(attempt):
        if until is None:
            continue
        found[name] = max(0.0, until - since)
        since = max(since, until)
    return found


def attempt_to_json(story: RunStory, step: StepStory, attempt: Attempt) -> dict[str, Any]:
    """An attempt for programs."""
    failed = attempt.outcome is not None and attempt.outcome != EventKind.STEP_SUCCESS
    return {
        "attempt": attempt.n,
        "outcome": attempt.outcome,
        "cause": attempt.end.get("cause") if failed else None,
        "evidence": attempt.end.get("evidence", attempt.printed) if failed else None,
        "pod": dict(attempt.pod) if attempt.pod is not None else None,
        "phases_s": {name: round(value, 6) for name, value in phases(story, step, attempt).items()},
    }


def _ready_at(story: RunStory, step: StepStory, attempt: Attempt) -> float:
    """When it could have begun: all that it takes from was there, or the attempt before it had ended."""
    before = [one.ended_at for one in step.attempts if one.n < attempt.n and one.ended_at is not None]
    if before:
        return max(before)
    spans = story.spans(step)
    return spans[0].start if spans else attempt.issued_at


def _ends(attempt: Attempt) -> Iterator[tuple[str, float | None]]:
    """When each phase ended; None where that is not known."""
    pod: Mapping[str, Any] = attempt.pod or {}
    yield "queued", pod.get("created_at", attempt.issued_at)
    yield "scheduling", pod.get("scheduled_at")
    yield "pulling", pod.get("started_at")
    yield "starting", attempt.claimed_at
    yield "importing", attempt.works_from() if attempt.began_at is not None else None
    if attempt.outcome == EventKind.STEP_SUCCESS and "user_code_ms" in attempt.end and attempt.began_at is not None:
        loaded = (attempt.works_from() or attempt.began_at) + attempt.end["inputs_ms"] / 1000
        yield "loading inputs", loaded
        yield "user code", loaded + attempt.end["user_code_ms"] / 1000
        yield "storing", attempt.ended_at
    elif attempt.began_at is not None:
        yield "user code", attempt.ended_at


def attempts_in_pods(story: RunStory) -> list[tuple[StepStory, Attempt]]:
    """The attempts that had a pod, in the order in which they were issued."""
    found = [(step, one) for step in story.steps.values() for one in step.attempts if one.pod is not None]
    return sorted(found, key=lambda one: one[1].issued_at)
