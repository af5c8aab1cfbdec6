"""``args``: what a request document holds."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..errors import DocumentError, nearest
from .report import as_json
from .verb import Verb, Verbs


@click.group("args", cls=Verbs)
def args() -> None:
    """Request documents: ExecuteRunArgs, ResumeRunArgs, ExecuteStepArgs, and what travels in them."""


@args.command(
    "show", cls=Verb, example='kubectl get pod NAME -o jsonpath="{.spec.containers[0].args[-1]}" | runplane args show'
)
@click.argument("arg", required=False)
@click.option("-f", "--file", "file", metavar="FILE", help="Read it from a file; - is stdin.")
@click.option("--json", "as_document", is_flag=True, help="For programs: every value of the document.")
def show(arg: str | None, file: str | None, as_document: bool) -> None:
    """Print a document, plain or compressed: ARG, a file, or stdin (ARG or FILE `-`, or neither of them).

    Ends with 2 if it is not a document, or not one of a known class.
    """
    from ..events.show import describe

    shown = describe(_given(arg, file))
    click.echo(as_json(shown.to_json()) if as_document else shown.to_text().rstrip("\n"))
    if shown.name is None:
        raise DocumentError("this is JSON, and no document", got="no __class__", expected=", ".join(_known()))
    if f"the document: {shown.name}" in shown.unknown:
        raise DocumentError("a document of no known class", got=shown.name, nearest=nearest(shown.name, _known()))
    if shown.problem:
        raise DocumentError(f"{shown.name}: {shown.problem}")


def _known() -> list[str]:
    from ..events.wire import REGISTRY

    return sorted(REGISTRY.class_names)


def _given(arg: str | None, file: str | None) -> str | bytes:
    if arg is not None and file is not None:
        raise click.UsageError("Give the document as ARG or by -f, not both.")
    if arg is not None and arg != "-":
        return arg
    if file is not None and file != "-":
        try:
            return Path(file).read_bytes()
        except OSError as error:
            raise DocumentError(f"can not be read: {error.strerror}", where=file) from error
    if sys.stdin.isatty():
        raise click.UsageError("Give the document as ARG, by -f FILE, or on stdin.")
    return sys.stdin.buffer.read()
