"""What is printed of a run: the line of a step, the timeline, failures with the user's traceback, where things are, what next."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from ..definitions.user_errors import error_text
from ..errors import UnsupportedError
from ..events.causes import ErrorInfo, FailureCause
from ..events.kinds import EventKind
from ..events.run import Run
from ..events.status import RunStatus
from ..instance.instance import Instance
from ..storage.compute_logs import KeptElsewhere, LocalComputeLogStore
from .advice import run_advice, step_advice
from .metadata_text import failure_metadata
from .phases import attempt_to_json, attempts_in_pods, phases
from .story import CAUSE_WORDS, Attempt, RunStory, Span, StepStatus, StepStory

SHORT_ID = 8
MOST_ROWS = 40
MOST_FAILURES = 10
NARROWEST_BAR = 10
WAITED, WORKED = "·", "█"
_COLOURS: Mapping[Any, str] = {
    StepStatus.SUCCEEDED: "green",
    StepStatus.FAILED: "red",
    StepStatus.LOST: "yellow",
    StepStatus.RETRYING: "yellow",
    StepStatus.CANCELED: "yellow",
    StepStatus.SKIPPED: "cyan",
    StepStatus.NOT_RUN: "yellow",
    RunStatus.SUCCESS: "green",
    RunStatus.FAILURE: "red",
    RunStatus.CANCELED: "yellow",
}
_RUN_WORDS: Mapping[RunStatus, str] = {
    RunStatus.SUCCESS: "succeeded",
    RunStatus.FAILURE: "failed",
    RunStatus.CANCELED: "was canceled",
}


def short(run_id: str) -> str:
    """The first characters of a run id: what a person types."""
    return run_id[:SHORT_ID]


def coloured(text: str, status: Any) -> str:
    """The text in the colour of a status; ``click.echo`` takes it off where there is no terminal."""
    return click.style(text, fg=_COLOURS.get(status))


def seconds(value: float) -> str:
    """``12 ms``, ``1.23 s``, ``12.3 s``, ``2 m 03 s``, ``1 h 02 m``."""
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 10:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(int(value), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} m"


def at(value: float | None) -> str:
    """A time of the clock, in this machine's zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value)) if value else "-"


def step_line(story: RunStory, step: StepStory) -> str:
    """``  0.31 s  double[2]  succeeded in 0.12 s``."""
    since = seconds(max(0.0, story.now - (story.started_at or story.now)))
    return f"{since:>9}  {step.key}  {coloured(_step_words(story, step), step.status)}"


def _step_words(story: RunStory, step: StepStory) -> str:
    words = str(step.status)
    if step.status in (StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.CANCELED):
        worked = sum(s.seconds for s in story.spans(step) if s.works)
        words += f" in {seconds(worked)}" if step.status is StepStatus.SUCCEEDED else f" after {seconds(worked)}"
        if len(step.attempts) > 1:
            words += f", attempt {step.attempts[-1].n}"
    elif step.status is StepStatus.RETRYING:
        wait = (step.failure or {}).get("seconds_to_wait")
        words = f"to be retried{f' in {seconds(wait)}' if wait else ''}: {cause_words(step.failure)}"
    elif step.status is StepStatus.RUNNING and len(step.attempts) > 1:
        words += f", attempt {step.attempts[-1].n}"
    elif step.status is StepStatus.NOT_RUN and step.because and step.because != ("intent",):
        words += f": {', '.join(step.because)} failed"
    elif step.status is StepStatus.SKIPPED and step.because:
        words += f": {', '.join(step.because)} was not produced"
    return words


def cause_words(failure: Mapping[str, Any] | None) -> str:
    """Why an attempt ended badly, in one clause; for a process that ended by itself with the evidence."""
    body = failure or {}
    words = CAUSE_WORDS.get(str(body.get("cause")), "it failed")
    if body.get("cause") == FailureCause.USER_RETRY and "seconds_to_wait" in body:
        words = "its code asked for it"
    evidence = body.get("evidence")
    if evidence:
        return f"{words} ({evidence})"
    user_failure = body.get("user_failure")
    if user_failure and user_failure.get("description"):
        return str(user_failure["description"])
    error = body.get("error")
    if body.get("cause") == "USER_CODE" and error:
        innermost = of_user(ErrorInfo.from_body(error))
        return innermost.message.strip().splitlines()[-1] if innermost.message.strip() else words
    return words


def print_end(instance: Instance, run: Run, story: RunStory) -> None:
    """All that is said when a run is over (or is shown)."""
    print_failures(story, run)
    click.echo(_headline(run, story))
    if any(step.attempts for step in story.steps.values()):
        click.echo("")
        for line in timeline(story, shutil.get_terminal_size((100, 24)).columns):
            click.echo(line)
    if lines := pods(story):
        click.echo("")
        for line in lines:
            click.echo(line)
    click.echo("")
    for label, text in places(instance, run, story):
        click.echo(f"  {label:<8} {text}")


def _headline(run: Run, story: RunStory) -> str:
    status = story.status or run.status
    words = coloured(_RUN_WORDS.get(status, f"is {status}"), status)
    begun, ended = story.started_at, story.ended_at
    took = f" in {seconds(ended - begun)}" if begun and ended else ""
    counts = [
        f"{n} {state}"
        for state in StepStatus
        if (n := story.count(state)) and not (state is StepStatus.SUCCEEDED and n == len(story.steps))
    ]
    steps = f"{len(story.steps)} step{'' if len(story.steps) == 1 else 's'}"
    return (
        f"Run {short(run.run_id)} of {run.job_name} {words}{took}: {steps}{': ' if counts else ''}{', '.join(counts)}."
    )


def print_failures(story: RunStory, run: Run) -> None:
    """Each failed step: its cause, and the user's traceback with its cause chain."""
    failed = story.in_state(StepStatus.FAILED)
    for step in failed[:MOST_FAILURES]:
        attempts = f" (attempt {step.attempts[-1].n})" if len(step.attempts) > 1 else ""
        click.echo("")
        click.echo(coloured(f"Step {step.key} failed{attempts}: {cause_words(step.failure)}", StepStatus.FAILED))
        for label, text in failure_metadata(step.failure):
            click.echo(f"    {label}: {text}")
        _print_error((step.failure or {}).get("error"))
        _print_lines(step.printed)
        _print_advice(step_advice(step.failure))
    if len(failed) > MOST_FAILURES:
        click.echo(
            f"\n... and {len(failed) - MOST_FAILURES} more failed steps: runplane run show {short(run.run_id)} --json"
        )
    if story.status is RunStatus.FAILURE and not failed:
        click.echo("")
        click.echo(coloured(str(story.end.get("message") or "The run failed."), RunStatus.FAILURE))
        _print_error(story.run_error)
        _print_advice(run_advice(run.tags))
    if failed or story.status is RunStatus.FAILURE:
        click.echo("")


def _print_error(body: Mapping[str, Any] | None) -> None:
    if body is None:
        return
    _print_lines(error_text(of_user(ErrorInfo.from_body(body))))


def _print_lines(text: str | None) -> None:
    if text:
        click.echo("")
        for line in text.splitlines():
            click.echo(f"    {line}" if line else "")


def _print_advice(advice: str | None) -> None:
    if advice is not None:
        click.echo("")
        click.echo(f"    What to do: {advice}")


def of_user(error: ErrorInfo) -> ErrorInfo:
    """Past the wrappers that only say where in our code it happened, to the error with the user's own frames."""
    while not error.stack and error.cause is not None:
        error = error.cause
    return error


# The timeline -----------------------------------------------------------------------------------------------------------------


def timeline(story: RunStory, columns: int) -> list[str]:
    """A row per step, waiting and working apart; of many steps those that worked longest."""
    rows = [(step, story.spans(step)) for step in story.steps.values() if step.attempts]
    left_out = max(0, len(rows) - MOST_ROWS)
    if left_out:
        longest = sorted(rows, key=lambda row: -sum(s.seconds for s in row[1] if s.works))[:MOST_ROWS]
        chosen = {step.key for step, _ in longest}
        rows = [row for row in rows if row[0].key in chosen]
    rows.sort(key=lambda row: row[1][0].start if row[1] else 0.0)
    start = story.started_at or min((spans[0].start for _, spans in rows if spans), default=0.0)
    end = max([story.ended_at or 0.0, *(spans[-1].end for _, spans in rows if spans)])
    width = min(40, max([4, *(len(step.key) for step, _ in rows)]))
    bar = max(NARROWEST_BAR, columns - width - 28)
    lines = [f"  {'step':<{width}}  {'waited':>9}  {'worked':>9}  {WAITED} waiting  {WORKED} working"]
    for step, spans in rows:
        waited = sum(s.seconds for s in spans if not s.works)
        worked = sum(s.seconds for s in spans if s.works)
        drawn = coloured(_bar(spans, start, end, bar), step.status)
        lines.append(f"  {_cut(step.key, width):<{width}}  {seconds(waited):>9}  {seconds(worked):>9}  {drawn}")
    if left_out:
        lines.append(f"  ... and {left_out} steps that worked less")
    return lines


def _bar(spans: list[Span], start: float, end: float, width: int) -> str:
    scale = width / max(end - start, 1e-9)
    cells = [" "] * width
    for span in spans:
        first = min(width - 1, int((span.start - start) * scale))
        last = min(width, max(first + int(span.works), round((span.end - start) * scale)))
        cells[first:last] = (WORKED if span.works else WAITED) * (last - first)
    return "".join(cells).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


# Pods -------------------------------------------------------------------------------------------------------------------------


def pods(story: RunStory) -> list[str]:
    """Of each attempt in a pod: Job, pod and node, how long each phase took, and why it ended when it ended badly."""
    found = attempts_in_pods(story)
    lines = [line for step, attempt in found[:MOST_ROWS] for line in _pod(story, step, attempt)]
    if len(found) > MOST_ROWS:
        lines.append(f"  ... and {len(found) - MOST_ROWS} more attempts: --json")
    return lines


def _pod(story: RunStory, step: StepStory, attempt: Attempt) -> Iterator[str]:
    pod = attempt.pod or {}
    number = f" attempt {attempt.n}" if len(step.attempts) > 1 else ""
    yield f"  {step.key}{number}: job {pod.get('job', '-')}, pod {pod['pod']}, node {pod.get('node', '-')}"
    told = ", ".join(f"{name} {seconds(value)}" for name, value in phases(story, step, attempt).items())
    yield f"      {told}"
    if attempt.outcome is not None and attempt.outcome != EventKind.STEP_SUCCESS:
        yield f"      {cause_words(attempt.end).splitlines()[0]}"


# Where things are -------------------------------------------------------------------------------------------------------------


def places(instance: Instance, run: Run, story: RunStory) -> Iterator[tuple[str, str]]:
    """Label and place: outputs, logs, what outputs named, the next command."""
    outputs = instance.home / "storage" / run.run_id
    if outputs.is_dir():
        yield "Outputs", str(outputs)
    folder = _log_folder(instance, story)
    if folder is not None:
        yield "Logs", f"{folder}  (runplane run logs {short(run.run_id)})"
    for step in story.steps.values():
        for label, place in step.found:
            yield "Report" if place.endswith((".html", ".pdf", ".md")) else label.capitalize()[:8], place
    yield "Next", next_command(run, story)


def _log_folder(instance: Instance, story: RunStory) -> str | None:
    """Where the run's logs are, if they are kept."""
    try:
        logs = instance.logs
    except UnsupportedError:
        # `run logs` says which part can not be had; everything else of the run can be shown all the same.
        return None
    if story.log_keys and isinstance(logs, LocalComputeLogStore):
        return str(logs.path(story.log_keys[0][0], "out").parent)
    if story.log_keys and isinstance(logs, KeptElsewhere):
        return logs.place(story.log_keys[0][0], "out").rpartition("/")[0]
    return None


def next_command(run: Run, story: RunStory) -> str:
    """The command that a person most likely wants now."""
    name = short(run.run_id)
    status = story.status or run.status
    if status in (RunStatus.FAILURE, RunStatus.CANCELED):
        return f"runplane run retry {name}"
    if status is RunStatus.SUCCESS:
        return f"runplane run events {name}"
    return f"runplane run events {name} --follow"


def step_to_json(story: RunStory, step: StepStory) -> dict[str, Any]:
    """A step for programs."""
    spans = story.spans(step)
    return {
        "key": step.key,
        "status": step.status.name,
        "attempts": len(step.attempts),
        "waited_s": round(sum(s.seconds for s in spans if not s.works), 6),
        "worked_s": round(sum(s.seconds for s in spans if s.works), 6),
        "failure": step.failure,
        "history": [attempt_to_json(story, step, attempt) for attempt in step.attempts],
    }


def as_json(value: Any) -> str:
    """One JSON document, as every ``--json`` prints it."""
    return json.dumps(value, indent=2, ensure_ascii=False)
