"""``api``: the verbs that launchers and executors put into the command lines of containers and processes.

Flags, variables and exit codes are Dagster's (https://docs.dagster.io/api/clis/cli); ``errors/exit_codes.py`` adds names for what
ends with a bare 1 there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import click

from ..config.variables import seconds_from
from ..errors import NotFoundError
from ..errors.exit_codes import ExitCode
from ..events.argv import (
    COMPRESSED_RESUME_ARGS_ENV,
    COMPRESSED_RUN_ARGS_ENV,
    COMPRESSED_STEP_ARGS_ENV,
    DOCUMENT_FD_ENV,
    PARENT_ENV,
    RESUME_ARGS_ENV,
    RUN_ARGS_ENV,
    STEP_ARGS_ENV,
    WATCHER_ENV,
)
from ..executors.collector import resting
from .verb import Refusal, Verbs, WorkerVerb

START_WAIT_ENV = "RUNPLANE_DB_START_WAIT"
START_WAIT_S = 300.0
"""How long a worker waits for its database before it begins."""
_DOCUMENTS = (
    RUN_ARGS_ENV,
    COMPRESSED_RUN_ARGS_ENV,
    RESUME_ARGS_ENV,
    COMPRESSED_RESUME_ARGS_ENV,
    STEP_ARGS_ENV,
    COMPRESSED_STEP_ARGS_ENV,
)
T = TypeVar("T")
_compressed = "The document, compressed: base64 of zlib of its JSON."


@click.group("api", cls=Verbs, hidden=True)
def api() -> None:
    """Verbs for containers and processes. A person does not call them: see `job` and `run`."""


@api.command("execute_run", cls=WorkerVerb, example="runplane api execute_run '{\"__class__\": ...}'")
@click.argument("input_json", required=False, envvar=RUN_ARGS_ENV)
@click.option("--compressed-input-json", envvar=COMPRESSED_RUN_ARGS_ENV, help=_compressed)
def execute_run(input_json: str | None, compressed_input_json: str | None) -> None:
    """Coordinate a run to its end. INPUT_JSON is an ExecuteRunArgs.

    A run that fails ends with 0, unless the document says set_exit_code_on_failure.
    """
    document = _document(input_json, compressed_input_json)
    _end_with_parent()
    from ..events.wire import read_run_args

    _run(read_run_args(document))


@api.command("resume_run", cls=WorkerVerb, example="runplane api resume_run '{\"__class__\": ...}'")
@click.argument("input_json", envvar=RESUME_ARGS_ENV, required=False)
@click.option("--compressed-input-json", envvar=COMPRESSED_RESUME_ARGS_ENV, help=_compressed)
@click.pass_context
def resume_run(ctx: click.Context, input_json: str | None, compressed_input_json: str | None) -> None:
    """Take a run over from a worker that is gone, and coordinate it to its end. INPUT_JSON is a ResumeRunArgs."""
    if input_json is None and compressed_input_json is None and DOCUMENT_FD_ENV not in os.environ:
        raise click.MissingParameter(ctx=ctx, param_hint="'INPUT_JSON'", param_type="argument")
    document = _document(input_json, compressed_input_json)
    _end_with_parent()
    from ..events.wire import read_resume_args

    _run(read_resume_args(document))


@api.command("execute_step", cls=WorkerVerb, example="runplane api execute_step '{\"__class__\": ...}'")
@click.argument("input_json", required=False, envvar=STEP_ARGS_ENV)
@click.option("--compressed-input-json", envvar=COMPRESSED_STEP_ARGS_ENV, help=_compressed)
@click.pass_obj
def execute_step(by_worker: Any, input_json: str | None, compressed_input_json: str | None) -> None:
    """Execute one step of a run, or several. INPUT_JSON is an ExecuteStepArgs.

    A step that fails ends with 0: its outcome is in the event log.
    """
    document = _document(input_json, compressed_input_json)
    _be_killed_with_parent()
    with resting():
        from ..events.wire import read_step_args
        from ..workers.step import execute_step as work

    args = read_step_args(document)
    outcome = _on_instance(args, lambda instance: work(instance, args, by_worker))
    _leave(outcome.code, outcome.message)


def _document(plain: str | None, compressed: str | None) -> str:
    """The document that was given. It leaves the environment, where user code and what that starts would find it."""
    for name in _DOCUMENTS:
        os.environ.pop(name, None)
    given = [text for text in (plain, compressed, _inherited()) if text is not None]
    if len(given) != 1:
        got = "none" if not given else "more than one"
        raise Refusal(
            "the document is given as INPUT_JSON, as --compressed-input-json or by an inherited descriptor, exactly one of them"
            f" (got {got})",
            ExitCode.FAILED,
        )
    return given[0]


def _inherited() -> str | None:
    """The document that the starter left in a descriptor, which is closed here."""
    number = os.environ.pop(DOCUMENT_FD_ENV, None)
    if number is None:
        return None
    try:
        with os.fdopen(int(number), encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError) as error:
        message = f"{DOCUMENT_FD_ENV}={number} is no descriptor that a document can be read from: {error}"
        raise Refusal(message, ExitCode.FAILED) from error


def _run(args: Any) -> None:
    with resting():
        from ..events.status import RunStatus
        from ..workers.ahead import ahead_of

    def work(instance: Any) -> Any:
        with ahead_of(instance, args.run_id) as ahead:
            with resting():
                from ..workers.run import execute_run

            return execute_run(instance, args.run_id, ahead)

    outcome = _on_instance(args, work)
    failed = outcome.status is RunStatus.FAILURE and args.set_exit_code_on_failure
    _leave(ExitCode.FAILED if failed and outcome.code is ExitCode.OK else outcome.code, outcome.message)


def _on_instance(args: Any, work: Callable[[Any], T]) -> T:
    """Do the work on the document's instance, else on that of the environment; never on an empty default."""
    from ..instance.instance import Instance

    wait_s = seconds_from(os.environ, START_WAIT_ENV, START_WAIT_S, may_be_zero=True)
    with Instance.for_worker(args.instance, run_id=args.run_id, wait_s=wait_s, say=_say) as instance:
        instance.wait_at_most(wait_s)
        try:
            return work(instance)
        except NotFoundError as error:
            # As there: a run, or a step of it, that is not stored is 1, and not bad usage.
            raise Refusal(str(error), ExitCode.FAILED) from error


def _end_with_parent() -> None:
    _be_killed_with(os.environ.pop(WATCHER_ENV, None))
    parent = os.environ.pop(PARENT_ENV, None)
    if parent is not None:
        from ..workers.foreground import end_with

        end_with(int(parent))


def _be_killed_with_parent() -> None:
    """A step that a worker watches ends with it: whoever is given the attempt next runs alone on this machine."""
    _be_killed_with(os.environ.pop(PARENT_ENV, None))


def _be_killed_with(parent: str | None) -> None:
    if parent is not None:
        from ..executors.template.lifeline import die_with

        die_with(int(parent))


def _leave(code: ExitCode, message: str) -> None:
    if message:
        _say(message)
    if code is not ExitCode.OK:
        raise click.exceptions.Exit(int(code))


def _say(text: str) -> None:
    # Where it goes may be a file on a full disk: what can not be said is no reason to end the run.
    with suppress(OSError):
        click.echo(text, err=True)
