"""Sends the traces of runs that are over. They are told from the stored log, so that they are whole after ``kill -9``, and no worker and no step
loads anything for them.

A trace that was sent and not noted is sent again; its spans have the same ids then.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any, Protocol

from ..config.pointer import ClassPointer, load_class
from ..errors import NotFoundError, UnsupportedError
from ..events.trace_context import TRACING_ENV, is_traced
from ..instance.instance import Instance
from ..storage.traces import PendingTraces
from .contract import LoopContext, LoopReport
from .spans import Span, spans_of

AT_ONCE = 20
_NEEDS = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


class SpanSender(Protocol):
    """Takes spans to where they are looked at."""

    def send(self, spans: Sequence[Span]) -> bool:
        """Whether they were taken."""

    def close(self) -> None:
        """Nothing more will be sent."""


class TraceLoop:
    """The loop that sends traces; see ``DaemonLoop``.

    Args:
        sender: takes them.
    """

    name = "traces"
    interval_s = 5.0
    budget_s = 120.0
    is_leased = True
    wakes = False

    def __init__(self, sender: SpanSender) -> None:
        self._sender = sender

    def run_once(self, context: LoopContext) -> LoopReport:
        """Send what is there; what is not taken stays for the next pass."""
        instance, pending = context.instance, PendingTraces(context.instance.database)
        sent = 0
        run_ids = pending.ended(AT_ONCE)
        for run_id in run_ids:
            if context.stopping():
                break
            try:
                run = instance.runs.get(run_id)
            except NotFoundError:
                continue  # deleted meanwhile, and its tags with it
            if not self._sender.send(spans_of(run, instance.journal.history(run_id))):
                return LoopReport(sent, (f"the trace of run {run_id} was not taken; it is sent again later",))
            pending.sent(run_id)
            sent += 1
        return LoopReport(sent, again=len(run_ids) == AT_ONCE)

    def close(self) -> None:
        """Let go of the sender."""
        self._sender.close()


def trace_loop_of(instance: Instance) -> TraceLoop | None:
    """The loop that sends traces; None when the environment does not ask for it.

    Raises:
        UnsupportedError: OpenTelemetry is not installed.
    """
    if not is_traced(instance.env):
        return None
    missing = next((name for name in _NEEDS if not _is_there(name)), None)
    if missing is not None:
        raise UnsupportedError(
            f"tracing needs the package {missing!r}, which is not installed",
            where=TRACING_ENV,
            hint="Install it: pip install 'runplane[tracing]'",
        )
    sender: Any = load_class(ClassPointer("runplane.daemon.otlp", "OtlpSender"), where=TRACING_ENV)
    return TraceLoop(sender())


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
