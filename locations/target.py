"""Where a person says that definitions are: a file, a module or a package, and which attribute of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..events.origin import CodePointer
from ..serdes.record import record


@record
class CodeTarget:
    """What ``-f``, ``-m``, ``--package-name``, ``-a`` and ``-d`` say. Exactly one of the first three is given.

    Attributes:
        python_file: path of a Python file.
        module_name: an importable module.
        package_name: an installed package.
        attribute: the Definitions object, job, graph or function in it; None: found.
        working_directory: put on the import path; None: the current directory.
    """

    python_file: str | None = None
    module_name: str | None = None
    package_name: str | None = None
    attribute: str | None = None
    working_directory: str | None = None

    def __str__(self) -> str:
        what = f"file {self.python_file}" if self.python_file else f"module {self.module_name or self.package_name}"
        return f"{what}, attribute {self.attribute}" if self.attribute else what


@record
class CodeRequest:
    """What the process that imports user code is to load: a target, or the pointer that a stored run has."""

    target: CodeTarget | None = None
    pointer: CodePointer | None = None

    def describe(self) -> str:
        """For messages."""
        return str(self.target) if self.target else "the code of the run"


def target_to_body(target: CodeTarget) -> dict[str, Any]:
    """The form that travels to the process that imports."""
    return {name: getattr(target, name) for name in CodeTarget.__dataclass_fields__}


def target_from_body(body: Mapping[str, Any]) -> CodeTarget:
    """The reverse of ``target_to_body``."""
    return CodeTarget(**body)
