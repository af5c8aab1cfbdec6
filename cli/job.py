"""``job``: list jobs, execute one here, launch one through the instance."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, replace
from typing import Any

import click

from ..engine.snapshot import PlanSnapshot
from ..errors import ConfigErrors, ConflictError, NotFoundError, RunplaneError, StorageUnavailableError
from ..errors.exit_codes import ExitCode
from ..events.origin import JobOrigin
from ..events.run import Run
from ..instance.home import NoInstanceError
from ..instance.instance import Instance, RunRequest
from ..instance.load import load_instance_config
from ..locations.contract import CodeSource
from ..locations.subprocess_source import STARTUP_TIMEOUT_S
from ..storage.contract import RunFilter
from .code_options import CodeOptions, RunOptions, with_code_options, with_location_options, with_run_options
from .report import as_json, print_end, short
from .verb import Refusal, Verb, Verbs


@click.group("job", cls=Verbs)
def job() -> None:
    """Jobs of a file, module or package."""


@job.command("list", cls=Verb, example="runplane job list -f flow.py")
@with_code_options
@click.option("--json", "as_document", is_flag=True, help="For programs.")
def list_jobs(code: CodeOptions, as_document: bool) -> None:
    """List the jobs that a file, module or package defines."""
    with code.open(startup_timeout_s()) as source:
        listings = source.jobs()
    if as_document:
        found = [
            {"name": j.name, "description": j.description, "tags": dict(j.tags), "ops": list(j.ops)} for j in listings
        ]
        click.echo(as_json(found))
        return
    for listing in listings:
        click.echo(click.style(listing.name, bold=True))
        if listing.description:
            click.echo(f"    {listing.description.strip().splitlines()[0]}")
        click.echo(f"    ops: {', '.join(listing.ops)}")


@job.command(
    "execute", cls=Verb, example='runplane job execute -f flow.py -j nightly -c config.yaml --tags \'{"team": "shop"}\''
)
@with_code_options
@with_run_options
def execute(code: CodeOptions, asked: RunOptions) -> None:
    """Execute a job here and now, and show how it goes.

    Ends with 1 when the run fails, with 130 when it was interrupted. The first Ctrl-C cancels the run, a second one kills it.
    """
    from .execute_here import execute_here

    prepared = prepare(code, asked)
    with Instance.get(say=say) as instance:
        run = instance.create(replace(prepared.request(asked), run_id=refuse_taken(instance, asked.run_id)))
        ended = execute_here(instance, run, prepared.plan)
        print_end(instance, instance.runs.get(run.run_id), ended.story)
    if ended.code is not ExitCode.OK:
        raise click.exceptions.Exit(int(ended.code))


@job.command("launch", cls=Verb, example='runplane job launch -m shop.flows -j nightly --select "price*"')
@with_code_options
@with_location_options
@with_run_options
@click.option("--json", "as_document", is_flag=True, help="For programs.")
def launch(code: CodeOptions, asked: RunOptions, as_document: bool) -> None:
    """Hand a run of a job to the instance, which launches it; print its id."""
    prepared = prepare(code, asked)
    with Instance.get(say=say) as instance:
        submit(instance, prepared.request(asked), as_document)


def submit(instance: Instance, request: RunRequest, as_document: bool) -> Run:
    """Submit a run and say what it is called and what can be done with it.

    Raises:
        Refusal: FAILED when the run is stored and could not be launched. RunplaneError: nothing was stored.
    """
    from ..instance.wire import set_run_here
    from ..workers.run import execute_run

    run_id = refuse_taken(instance, request.run_id)
    set_run_here(lambda run_id: _forget(execute_run(instance, run_id)))
    try:
        run = instance.submit(replace(request, run_id=run_id))
    except StorageUnavailableError:
        raise  # a database that did not answer is not asked again whether the run is stored
    except Exception as error:
        if not is_stored(instance, run_id):
            raise
        what = str(error) if isinstance(error, RunplaneError) else f"{type(error).__name__}: {error}"
        raise Refusal(f"run {short(run_id)} could not be launched: {what}", ExitCode.FAILED) from error
    if as_document:
        click.echo(as_json({"run_id": run.run_id, "job_name": run.job_name, "status": run.status.value}))
        return run
    click.echo(run.run_id)
    name = short(run.run_id)
    say(f"{run.job_name} is {run.status}. Next:")
    for verb in ("events --follow", "logs --follow", "cancel"):
        first, _, rest = verb.partition(" ")
        say(f"  runplane run {first} {name} {rest}".rstrip())
    return run


def refuse_taken(instance: Instance, run_id: str | None) -> str:
    """The id, or one that is drawn. Raises ConflictError when there is a run of that id."""
    if run_id is None:
        return str(uuid.uuid4())
    if is_stored(instance, run_id):
        raise ConflictError("a run of that id is there already", where=f"--run-id {run_id}")
    return run_id


def is_stored(instance: Instance, run_id: str) -> bool:
    """Whether there is a run of that very id."""
    return bool(instance.runs.page(RunFilter(run_ids=(run_id,)), limit=1).runs)


def _forget(_: Any) -> None:
    """The outcome is stored with the run."""


@dataclass(frozen=True)
class Prepared:
    """A job that can be run: its name, where its code is, and the plan of this run."""

    job: str
    origin: JobOrigin
    plan: PlanSnapshot

    def request(self, asked: RunOptions) -> RunRequest:
        """What the instance is asked for."""
        return RunRequest(
            job_name=self.job,
            origin=self.origin,
            plan=self.plan,
            run_config=asked.run_config or {},
            tags=asked.tags,
            op_selection=asked.selection,
            run_id=asked.run_id,
        )


def prepare(code: CodeOptions, asked: RunOptions) -> Prepared:
    """Everything that can be wrong is found here, before anything is written.

    Raises:
        RunplaneError: no such file or job, code that fails; ConfigErrors: the run config or the instance's dagster.yaml.
    """
    with code.open(startup_timeout_s()) as source:
        name = asked.job or _only_job(source)
        plan = source.snapshot(name, selection=asked.selection, run_config=asked.run_config)
        if not isinstance(plan, PlanSnapshot):
            raise ConfigErrors(plan, where=f"run config of job '{name}'")
        return Prepared(name, source.origin(name), plan)


def _only_job(source: CodeSource) -> str:
    names = [listing.name for listing in source.jobs()]
    if len(names) != 1:
        raise NotFoundError(
            f"there are {len(names)} jobs" if names else "there is no job",
            got=", ".join(names),
            hint="Say which one: -j NAME.",
        )
    return names[0]


def startup_timeout_s() -> float:
    """How long an import may take: as the instance says, where there is one.

    Raises:
        ConfigErrors, RunplaneError: there is one, and it is not right.
    """
    try:
        config = load_instance_config(os.environ, may_make_home=False)
    except NoInstanceError:
        return STARTUP_TIMEOUT_S
    return float(config.settings(os.environ).code_servers.local_startup_timeout)


def say(text: str) -> None:
    """Tell a person; stdout is for what was asked for."""
    click.echo(text, err=True)
