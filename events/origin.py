"""Where code is found again by another process: code pointers and origins, with Dagster's fields.

`extra` of each holds fields of the document that this version does not know, so that nothing is lost on the way through.
Source: https://docs.dagster.io/api/dagster/internals; how they look in documents is registered in ``wire.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Union

from ..serdes.record import record


@record
class FileCodePointer:
    """`fn_name` in the file `python_file`; relative files are opened from the process' current directory."""

    python_file: str
    fn_name: str
    working_directory: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@record
class ModuleCodePointer:
    """`fn_name` in the importable `module`."""

    module: str
    fn_name: str
    working_directory: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@record
class PackageCodePointer:
    """`attribute` in an installed package."""

    module: str
    attribute: str
    working_directory: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@record
class AutoloadDefsModuleCodePointer:
    """The ``Definitions`` found in `module`."""

    module: str
    working_directory: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@record
class CustomPointer:
    """A function (`reconstructor_pointer`) that is called with arguments and returns the definition."""

    reconstructor_pointer: CodePointer
    reconstructable_args: tuple[Any, ...] = ()
    reconstructable_kwargs: tuple[tuple[str, Any], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


CodePointer = Union[  # noqa: UP007 - it names itself, so it has to be a runtime Union
    FileCodePointer, ModuleCodePointer, PackageCodePointer, AutoloadDefsModuleCodePointer, CustomPointer
]

LOAD_ALL_ASSETS = "<<LOAD_ALL_ASSETS>>"
"""`fn_name` of a bare module whose assets, jobs and resources are all taken."""


@record
class RepositoryOrigin:
    """How to load a code location (stored as ``RepositoryPythonOrigin``).

    Attributes:
        executable_path: the Python that has the code installed.
        code_pointer: where the definitions are.
        container_image: image of the code's container, if it has one.
        entry_point: argv prefix of the command there; None means ``[executable_path, "-m", "runplane"]``.
        container_context: what the code location wants in its pods.
    """

    executable_path: str
    code_pointer: CodePointer
    container_image: str | None = None
    entry_point: tuple[str, ...] | None = None
    container_context: Mapping[str, Any] | None = field(default=None, hash=False)
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@record
class JobOrigin:
    """A job in a code location (stored as ``PipelinePythonOrigin``)."""

    job_name: str
    repository_origin: RepositoryOrigin
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
