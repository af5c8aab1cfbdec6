"""``--help`` of every verb: an example that the command itself can read, and words for every option."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from runplane.cli.main import _GROUPS, _HIDDEN, root


def verbs() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(root)
    for name in (*_GROUPS, *_HIDDEN):
        yield from below(name, root.get_command(context, name))  # type: ignore[attr-defined]


def below(name: str, found: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(found, click.Group):
        for inner, command in found.commands.items():
            yield from below(f"{name} {inner}", command)
    else:
        yield name, found


VERBS = dict(verbs())


def example_of(verb: click.Command) -> str:
    example = getattr(verb, "example", None)
    if example is None:
        found = re.search(r"Example: (runplane .*)", verb.help or "")
        example = found.group(1) if found else ""
    return str(example)


@pytest.mark.parametrize("name", VERBS)
def test_the_example_of_a_verb_is_a_command_line_of_it(name: str) -> None:
    example = re.sub(r'^eval "\$\((.*)\)"$', r"\1", example_of(VERBS[name]).split(" | ")[-1])
    program, *words = shlex.split(example)

    command: click.Command = root
    context = click.Context(root, info_name="runplane", auto_envvar_prefix="NOBODY_SETS_THIS")
    while isinstance(command, click.Group):
        named, command, words = command.resolve_command(context, words)  # type: ignore[assignment]
        context = click.Context(command, parent=context, info_name=named)
    command.make_context(context.info_name, words, parent=context.parent)

    assert program == "runplane"
    assert command is VERBS[name] or command.name == VERBS[name].name


@pytest.mark.parametrize("name", VERBS)
def test_the_help_of_a_verb_explains_it(name: str) -> None:
    verb = VERBS[name]
    context = click.Context(verb, info_name=name)

    text = verb.get_help(context)

    assert example_of(verb) in text
    assert [p.name for p in verb.params if isinstance(p, click.Option) and not p.help] == []
    assert verb.get_short_help_str(200)
    assert max(map(len, text.splitlines())) <= 130


def test_the_help_of_a_group_has_the_whole_sentence_of_each_verb() -> None:
    run = root.get_command(click.Context(root), "run")
    assert isinstance(run, click.Group)

    text = " ".join(run.get_help(click.Context(run, info_name="run")).split())

    for verb in run.commands.values():
        assert verb.get_short_help_str(1000) in text


def test_what_lists_or_shows_has_a_form_for_programs() -> None:
    listing = [n for n in VERBS if n.split()[-1] in ("list", "show", "info", "check", "status", "events")]

    assert [n for n in listing if "as_document" not in {p.name for p in VERBS[n].params}] == []
