"""Spans to a collector, by OTLP over HTTP. Where it is, and what it wants, is said by OpenTelemetry's own variables (``OTEL_EXPORTER_OTLP_ENDPOINT``,
``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_SERVICE_NAME``, ``OTEL_RESOURCE_ATTRIBUTES``, ...).

Loaded only when tracing is asked for.
Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from .. import __version__
from .spans import Span

SERVICE = "runplane"
"""The service's name, unless OTEL_SERVICE_NAME says another."""
AT_ONCE = 512


class OtlpSender:
    """Sends spans; see ``SpanSender``.

    Args:
        exporter: takes them; None: a collector, as the environment says.
    """

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        self._exporter = exporter or OTLPSpanExporter()
        self._resource = Resource.create({} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": SERVICE})
        self._scope = InstrumentationScope("runplane", __version__)

    def send(self, spans: Sequence[Span]) -> bool:
        """Whether they were taken."""
        made = [self._readable(span) for span in spans]
        parts = (made[at : at + AT_ONCE] for at in range(0, len(made), AT_ONCE))
        return all(self._exporter.export(part) is SpanExportResult.SUCCESS for part in parts)

    def close(self) -> None:
        """Let go of the connection."""
        self._exporter.shutdown()

    def _readable(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            span.name,
            context=_context(span.trace_id, span.span_id),
            parent=_context(span.trace_id, span.parent_id) if span.parent_id is not None else None,
            resource=self._resource,
            attributes=dict(span.attributes),
            events=[Event(what, timestamp=_ns(at)) for at, what in span.events],
            kind=SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.error) if span.error is not None else Status(StatusCode.OK),
            start_time=_ns(span.began),
            end_time=_ns(span.ended),
            instrumentation_scope=self._scope,
        )


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
