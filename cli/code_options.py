"""The options that say where definitions are, and how a run of a job is asked for: as in Dagster's command."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from ..config.variables import seconds_from
from ..errors import ConfigErrors, NotFoundError, Problem
from ..events.origin import CodePointer
from ..locations.subprocess_source import STARTUP_TIMEOUT_S, TIMEOUT_ENV, SubprocessCodeSource
from ..locations.target import CodeRequest, CodeTarget

F = TypeVar("F", bound=Callable[..., Any])
IMAGE_ENV = "DAGSTER_CURRENT_IMAGE"
CONTEXT_ENV = ("DAGSTER_CLI_API_GRPC_CONTAINER_CONTEXT", "DAGSTER_CONTAINER_CONTEXT")
"""Where a code location's process finds its container context."""


@dataclass(frozen=True, slots=True)
class CodeOptions:
    """What the options said, as given.

    Attributes:
        target: where the code is.
        image, container_context: what origins are to say of the code's container; None: what the environment says.
    """

    target: CodeTarget
    image: str | None = None
    container_context: Mapping[str, Any] | None = None

    def open(self, timeout_s: float = STARTUP_TIMEOUT_S) -> SubprocessCodeSource:
        """A process that imports it. Raises ConfigErrors: the environment's container context is no mapping."""
        source = open_source(CodeRequest(target=self.target), timeout_s)
        source.image = self.image or source.image
        source.container_context = self.container_context if self.container_context is not None else _context_of_env()
        return source


def open_pointer(pointer: CodePointer, timeout_s: float = STARTUP_TIMEOUT_S) -> SubprocessCodeSource:
    """A process that imports the code of a stored run."""
    return open_source(CodeRequest(pointer=pointer), timeout_s)


def open_source(request: CodeRequest, timeout_s: float) -> SubprocessCodeSource:
    """A process that imports `request`; the environment's time limit wins over `timeout_s`."""
    return SubprocessCodeSource(
        request, timeout_s=seconds_from(os.environ, TIMEOUT_ENV, timeout_s), image=os.environ.get(IMAGE_ENV)
    )


def with_code_options(verb: F) -> F:
    """Add the options to a verb; it gets them as one argument `code`, a ``CodeOptions``."""

    @functools.wraps(verb)  # with the options that it has so far
    def gather(
        python_file: str | None,
        module_name: str | None,
        package_name: str | None,
        attribute: str | None,
        working_directory: str | None,
        **rest: Any,
    ) -> Any:
        given = [name for name in (python_file, module_name, package_name) if name is not None]
        if "" in given:
            raise click.UsageError("-f, -m and --package-name want a name (got an empty one).")
        if len(given) != 1:
            got = "none" if not given else " and ".join(given)
            raise click.UsageError(
                f"Say where the job is: one of -f FILE, -m MODULE, --package-name PACKAGE (got {got})."
            )
        # A run may be resumed or run again from another directory: a file is stored with its whole path.
        file = None if python_file is None else os.path.abspath(os.path.expanduser(python_file))
        folder = os.path.abspath(os.path.expanduser(working_directory or os.curdir))
        if not os.path.isdir(folder):
            raise click.UsageError(f"There is no folder {working_directory} (-d).")
        return verb(code=CodeOptions(CodeTarget(file, module_name, package_name, attribute, folder)), **rest)

    options = [
        click.option("-f", "--python-file", metavar="FILE", help="Python file with the definitions."),
        click.option("-m", "--module-name", metavar="MODULE", help="Importable module with the definitions."),
        click.option("--package-name", metavar="PACKAGE", help="Installed package with the definitions."),
        click.option(
            "-a", "--attribute", metavar="NAME", help="The Definitions object, job, graph or function in it. [found]"
        ),
        click.option(
            "-d", "--working-directory", metavar="FOLDER", help="Put on the import path. [the current directory]"
        ),
    ]
    decorated: Any = gather
    for option in reversed(options):
        decorated = option(decorated)
    found: F = decorated
    return found


def with_location_options(verb: F) -> F:
    """Add the options that say what container the code is in, for runs that start in a cluster. Put it below ``with_code_options``."""

    @functools.wraps(verb)
    def gather(code: CodeOptions, location: str | None, image: str | None, **rest: Any) -> Any:
        context = None if location is None else _context(_text_of(location), location)
        return verb(code=replace(code, image=image, container_context=context), **rest)

    options = [
        click.option(
            "--location",
            metavar="FILE",
            help=f"The code location's container context, YAML or JSON. [{CONTEXT_ENV[0]}]",
        ),
        click.option("--image", metavar="IMAGE", help=f"The code location's image. [{IMAGE_ENV}]"),
    ]
    decorated: Any = gather
    for option in reversed(options):
        decorated = option(decorated)
    found: F = decorated
    return found


def _context_of_env() -> Mapping[str, Any] | None:
    name = next((name for name in CONTEXT_ENV if os.environ.get(name)), None)
    return None if name is None else _context(os.environ[name], name)


def _context(text: str, where: str) -> Mapping[str, Any]:
    from ..instance.yaml_text import parse_yaml

    read = parse_yaml(text, where=where)
    if read is not None and not isinstance(read, dict):
        raise ConfigErrors([Problem("", "wrong type", got=type(read).__name__, expected="a mapping")], where=where)
    return read or {}


def _text_of(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFoundError(f"can not be read: {error}", where=file) from error


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is asked for: run config, tags, selection, id, each already read."""

    job: str | None
    run_config: dict[str, Any] | None
    tags: dict[str, str]
    selection: tuple[str, ...] | None
    run_id: str | None


def with_run_options(verb: F) -> F:
    """Add the options to a verb; it gets them as one argument `asked`, a ``RunOptions``. All are read before anything is done."""

    @functools.wraps(verb)
    def gather(
        job: str | None,
        config: tuple[str, ...],
        config_json: str | None,
        tags: str | None,
        select: str | None,
        run_id: str | None,
        **rest: Any,
    ) -> Any:
        from .run_config_files import read_run_config, read_tags

        asked = RunOptions(job, read_run_config(config, config_json), read_tags(tags), _queries(select), run_id)
        return verb(asked=asked, **rest)

    options = [
        click.option("-j", "--job", metavar="NAME", help="The job, where there are several."),
        click.option(
            "-c",
            "--config",
            metavar="FILE",
            multiple=True,
            help="Run config in YAML: a file, or a pattern in quotes; several are merged, the first wins.",
        ),
        click.option("--config-json", metavar="JSON", help="Run config as JSON, in place of -c."),
        click.option("--tags", metavar="JSON", help='Tags of the run, as JSON: {"team": "a"}.'),
        click.option(
            "-o",
            "--select",
            "--op-selection",
            "select",
            metavar="QUERY",
            help="Run a part: `a`, `*a` with all before it, `a+` with one level after it; several with commas.",
        ),
        click.option("--run-id", metavar="UUID", help="Id of the run. [drawn]"),
    ]
    decorated: Any = gather
    for option in reversed(options):
        decorated = option(decorated)
    found: F = decorated
    return found


def _queries(given: str | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    queries = tuple(query.strip() for query in given.split(",") if query.strip())
    if not queries:
        raise click.UsageError("--select is empty. Leave it out to run the whole job.")
    return queries
