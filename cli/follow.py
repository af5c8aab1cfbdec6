"""Events and logs of a run, to the end of what is there or to the end of the run."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import click

from ..engine.snapshot import template_key
from ..events.event import Event
from ..events.kinds import EventKind
from ..events.messages import default_message
from ..events.run import Run
from ..events.status import RunStatus
from ..instance.instance import Instance
from ..storage.compute_logs import KeptElsewhere, LogsUnavailableError, Stream
from .execute_here import LOOK_S, PAGE
from .job import say
from .report import coloured

LOG_LOOK_S = 0.1
TAIL_LOOKS = 10
"""How often logs that are kept elsewhere are looked at for their ends once the run is over."""
CHUNK_BYTES = 1 << 16
_BAD = {EventKind.STEP_FAILURE: RunStatus.FAILURE, EventKind.RUN_FAILURE: RunStatus.FAILURE}
_GOOD = {EventKind.STEP_SUCCESS: RunStatus.SUCCESS, EventKind.RUN_SUCCESS: RunStatus.SUCCESS}


def follow_events(instance: Instance, run_id: str, *, follow: bool) -> Iterator[Event]:
    """The events of a run; with `follow`, those to come too, until the run is over."""
    seen = 0
    while True:
        # Before the events: what was written until the end is then among them.
        is_over = instance.journal.head(run_id).status.is_final if follow else True
        page = instance.tail(run_id, seen, PAGE)
        yield from page
        if page:
            seen = page[-1].seq
        elif is_over:
            return
        else:
            instance.database.wait_for_news(LOOK_S)


def is_of(wanted: str | None, step: str | None) -> bool:
    """Whether a step is the wanted one, or is mapped from the wanted template; None wants all."""
    return wanted is None or (step is not None and wanted in (step, template_key(step)))


def print_event(run: Run, event: Event, *, as_document: bool) -> None:
    """One event on one line."""
    if as_document:
        click.echo(
            json.dumps(
                {
                    "seq": event.seq,
                    "at": event.at,
                    "written_at": event.written_at,
                    "kind": event.kind,
                    "step": event.step,
                    "attempt": event.n,
                    "body": event.body,
                },
                ensure_ascii=False,
            )
        )
        return
    clock = time.strftime("%H:%M:%S", time.localtime(event.at)) + f".{int(event.at % 1 * 1000):03d}"
    message = (
        event.body.get("message") or default_message(event.kind, run.job_name, event.step, event.n, event.body) or ""
    )
    of_step = f"{event.step}" + (f"#{event.n}" if event.n and event.n > 1 else "") if event.step else "-"
    kind = coloured(f"{event.kind:<22}", {**_BAD, **_GOOD}.get(EventKind(event.kind)) if event.kind in _KINDS else None)
    click.echo(f"{event.seq:>5}  {clock}  {kind}  {of_step:<16}  {message}".rstrip())


_KINDS = {kind.value for kind in EventKind}


class _Capture:
    """How far one capture was printed."""

    def __init__(self, key: Sequence[str], steps: Sequence[str], pod: str | None = None) -> None:
        self.key = tuple(key)
        self.title = ", ".join(steps)
        self.pod = pod
        self.offsets: dict[Stream, int] = {"out": 0, "err": 0}
        self.complete: set[Stream] = set()


class _Printer:
    """Copies what was captured to stdout and stderr, and says where it comes from when there are several captures."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._logs = instance.logs
        self._elsewhere = self._logs if isinstance(self._logs, KeptElsewhere) else None
        self._last: _Capture | None = None
        self._said = ""

    def pause(self) -> None:
        """Wait before the next look."""
        if self._elsewhere is None:
            self._instance.database.wait_for_news(LOG_LOOK_S)
        else:
            time.sleep(self._elsewhere.look_s)

    @property
    def tail_looks(self) -> int:
        """How often to look once more when the run is over: what is brought elsewhere comes later than the run's end."""
        return TAIL_LOOKS if self._elsewhere else 0

    def copy(self, capture: _Capture, *, patient: bool) -> bool:
        """Print what is new; whether there was something.

        Raises:
            LogsUnavailableError: the place of the logs does not answer, unless `patient`: then it is said once.
        """
        news = False
        for stream, target in (("out", sys.stdout.buffer), ("err", sys.stderr.buffer)):
            if stream in capture.complete:
                continue
            try:
                news |= self._copy(capture, stream, target)  # type: ignore[arg-type]
            except LogsUnavailableError as error:
                if not patient:
                    raise
                if self._said != str(error):
                    self._said = str(error)
                    say(click.style(f"==> {error} <==", dim=True))
        return news

    def _copy(self, capture: _Capture, stream: Stream, target: BinaryIO) -> bool:
        if capture.pod is not None:
            self._begin(capture)
            say(f"What was printed is in the log of the pod: kubectl logs {capture.pod}")
            capture.complete |= {"out", "err"}
            return True
        if self._elsewhere is not None and self._elsewhere.place_only:
            self._begin(capture)
            click.echo(self._elsewhere.place(capture.key, stream))
            capture.complete.add(stream)
            return True
        news = False
        while True:
            chunk = self._logs.read(capture.key, stream, capture.offsets[stream], CHUNK_BYTES)
            if chunk.complete:
                capture.complete.add(stream)
            if chunk.data:
                self._begin(capture)
                news = True
                target.write(chunk.data)
                target.flush()
                capture.offsets[stream] = chunk.next
            if chunk.complete or not chunk.data:
                return news

    def _begin(self, capture: _Capture) -> None:
        if self._last is not capture and capture.title:
            say(click.style(f"==> {capture.title} <==", dim=True))
        self._last = capture


def follow_logs(instance: Instance, run_id: str, *, step: str | None, follow: bool) -> None:
    """Print what steps printed; with `follow`, what they print until the run is over.

    Raises:
        LogsUnavailableError: without `follow`, the place of the logs does not answer.
    """
    captures: list[_Capture] = []
    printer = _Printer(instance)
    seen, looks_left = 0, printer.tail_looks
    while True:
        is_over = instance.journal.head(run_id).status.is_final if follow else True
        while page := instance.tail(run_id, seen, PAGE):
            seen = page[-1].seq
            captures += _announced(page, step)
        captures = [c for c in captures if len(c.complete) < len(c.offsets)]
        news = [printer.copy(capture, patient=follow) for capture in captures]
        if any(news):
            continue
        if is_over:
            # Of a step that was killed together with all who could say so, no end is ever marked.
            if not follow or not looks_left or all(len(c.complete) == len(c.offsets) for c in captures):
                return
            looks_left -= 1
        printer.pause()


def _announced(page: Sequence[Event], step: str | None) -> Iterator[_Capture]:
    for event in page:
        if event.kind == EventKind.LOGS_CAPTURED:
            steps = event.body.get("step_keys") or ([event.step] if event.step else [])
            if step is None or any(is_of(step, key) for key in steps):
                yield _Capture(event.body["log_key"], steps, event.body.get("pod"))
