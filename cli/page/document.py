"""The page: one document that needs nothing else, no network and no script."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from importlib import resources
from typing import Any

from ... import __version__
from ...definitions.user_errors import error_text
from ...events.causes import ErrorInfo
from ...events.event import Event
from ...events.messages import default_message
from ...events.status import RunStatus
from ..advice import run_advice, step_advice
from ..metadata_text import failure_metadata, metadata_text
from ..phases import NAMES, attempts_in_pods, phases
from ..report import at, cause_words, next_command, of_user, seconds, short
from ..story import Attempt, RunStory, StepStatus, StepStory
from . import graph, timeline
from .content import MESSAGE_CHARACTERS, MOST_FAILURES, MOST_ROWS, TEXT_CHARACTERS, Content, LogText
from .markup import Child, Markup, cut, element
from .words import badge, more

_BAD_KINDS = frozenset({"STEP_FAILURE", "RUN_FAILURE", "STEP_SEALED"})
_WARN_KINDS = frozenset({"STEP_UP_FOR_RETRY", "RUN_CANCELING", "RUN_CANCELED", "RUN_RESUMED"})
_GOOD_KINDS = frozenset({"STEP_SUCCESS", "RUN_SUCCESS"})
Section = tuple[str, str, Sequence[Child]]


def render(content: Content) -> str:
    """The whole document."""
    sections = [s for s in _sections(content) if s[2]]
    style, script = _file("style.css"), _file("script.js")
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content=f"runplane {__version__}"),
        element("title", f"{content.run.job_name} {short(content.run.run_id)}: {_status(content)}"),
        element("style", Markup(style)),
    )
    body = element(
        "body",
        element("main", _header(content, sections), [_section(*s) for s in sections], _footer(content)),
        element("script", Markup(script)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _sections(content: Content) -> Iterator[Section]:
    yield "failures", "Why it failed", _failures(content)
    yield "graph", "Graph", [_counts(content), *graph.draw(content.plan, content.story)]
    yield "timeline", "Timeline", timeline.timeline(content.story, content.now)
    yield "pods", "Pods", _pods(content)
    yield "logs", "What the steps printed", _logs(content)
    yield "metadata", "Metadata", _metadata(content)
    yield "events", "Events", _events(content)
    yield "group", "Runs of the same group", _group(content)
    yield "config", "Configuration", _config(content)


def _section(name: str, title: str, children: Sequence[Child]) -> Markup:
    return element(
        "section", element("h2", title, id=f"{name}-title"), children, id=name, aria_labelledby=f"{name}-title"
    )


# Head and foot ---------------------------------------------------------------------------------------------------------------


def _status(content: Content) -> RunStatus:
    return content.story.status or content.run.status


def _header(content: Content, sections: Sequence[Section]) -> Markup:
    run, story, status = content.run, content.story, _status(content)
    begun, ended = story.started_at, story.ended_at
    took = seconds((ended or content.now) - begun) if begun else "–"
    facts: list[tuple[str, Child]] = [
        ("started", at(begun) if begun else "–"),
        ("ended", at(ended) if ended else "goes on" if begun else "–"),
        ("took", took),
        ("steps", f"{len(story.steps):,}"),
        ("attempts", f"{sum(len(s.attempts) for s in story.steps.values()):,}"),
        ("next", element("code", next_command(run, story))),
    ]
    links = [element("li", element("a", title, href=f"#{name}")) for name, title, _ in sections]
    return element(
        "header",
        element("h1", run.job_name, " ", badge(status)),
        element("p", "Run ", element("span", run.run_id, class_="mono"), class_="id"),
        element("dl", [element("div", element("dt", k), element("dd", v)) for k, v in facts], class_="facts"),
        element("nav", element("ul", links), aria_label="Sections"),
    )


def _footer(content: Content) -> Markup:
    zone = time.strftime("%Z (UTC%z)", time.localtime(content.now))
    return element(
        "footer", f"Made by runplane {__version__} from {content.place}, {at(content.now)}. All times are {zone}."
    )


def _counts(content: Content) -> Markup:
    pills = [badge(s, f"{content.story.count(s):,} {s}") for s in StepStatus if content.story.count(s)]
    return element("div", pills, class_="pills")


# Failures --------------------------------------------------------------------------------------------------------------------


def _failures(content: Content) -> list[Child]:
    failed = content.story.in_state(StepStatus.FAILED)
    found: list[Child] = [_failed_step(step, is_open=n < 3) for n, step in enumerate(failed[:MOST_FAILURES])]
    found.append(more(len(failed) - MOST_FAILURES if len(failed) > MOST_FAILURES else 0, "failed steps"))
    if _status(content) is RunStatus.FAILURE and not failed:
        message = str(content.story.end.get("message") or "The run failed.")
        found.append(
            _card(
                "The run",
                message,
                content.run.tags.get("dagster/failure_reason"),
                run_advice(content.run.tags),
                content.story.run_error,
            )
        )
    return [child for child in found if child is not None]


def _failed_step(step: StepStory, *, is_open: bool) -> Markup:
    failure = step.failure or {}
    attempts = f", attempt {step.attempts[-1].n}" if len(step.attempts) > 1 else ""
    return _card(
        f"Step {step.key}{attempts}",
        cause_words(failure),
        str(failure.get("cause") or "unknown"),
        step_advice(failure),
        failure.get("error"),
        said=failure_metadata(failure),
        printed=step.printed,
        is_open=is_open,
    )


def _card(
    title: str,
    words: str,
    cause: str | None,
    advice: str | None,
    error: Mapping[str, Any] | None,
    *,
    said: Sequence[tuple[str, str]] = (),
    printed: str | None = None,
    is_open: bool = True,
) -> Markup:
    text = error_text(of_user(ErrorInfo.from_body(error))) if error else None
    return element(
        "article",
        element("h3", f"{title}: {words}", class_="bad"),
        element("p", "Cause: ", element("code", cause), ".", f" {advice}" if advice else "", class_="advice")
        if cause
        else None,
        element(
            "dl",
            [element("div", element("dt", label), element("dd", _value(text))) for label, text in said],
            class_="facts",
        )
        if said
        else None,
        element("details", element("summary", "Error"), element("pre", cut(text, TEXT_CHARACTERS)), open=is_open)
        if text
        else None,
        element("details", element("summary", "Printed last"), element("pre", cut(printed, TEXT_CHARACTERS)))
        if printed
        else None,
        class_="card",
    )


# Pods ------------------------------------------------------------------------------------------------------------------------


def _pods(content: Content) -> list[Child]:
    """Where attempts ran in a cluster, and how long each phase took. Told from the log: their pods may be gone."""
    found = attempts_in_pods(content.story)
    if not found:
        return []
    rows = [_pod(content.story, step, attempt) for step, attempt in found[:MOST_ROWS]]
    return [_table(("step", "pod", "node", *NAMES), rows, "Pods"), more(max(0, len(found) - MOST_ROWS), "attempts")]


def _pod(story: RunStory, step: StepStory, attempt: Attempt) -> Markup:
    pod, took = attempt.pod or {}, phases(story, step, attempt)
    number = f" (attempt {attempt.n})" if len(step.attempts) > 1 else ""
    return element(
        "tr",
        element("th", f"{step.key}{number}", scope="row", class_="key"),
        element("td", str(pod.get("pod", "–")), class_="mono"),
        element("td", str(pod.get("node", "–"))),
        [element("td", seconds(took[name]) if name in took else "–", class_="number") for name in NAMES],
    )


# The other sections ----------------------------------------------------------------------------------------------------------


def _logs(content: Content) -> list[Child]:
    if not content.logs:
        return []
    parts: list[Child] = [element("button", "Open or close all", type="button", data_fold="logs", hidden=True)]
    parts += [_log(log) for log in content.logs]
    parts.append(more(content.logs_left_out, "logs", f"runplane run logs {short(content.run.run_id)}"))
    return parts


def _log(log: LogText) -> Markup:
    before = f"… {log.left_out:,} bytes before this\n" if log.left_out else ""
    return element("details", element("summary", log.title, class_="mono"), element("pre", before + log.text))


def _metadata(content: Content) -> list[Child]:
    if not content.metadata:
        return []
    rows = [
        element(
            "tr",
            element("th", row.step, scope="row", class_="key"),
            element("td", row.of),
            element("td", row.label),
            element("td", _value(row.value), class_="message"),
        )
        for row in content.metadata
    ]
    return [_table(("step", "of", "label", "value"), rows, "Metadata"), more(content.metadata_left_out, "entries")]


def _value(value: object) -> Child:
    """A metadata value: what a richer one holds, an address as a link."""
    if isinstance(value, Mapping) and value.get("__class__") == "TimestampMetadataValue":
        return at(value.get("value"))
    text = metadata_text(value)
    if text.startswith(("http://", "https://")):
        return element("a", text, href=text, rel="noopener noreferrer")
    return cut(text, MESSAGE_CHARACTERS)


def _events(content: Content) -> list[Child]:
    rows = [_event(content, event) for event in content.events]
    line = element(
        "p",
        element("label", "Filter ", for_="filter"),
        element("input", id="filter", type="search"),
        element("span", id="filter-count", role="status", class_="more"),
        class_="filter",
        id="filter-line",
        hidden=True,
    )
    earlier = f"runplane run events {short(content.run.run_id)}"
    table = _table(("", "time", "kind", "step", "message"), rows, "Events", body_id="event-rows")
    return [more(content.events_left_out, "events before these", earlier), line, table]


def _event(content: Content, event: Event) -> Markup:
    clock = time.strftime("%H:%M:%S", time.localtime(event.at)) + f".{int(event.at % 1 * 1000):03d}"
    message = event.body.get("message") or default_message(
        event.kind, content.run.job_name, event.step, event.n, event.body
    )
    kind = str(event.kind)
    colour = "bad" if kind in _BAD_KINDS else "warn" if kind in _WARN_KINDS else "good" if kind in _GOOD_KINDS else None
    step = f"{event.step}#{event.n}" if event.step and event.n and event.n > 1 else event.step or ""
    return element(
        "tr",
        element("td", event.seq, class_="number"),
        element("td", clock, class_="number"),
        element("td", element("span", kind, class_=colour)),
        element("td", step, class_="key"),
        element("td", cut(str(message or ""), MESSAGE_CHARACTERS), class_="message"),
    )


def _group(content: Content) -> list[Child]:
    if not content.relatives:
        return []
    rows = []
    for relative in content.relatives:
        run = relative.run
        name: Child = element("code", run.run_id)
        is_this = run.run_id == content.run.run_id
        relation = (
            "this run"
            if is_this
            else "the run that this one repeats"
            if run.run_id == content.run.parent_run_id
            else "repeats this run"
            if run.parent_run_id == content.run.run_id
            else ""
        )
        rows.append(
            element(
                "tr",
                element("td", element("a", name, href=relative.href) if relative.href and not is_this else name),
                element("td", badge(run.status)),
                element("td", at(run.created_at)),
                element("td", relation),
            )
        )
    return [
        _table(("run", "status", "created", ""), rows, "Runs of the same group"),
        more(content.relatives_left_out, "runs of the group"),
    ]


def _config(content: Content) -> list[Child]:
    run = content.run
    tags = [element("div", element("dt", key), element("dd", value)) for key, value in sorted(run.tags.items())]
    parts: list[Child] = []
    if tags:
        parts += [element("h3", "Tags"), element("dl", tags, class_="facts")]
    if run.op_selection or run.step_keys:
        chosen = ", ".join(run.op_selection or run.step_keys or ())
        parts.append(element("p", "Selection: ", element("code", cut(chosen, MESSAGE_CHARACTERS))))
    if run.run_config:
        text = json.dumps(run.run_config, ensure_ascii=False, indent=2)
        parts += [element("h3", "Run config"), element("pre", cut(text, TEXT_CHARACTERS))]
    if run.origin is not None:
        pointer = run.origin.repository_origin.code_pointer
        named = [(f.name, getattr(pointer, f.name)) for f in fields(pointer)]
        code = [
            element("div", element("dt", k), element("dd", element("code", v))) for k, v in named if isinstance(v, str)
        ]
        parts += [element("h3", "Code"), element("dl", code, class_="facts")]
    return parts


def _table(titles: Sequence[str], rows: Sequence[Markup], label: str, body_id: str | None = None) -> Markup:
    head = element("tr", [element("th", title, scope="col") for title in titles])
    table = element("table", element("thead", head), element("tbody", rows, id=body_id))
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label=label)


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
