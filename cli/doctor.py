"""``doctor``: what would go wrong with this instance, found out before a run does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import click

from ..errors import UnsupportedError
from ..errors.exit_codes import ExitCode
from ..instance.examination import CHECKS, Check, Finding, Grade, guarded
from ..instance.instance import Instance
from ..instance.known_classes import MAKES_JOBS
from ..instance.load import load_instance_config
from ..instance.storage_location import PostgresLocation, storage_location
from ..storage.step_role import grants_sql
from .job import say
from .report import as_json
from .verb import Verb

_COLOURS = {Grade.OK: "green", Grade.WARNING: "yellow", Grade.FAILURE: "red", Grade.UNKNOWN: "cyan"}


@click.command("doctor", cls=Verb, example="runplane doctor --json")
@click.option("--sql", is_flag=True, help="Print the grants of a database role for steps, and check nothing.")
@click.option("--role", default="runplane_step", show_default=True, metavar="NAME", help="Name of that role.")
@click.option("--json", "as_document", is_flag=True, help="For programs.")
@click.pass_context
def doctor(ctx: click.Context, sql: bool, role: str, as_document: bool) -> None:
    """Check the instance: database, daemons, limits; in a cluster its roles, quotas, and what pods see of the database.

    Ends with 0 when nothing fails (warnings are none), with 1 when something does, with 2 when the instance can not be read.
    """
    if sql:
        click.echo(_sql(role), nl=False)
        return
    with Instance.get(say=say) as instance:
        findings = list(_findings(instance))
    if as_document:
        ok = all(finding.grade is not Grade.FAILURE for finding in findings)
        click.echo(as_json({"ok": ok, "findings": [finding.to_json() for finding in findings]}))
    else:
        _print(findings)
    if any(finding.grade is Grade.FAILURE for finding in findings):
        ctx.exit(ExitCode.FAILED)


def _findings(instance: Instance) -> Iterator[Finding]:
    for name, check in {**CHECKS, **_of_kubernetes(instance)}.items():
        yield from guarded(name, check)(instance)


def _of_kubernetes(instance: Instance) -> Mapping[str, Check]:
    """The checks of a launcher that makes Jobs. Its module loads the client of Kubernetes: only where that is used."""
    if instance.config.run_launcher.class_name not in MAKES_JOBS:
        return {}

    def all_of_them(instance: Instance) -> Iterator[Finding]:
        from ..instance.kubernetes_examination import checks_of

        for name, check in checks_of(instance).items():
            yield from guarded(name, check)(instance)

    return {"kubernetes": all_of_them}


def _sql(role: str) -> str:
    location = storage_location(load_instance_config(os.environ, notify=say), os.environ)
    if not isinstance(location, PostgresLocation):
        raise UnsupportedError("only Postgres has roles", got=str(location))
    return grants_sql(role, schema=location.schema, database=location.dbname)


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        grade = click.style(f"{finding.grade:<7}", fg=_COLOURS[finding.grade])
        click.echo(f"{grade}  {finding.check:<{width}}  {finding.words}")
        if finding.advice:
            click.echo(f"{'':<7}  {'':<{width}}  {finding.advice}")
