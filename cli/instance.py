"""``instance``: check a dagster.yaml, say where everything is kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..errors import NotFoundError, Problem, RunplaneError, UnsupportedError, nearest
from ..errors.exit_codes import ExitCode
from ..instance.check import CheckReport, check_text, instance_info
from ..instance.home import FILE_NAME, find_home
from ..instance.load import load_instance_config
from ..instance.storage_location import PostgresLocation, SqliteLocation, storage_location
from .job import say
from .pools import concurrency
from .report import as_json
from .verb import Verb, Verbs


@click.group("instance", cls=Verbs)
def instance() -> None:
    """The instance: the folder of DAGSTER_HOME, and its dagster.yaml."""


@instance.command("check", cls=Verb, example="runplane instance check -f dagster.yaml --allow-missing-env")
@click.option("-f", "--file", "file", metavar="FILE", help=f"Another {FILE_NAME} than that of the instance.")
@click.option(
    "--allow-missing-env", is_flag=True, help="Variables need not be set: for a file that is for another machine."
)
@click.option("--json", "as_document", is_flag=True, help="For programs.")
def check(file: str | None, allow_missing_env: bool, as_document: bool) -> None:
    """Check a dagster.yaml whole: every error at once, each with its path. Ends with 2 if there is one."""
    home = Path(file).absolute().parent if file else find_home(os.environ, may_make=True, notify=say)
    path = Path(file) if file else home / FILE_NAME
    report = _report(path, home, must_exist=file is not None, allow_missing_env=allow_missing_env)
    if as_document:
        click.echo(as_json(report.to_json()))
    else:
        _print(report, path)
    if not report.ok:
        raise click.exceptions.Exit(int(ExitCode.BAD_INPUT))


@instance.command("info", cls=Verb, example="runplane instance info --json")
@click.option("--json", "as_document", is_flag=True, help="For programs.")
def info(as_document: bool) -> None:
    """Say where everything of the instance is kept."""
    found = instance_info(load_instance_config(os.environ, notify=say), os.environ)
    if as_document:
        click.echo(as_json(found))
        return
    width = max(len(label) for label in found)
    for label, place in found.items():
        click.echo(f"{label:<{width}}  {place}")


@instance.command("migrate", cls=Verb, example="runplane instance migrate")
def migrate() -> None:
    """Bring the instance's database to the schema of this version. Does nothing where it is there already."""
    from ..storage.migrate import migrate as run_migrations

    location = storage_location(load_instance_config(os.environ, notify=say), os.environ)
    if isinstance(location, SqliteLocation):
        location.path.parent.mkdir(parents=True, exist_ok=True)
        done = run_migrations(location.path)
    elif isinstance(location, PostgresLocation):
        done = run_migrations(location.url(), schema=location.schema)
    else:
        raise UnsupportedError("a storage of your own is migrated by its own means", got=str(location.part.pointer))
    for line in done:
        click.echo(line)
    click.echo(f"{location}: up to date.")


instance.add_command(concurrency)


def _report(path: Path, home: Path, *, must_exist: bool, allow_missing_env: bool) -> CheckReport:
    """What there is to say of the file; that it can not be read, too."""
    try:
        text = _text(path, must_exist=must_exist)
    except RunplaneError as error:
        return CheckReport(errors=[Problem("", error.message, suggestion=error.nearest)])
    return check_text(text, home, os.environ, where=str(path), allow_missing_env=allow_missing_env)


def _text(path: Path, *, must_exist: bool) -> str:
    if not path.exists() and not must_exist:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise NotFoundError("there is no such file", where=str(path), nearest=nearest(path.name, beside)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RunplaneError(f"can not be read: {error}", where=str(path)) from error


def _print(report: CheckReport, path: Path) -> None:
    for problem in report.warnings:
        say(click.style("warning: ", fg="yellow") + str(problem))
    if not report.ok:
        many = "1 problem" if len(report.errors) == 1 else f"{len(report.errors)} problems"
        say(click.style(f"{path}: {many}", fg="red"))
        for problem in report.errors:
            say(f"  {problem}")
        return
    click.echo(click.style(f"{path}: ok", fg="green") + ("" if path.exists() else " (not there: all defaults)"))
    width = max((len(name) for name in report.resolved), default=0)
    for name, part in report.resolved.items():
        click.echo(f"  {name:<{width}}  {part['module']}:{part['class']}{_config(part['config'])}")


def _config(config: Any) -> str:
    if not isinstance(config, Mapping) or not config:
        return ""
    given = {key: value for key, value in config.items() if value is not None}
    return "  " + ", ".join(f"{key}={value}" for key, value in given.items()) if given else ""
