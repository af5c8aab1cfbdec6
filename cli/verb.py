"""How every verb ends: an error becomes one message on stderr and an exit code, never a traceback of ours."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import click

from ..config.dotenv import load_dotenv
from ..errors import RunplaneError
from ..errors.exit_codes import ExitCode
from ..workers.signals import ToldToLeave, leave_on_sigterm

TRACEBACK_ENV = "RUNPLANE_TRACEBACK"
"""Set: a fault of ours is printed with its traceback."""


class Refusal(RunplaneError):
    """A message with an exit code of its own, where the rule of the verb's kind does not fit."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code


class Example(click.Command):
    """A command whose help ends with an example.

    Args:
        example: the command line; a test parses it.
    """

    def __init__(self, *args: Any, example: str | None = None, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example."""
        super().format_epilog(ctx, formatter)
        if self.example is not None:
            with formatter.section("Example"):
                formatter.write(" " * formatter.current_indent + self.example + "\n")


class Verbs(click.Group):
    """A group whose help says of each verb its whole first sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Name and sentence of each verb."""
        rows = [(name, self.commands[name].get_short_help_str(limit=500)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([row for row in rows if not self.commands[row[0]].hidden])


class Verb(Example):
    """A verb for people: whatever it can not do is exit code 2 and one message."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb, with the variables of the current directory's `.env`."""
        try:
            load_dotenv(Path.cwd(), os.environ)
            return super().invoke(ctx)
        except RunplaneError as error:
            click.echo(click.style("Error: ", fg="red") + str(error), err=True)
            ctx.exit(error.code if isinstance(error, Refusal) else ExitCode.BAD_INPUT)
        except KeyboardInterrupt:
            _end_interrupted(ctx)


class WorkerVerb(Example):
    """A verb for containers: the exit code says what happened, and a sentence why."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        leave_on_sigterm()
        try:
            return super().invoke(ctx)
        except RunplaneError as error:
            click.echo(str(error), err=True)
            ctx.exit(error.code if isinstance(error, Refusal) else error.exit_code)
        except ToldToLeave:
            ctx.exit(ExitCode.TERMINATED)
        except KeyboardInterrupt:
            _end_interrupted(ctx)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - a worker's fault is said in a sentence
            click.echo(_fault(error), err=True)
            ctx.exit(ExitCode.FAILED)


def _end_interrupted(ctx: click.Context) -> NoReturn:
    # Python ends by SIGINT, whatever the code, when the interrupt came out of a text that was executed: each dataclass and named tuple executes one.
    # It forgets that when it executes another.
    exec("")  # noqa: S102
    ctx.exit(ExitCode.INTERRUPTED)


def _fault(error: Exception) -> str:
    if os.environ.get(TRACEBACK_ENV):
        traceback.print_exception(error, file=sys.stderr)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"A fault of runplane, at {place.filename}:{place.lineno}: {type(error).__name__}: {error}. "
        f"{TRACEBACK_ENV}=1 prints where it came from."
    )
