"""``docs/cli.md`` names every verb and every option, as the command itself does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from runplane.cli.main import root

PAGE = Path(__file__).resolve().parents[3] / "docs" / "cli.md"
GROUPS = ("job", "run", "daemon", "celery", "asset", "k8s", "doctor", "instance", "args", "completion", "api")


def rows() -> Iterator[str]:
    """The table of verbs: verb and arguments, options, what it does."""
    context = click.Context(root)
    for group in GROUPS:
        for name, verb in verbs(root.get_command(context, group)):  # type: ignore[attr-defined]
            words = " ".join(
                [group, *name, *(p.make_metavar(context) for p in verb.params if p.param_type_name == "argument")]
            )
            options = ", ".join(f"`{_longest(p)}`" for p in verb.params if p.param_type_name == "option")
            does = " ".join((verb.help or "").split("\n\n")[0].split())
            yield f"| `{words}` | {options} | {does} |"


def verbs(group: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """The verbs of a group, and of the groups in it; what is none stands for itself."""
    if not isinstance(group, click.Group):
        yield (), group
        return
    for name, found in group.commands.items():
        if isinstance(found, click.Group):
            yield from (((name, *inner), verb) for inner, verb in verbs(found))
        else:
            yield (name,), found


def _longest(option: click.Parameter) -> str:
    return "/".join([max(option.opts, key=len), *option.secondary_opts])


def test_the_table_of_verbs_is_that_of_the_command() -> None:
    _, _, after = PAGE.read_text(encoding="utf-8").partition("<!-- table: verbs -->\n")
    shown = [line for line in after.split("<!-- end -->")[0].splitlines() if line.startswith("| `")]

    assert shown == list(rows())
