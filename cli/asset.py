"""``asset``: list the assets of a code location with what is known of them, make some of them here and now."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from typing import Any

import click

from ..definitions.definitions_object import IMPLICIT_ASSET_JOB
from ..engine.snapshot import PlanSnapshot
from ..errors import ConfigErrors, NotFoundError, UnsupportedError
from ..errors.exit_codes import ExitCode
from ..events.run import Run
from ..instance.home import NoInstanceError
from ..instance.instance import Instance, RunRequest
from ..instance.load import load_instance_config
from ..locations.contract import AssetListing, AssetsAsked
from ..storage.assets import EVALUATED, AssetEvent
from .code_options import CodeOptions, with_code_options
from .job import refuse_taken, say, startup_timeout_s
from .report import as_json, at, print_end, short
from .run_config_files import read_run_config, read_tags
from .verb import Verb, Verbs


@click.group("asset", cls=Verbs)
def asset() -> None:
    """Assets of a file, module or package."""


@asset.command("list", cls=Verb, example="runplane asset list -f definitions.py --select group:numbers")
@with_code_options
@click.option("--select", metavar="QUERY", help='Which: `a`, `*a`, `group:"g" and kind:csv`, ... [all]')
@click.option("--json", "as_document", is_flag=True, help="For programs.")
def list_assets(code: CodeOptions, select: str | None, as_document: bool) -> None:
    """List the assets that a file, module or package defines, and when each was made last."""
    with code.open(startup_timeout_s()) as source:
        listings = source.assets(select)
    made = _newest([listing.key for listing in listings])
    if as_document:
        click.echo(as_json([_to_json(listing, made.get(listing.key)) for listing in listings]))
        return
    keys = max((len(listing.key) for listing in listings), default=0)
    groups = max((len(listing.group) for listing in listings), default=0)
    for listing in listings:
        line = f"{click.style(listing.key.ljust(keys), bold=True)}  {listing.group.ljust(groups)}  "
        click.echo(f"{line}{_last(listing, made.get(listing.key))}".rstrip())
    if not listings:
        say("There are no assets here.")


def _newest(keys: list[str]) -> Mapping[str, AssetEvent]:
    """The newest materialization of each, as the instance knows it; nothing where there is no instance."""
    try:
        load_instance_config(os.environ, may_make_home=False)
    except NoInstanceError:
        return {}
    with Instance.get(say=say) as instance:
        return instance.assets.latest_of(keys)


def _last(listing: AssetListing, made: AssetEvent | None) -> str:
    if made is not None:
        return f"{at(made.at)}  run {short(made.run_id)}"
    return "never made" if listing.is_executable else "made elsewhere"


def _to_json(listing: AssetListing, made: AssetEvent | None) -> dict[str, Any]:
    return {
        "key": listing.key,
        "group": listing.group,
        "kinds": list(listing.kinds),
        "owners": list(listing.owners),
        "tags": dict(listing.tags),
        "description": listing.description,
        "deps": list(listing.deps),
        "checks": list(listing.checks),
        "is_executable": listing.is_executable,
        "last_materialization": None if made is None else _event_to_json(made),
    }


def _event_to_json(made: AssetEvent) -> dict[str, Any]:
    return {"run_id": made.run_id, "at": made.at, "step": made.step, "metadata": dict(made.metadata)}


@asset.command("materialize", cls=Verb, example="runplane asset materialize -f definitions.py --select report")
@with_code_options
@click.option(
    "--select", metavar="QUERY", required=True, help="Which assets: `a`, `*a`, `*`, ...; several with commas."
)
@click.option("--partition", metavar="NAME", help="Not in this version: refused.")
@click.option("--partition-range", metavar="RANGE", help="Not in this version: refused.")
@click.option(
    "-c", "--config", metavar="FILE", multiple=True, help="Run config in YAML; several are merged, the first wins."
)
@click.option("--config-json", metavar="JSON", help="Run config as JSON, in place of -c.")
@click.option("--tags", metavar="JSON", help='Tags of the run, as JSON: {"team": "a"}.')
@click.option("--run-id", metavar="UUID", help="Id of the run. [drawn]")
@click.option(
    "--json", "as_document", is_flag=True, help="For programs: what was made, on stdout; the progress on stderr."
)
def materialize(
    code: CodeOptions,
    select: str,
    partition: str | None,
    partition_range: str | None,
    config: tuple[str, ...],
    config_json: str | None,
    tags: str | None,
    run_id: str | None,
    as_document: bool,
) -> None:
    """Make assets here and now, and show how it goes.

    Ends with 1 when the run fails, with 130 when it was interrupted. What is upstream and not selected is loaded as it is.
    """
    from .execute_here import execute_here

    _refuse_partitions({"--partition": partition, "--partition-range": partition_range})
    run_config = read_run_config(config, config_json) or {}
    request = _request(code, AssetsAsked(query=select), run_config)
    with Instance.get(say=say) as instance:
        wanted = replace(request, tags=read_tags(tags), run_id=refuse_taken(instance, run_id))
        run = instance.create(wanted)
        with _to_stderr_if(as_document):
            ended = execute_here(instance, run, _plan(request))
            print_end(instance, instance.runs.get(run.run_id), ended.story)
        if as_document:
            click.echo(as_json(_made_to_json(instance, instance.runs.get(run.run_id))))
    if ended.code is not ExitCode.OK:
        raise click.exceptions.Exit(int(ended.code))


def _refuse_partitions(options: Mapping[str, str | None]) -> None:
    for name, given in options.items():
        if given is not None:
            raise UnsupportedError(
                f"{name} is not supported yet: partitions come in a later version.", hint="Leave it out."
            )


def _request(code: CodeOptions, asked: AssetsAsked, run_config: Mapping[str, Any]) -> RunRequest:
    """The run of the job of all assets, for the part that is asked for. Everything that can be wrong is found here.

    Raises:
        NotFoundError: there are no assets. ConfigErrors: the run config is not right. RunplaneError: code that fails, no query.
    """
    with code.open(startup_timeout_s()) as source:
        if not any(listing.is_executable for listing in source.assets()):
            raise NotFoundError("there are no assets that can be made.", where=str(code.target))
        plan = source.snapshot(IMPLICIT_ASSET_JOB, assets=asked, run_config=run_config)
        if not isinstance(plan, PlanSnapshot):
            raise ConfigErrors(plan, where="run config of the assets")
        return RunRequest(
            job_name=IMPLICIT_ASSET_JOB,
            origin=source.origin(IMPLICIT_ASSET_JOB),
            plan=plan,
            run_config=run_config,
            asset_selection=tuple(sorted({key for step in plan.steps for key in step.asset_keys})),
            asset_check_selection=tuple(sorted({key for step in plan.steps for key in step.check_keys})),
        )


def _plan(request: RunRequest) -> PlanSnapshot:
    assert request.plan is not None, "a request of assets has its plan"
    return request.plan


@contextmanager
def _to_stderr_if(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def _made_to_json(instance: Instance, run: Run) -> dict[str, Any]:
    """What the run made, and what its checks found."""
    made = instance.assets.latest_of(run.asset_selection or ())
    checks = []
    for text in run.asset_check_selection or ():
        key, _, name = text.rpartition(":")
        found = instance.assets.latest(key, EVALUATED, check_name=name)
        if found is not None and found.run_id == run.run_id:
            checks.append(
                {"asset": key, "check": name, "passed": found.body["passed"], "severity": found.body["severity"]}
            )
    return {
        "run_id": run.run_id,
        "status": run.status.value,
        "assets": {key: _event_to_json(event) for key, event in made.items() if event.run_id == run.run_id},
        "checks": checks,
    }
