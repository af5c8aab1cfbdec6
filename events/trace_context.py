"""The trace that a run belongs to, as a run's tag and as a variable of its steps. Text only: nothing of OpenTelemetry is loaded for it.

Ids of spans are not drawn but follow from what they are of, so that whoever writes a span, and whoever names it as a parent, means the same one.
Source of the form: https://www.w3.org/TR/trace-context/#traceparent-header
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from typing import NamedTuple

TRACING_ENV = "RUNPLANE_TRACING"
"""``1``: runs that this process submits are traced, and its daemon sends traces."""
TRACEPARENT_ENV = "TRACEPARENT"
"""What OpenTelemetry's tools read and set: https://opentelemetry.io/docs/specs/otel/context/env-carriers/"""
TRACEPARENT_TAG = "runplane/traceparent"
PENDING_TAG = ".runplane/trace_pending"
"""The run's trace has not been sent yet."""
_FORM = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


class Parent(NamedTuple):
    """A trace, and the span in it under which something stands. Hexadecimal, 32 and 16 digits."""

    trace_id: str
    span_id: str

    @property
    def text(self) -> str:
        """The form of the tag and of the variable."""
        return f"00-{self.trace_id}-{self.span_id}-01"


def is_traced(env: Mapping[str, str]) -> bool:
    """Whether a process with this environment takes part in tracing."""
    return env.get(TRACING_ENV, "").lower() in ("1", "true", "yes", "on")


def tags_for_trace(run_id: str, tags: Mapping[str, str], env: Mapping[str, str]) -> Mapping[str, str]:
    """The tags of a run that is submitted now, with what has it traced, if it is to be: in the trace of the run that it repeats, else in that of
    whoever submits it, else in one of its own."""
    if not is_traced(env):
        return tags
    given = parent_of(tags.get(TRACEPARENT_TAG)) or parent_of(env.get(TRACEPARENT_ENV))
    parent = given or Parent(uuid.UUID(run_id).hex, span_id(run_id))
    return {**tags, TRACEPARENT_TAG: parent.text, PENDING_TAG: "true"}


def parent_of(text: str | None) -> Parent | None:
    """What a tag or variable says; None when it says nothing that can be read."""
    found = _FORM.fullmatch(text or "")
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return None
    return Parent(found[1], found[2])


def span_id(run_id: str, *what: object) -> str:
    """The id of the span of a run, of a part of it, or of an attempt of a step (step key, n)."""
    named = "/".join(str(part) for part in (run_id, *what))
    return hashlib.sha1(named.encode(), usedforsecurity=False).hexdigest()[:16]


def step_parent(tags: Mapping[str, str], run_id: str, step: str, n: int) -> Parent | None:
    """What user code of an attempt stands under; None when the run is not traced."""
    trace = parent_of(tags.get(TRACEPARENT_TAG))
    return Parent(trace.trace_id, span_id(run_id, step, n)) if trace is not None else None
