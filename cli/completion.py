"""``completion``: what a shell needs to complete verbs, options and run ids. And the ids."""

from __future__ import annotations

import os

import click
from click.shell_completion import CompletionItem, get_completion_class

from ..errors import RunplaneError
from .verb import Verb

COMPLETE_ENV = "_RUNPLANE_COMPLETE"
"""Set by the shell's function when it asks for completions (click's name for a program called ``runplane``)."""
SHELLS = ("bash", "zsh", "fish")
MOST_IDS = 50
PATIENCE_S = 0.5


@click.command("completion", cls=Verb, example='eval "$(runplane completion bash)"')
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete verbs, options and run ids. Put it where the shell reads it at its start."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    click.echo(found(ctx.find_root().command, {}, "runplane", COMPLETE_ENV).source())


def run_ids(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest runs whose ids start so. A shell is told nothing of what goes wrong."""
    from ..instance.instance import Instance
    from ..instance.load import load_instance_config
    from ..storage.contract import RunFilter

    try:
        load_instance_config(os.environ, may_make_home=False)
        with Instance.get() as instance:
            instance.wait_at_most(PATIENCE_S)
            runs = instance.runs.page(RunFilter(), limit=MOST_IDS).runs
    except RunplaneError:
        return []
    begun = [run for run in runs if run.run_id.startswith(incomplete)]
    return [CompletionItem(run.run_id, help=f"{run.job_name} {run.status}") for run in begun]
