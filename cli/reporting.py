"""``run report``: what is known of a run, gathered for its page."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from ..errors import UnsupportedError
from ..events.event import Event
from ..events.kinds import EventKind
from ..events.run import Run
from ..instance.instance import Instance
from ..storage.compute_logs import ComputeLogStore, LocalComputeLogStore, Stream
from ..storage.contract import RunFilter
from ..storage.excerpt import Excerpt
from .page.content import (
    LOG_BYTES,
    MOST_EVENTS,
    MOST_LOGS,
    MOST_METADATA,
    MOST_RELATIVES,
    Content,
    LogText,
    MetadataRow,
    Relative,
)
from .page.document import render
from .reading import plan_of, read_story
from .report import short
from .story import RunStory, StepStatus

_WITH_METADATA = (
    EventKind.STEP_OUTPUT,
    EventKind.ASSET_MATERIALIZATION,
    EventKind.ASSET_OBSERVATION,
    EventKind.ASSET_CHECK_EVALUATION,
    EventKind.STEP_EXPECTATION_RESULT,
)
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
"""Colours of a terminal, and what no page can show."""


def write_report(instance: Instance, run: Run, path: Path) -> None:
    """Write the page aside, then put it in its place. Raises OSError."""
    text = render(gather(instance, run, path.parent))
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def gather(instance: Instance, run: Run, folder: Path) -> Content:
    """Everything for the page.

    Args:
        folder: where the page will lie; pages of related runs that lie there are linked.
    """
    story = read_story(instance, run)
    excerpt = Excerpt(instance.database)
    events = excerpt.newest(run.run_id, MOST_EVENTS)
    metadata, metadata_in_all = _metadata(excerpt, run.run_id)
    relatives, relatives_in_all = _relatives(instance, run, folder)
    logs, logs_in_all = _logs(instance, story)
    return Content(
        run=run,
        story=story,
        plan=plan_of(instance, run),
        events=events,
        events_left_out=events[0].seq - 1 if events else 0,
        logs=logs,
        logs_left_out=logs_in_all - len(logs),
        metadata=metadata,
        metadata_left_out=metadata_in_all - len(metadata),
        relatives=relatives,
        relatives_left_out=relatives_in_all - len(relatives),
        now=time.time(),
        place=instance.database.where,
    )


def _metadata(excerpt: Excerpt, run_id: str) -> tuple[list[MetadataRow], int]:
    rows: list[MetadataRow] = []
    count = 0
    for event in excerpt.of_kinds(run_id, [kind.value for kind in _WITH_METADATA]):
        for row in _entries(event):
            count += 1
            if len(rows) < MOST_METADATA:
                rows.append(row)
    return rows, count


def _entries(event: Event) -> Iterator[MetadataRow]:
    body = event.body
    key = body.get("asset_key")
    asset = "/".join(key) if isinstance(key, list) else key
    of = body.get("output") if event.kind == EventKind.STEP_OUTPUT else asset or body.get("check_name") or event.kind
    for label, value in (body.get("metadata") or {}).items():
        yield MetadataRow(event.step or "", str(of), str(label), value)


def _relatives(instance: Instance, run: Run, folder: Path) -> tuple[list[Relative], int]:
    """The runs of the group, oldest first; none for a run that is alone."""
    root = run.root_run_id or run.run_id
    wanted = RunFilter(root_run_id=root)
    count = instance.runs.count(wanted)
    if not count:
        return [], 0
    runs = list(instance.runs.page(wanted, limit=MOST_RELATIVES - 1).runs)
    first = instance.runs.page(RunFilter(run_ids=(root,)), limit=1).runs
    ordered = [*first, *reversed(runs)]
    return [Relative(r, _page_of(r, folder)) for r in ordered], count + len(first)


def _page_of(run: Run, folder: Path) -> str | None:
    names = (f"{run.run_id}.html", f"{short(run.run_id)}.html")
    return next((name for name in names if (folder / name).exists()), None)


def _logs(instance: Instance, story: RunStory) -> tuple[list[LogText], int]:
    """The ends of the logs; of many those of steps that failed first."""
    try:
        store = instance.logs
    except UnsupportedError:
        return [], 0
    failed = {step.key for step in story.in_state(StepStatus.FAILED)}
    captures = sorted(story.log_keys, key=lambda capture: not failed.intersection(capture[1]))
    found: list[LogText] = []
    for key, steps in captures[:MOST_LOGS]:
        for stream in get_args(Stream):
            text, left_out = _end_of(store, key, stream)
            if text:
                name = ", ".join(steps[:5]) + (f" and {len(steps) - 5} more" if len(steps) > 5 else "")
                found.append(LogText(f"{name or 'run'}: std{stream}", text, left_out))
    return found, len(found) + max(0, len(captures) - MOST_LOGS)


def _near_end(store: ComputeLogStore, key: tuple[str, ...], stream: Stream) -> int:
    if not isinstance(store, LocalComputeLogStore):
        return 0
    file = store.path(key, stream)
    return max(0, file.stat().st_size - LOG_BYTES) if file.exists() else 0


def _end_of(store: ComputeLogStore, key: tuple[str, ...], stream: Stream) -> tuple[str, int]:
    """The last ``LOG_BYTES`` of a log, and how many came before. A store that is not of files says no length: it is read in pieces."""
    end, offset = b"", _near_end(store, key, stream)
    while chunk := store.read(key, stream, offset, 1 << 20).data:
        offset += len(chunk)
        end = (end + chunk)[-LOG_BYTES:]
    return _CONTROL.sub("", end.decode(errors="replace")), offset - len(end)
