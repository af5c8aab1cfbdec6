"""The command: which verbs there are. The module of a verb is imported when that verb is used."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import click

from .. import __version__
from ..errors.exit_codes import ExitCode
from ..errors.suggest import nearest

ENV_PREFIX = "DAGSTER_CLI"
"""Every option has a variable too: ``DAGSTER_CLI_<GROUP>_<VERB>_<OPTION>``."""
NO_WINDOWS = "runplane runs on Linux and macOS; on Windows, use it inside WSL."


def _api() -> click.Command:
    from .api import api

    return api


def _args() -> click.Command:
    from .args import args

    return args


def _celery() -> click.Command:
    from .celery import celery

    return celery


def _completion() -> click.Command:
    from .completion import completion

    return completion


def _daemon() -> click.Command:
    from .daemon import daemon

    return daemon


def _asset() -> click.Command:
    from .asset import asset

    return asset


def _doctor() -> click.Command:
    from .doctor import doctor

    return doctor


def _instance() -> click.Command:
    from .instance import instance

    return instance


def _job() -> click.Command:
    from .job import job

    return job


def _k8s() -> click.Command:
    from .k8s import k8s

    return k8s


def _run() -> click.Command:
    from .run import run

    return run


_GROUPS: Mapping[str, tuple[Callable[[], click.Command], str]] = {
    "job": (_job, "List the jobs of a file or module, execute one here, launch one through the instance."),
    "run": (_run, "List runs, show one, follow its events and logs, cancel it, run it again."),
    "daemon": (_daemon, "Start what waits in the queue; say which daemons there are and whether they live."),
    "celery": (_celery, "Start workers of step queues, say how they are, list queues and workers."),
    "asset": (_asset, "List the assets of a file or module, make some of them here and now."),
    "k8s": (_k8s, "Print the Kubernetes Job that a run or a step would become; find what runs left in the cluster."),
    "doctor": (_doctor, "Find out what would go wrong: database, daemons, limits, roles and quotas of the cluster."),
    "instance": (_instance, "Check a dagster.yaml, say where everything is kept, migrate the database."),
    "args": (_args, "Show what a request document holds."),
    "completion": (_completion, "Print what makes a shell complete verbs, options and run ids."),
}
_HIDDEN: Mapping[str, Callable[[], click.Command]] = {"api": _api}


class Root(click.Group):
    """The groups by name, imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Those that `--help` names."""
        return list(_GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The group, its module imported now."""
        if cmd_name in _HIDDEN:
            return _HIDDEN[cmd_name]()
        return _GROUPS[cmd_name][0]() if cmd_name in _GROUPS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name in the message."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            close = nearest(args[0], _GROUPS)
            ctx.fail(f"No such command '{args[0]}'." + (f" Did you mean '{close}'?" if close else ""))
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """From the table as well (click's CompletionItems)."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name, help=text) for name, (_, text) in _GROUPS.items() if name.startswith(incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table: `--help` imports no group."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _GROUPS.items()])


@click.command(
    "runplane",
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": ENV_PREFIX},
)
@click.version_option(__version__, "-v", "--version", prog_name="runplane")
def root() -> None:
    """Launch workflow runs and execute their steps.

    Every option can also be given by a variable: DAGSTER_CLI_JOB_EXECUTE_PYTHON_FILE is -f of `job execute`. The instance is
    the folder that DAGSTER_HOME names, else $XDG_DATA_HOME/runplane.
    """


def main() -> NoReturn:
    """The entry point, under whatever name it is called."""
    if sys.platform == "win32":
        click.echo(NO_WINDOWS, err=True)
        sys.exit(ExitCode.BAD_INPUT)
    # See https://no-color.org; without it click decides by whether there is a terminal.
    root(color=False if os.environ.get("NO_COLOR") else None)
    sys.exit(0)
