"""User code, found by a code pointer: a file, a module, a package, or a function that makes a job.

What user code raises while it is imported is a ``CodeLoadError`` with the user's own traceback and nothing of ours.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors.base import NotFoundError, RunplaneError
from ..errors.exit_codes import ExitCode
from ..errors.suggest import nearest
from ..events.causes import ErrorInfo
from ..events.origin import (
    LOAD_ALL_ASSETS,
    AutoloadDefsModuleCodePointer,
    CodePointer,
    CustomPointer,
    FileCodePointer,
    ModuleCodePointer,
    PackageCodePointer,
)
from .asset_port import asset_port, may_have_assets
from .definitions_object import Definitions, find_job
from .job import GraphDefinition, JobDefinition
from .user_errors import error_info, error_text


class CodeLoadError(RunplaneError):
    """User code that fails when it is imported. The text is the user's own traceback.

    Attributes:
        error: the exception as data.
    """

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, what: str, error: ErrorInfo) -> None:
        self.error = error
        super().__init__(f"{what} fails when it is imported:\n\n{error_text(error)}")


def load_job(pointer: CodePointer, job_name: str) -> JobDefinition:
    """The job called `job_name` of a code location.

    Raises:
        NotFoundError: no such file, module, attribute or job; the nearest name is in the text.
        CodeLoadError: the code fails when it is imported.
    """
    return find_job(load_jobs(pointer), job_name)


def load_jobs(pointer: CodePointer) -> Sequence[JobDefinition]:
    """All jobs that a code pointer leads to.

    Raises:
        NotFoundError, CodeLoadError: as ``load_job``.
    """
    return jobs_of(load_target(pointer), _described(pointer))


def jobs_of(target: Any, where: str) -> Sequence[JobDefinition]:
    """The jobs of a Definitions object, a job, a graph, or a function that gives one of them.

    Raises:
        NotFoundError: it is something else.
    """
    if isinstance(target, Definitions):
        return target.resolve_all_job_defs()
    if isinstance(target, JobDefinition):
        return [target]
    if isinstance(target, GraphDefinition):
        return [target.to_job()]
    if inspect.isfunction(target):
        with _users_errors(where):
            made = target()
        if not inspect.isfunction(made):
            return jobs_of(made, where)
    raise NotFoundError(
        "this is not a code location.",
        where=where,
        got=f"an object of type {type(target).__name__}",
        expected="a Definitions object, a job, a graph, or a function that returns one of them",
    )


def load_target(pointer: CodePointer) -> Any:
    """What a code pointer points to, user code imported.

    Raises:
        NotFoundError, CodeLoadError: as ``load_job``.
    """
    if isinstance(pointer, CustomPointer):
        reconstructor = load_target(pointer.reconstructor_pointer)
        with _users_errors(_described(pointer)):
            return reconstructor(*pointer.reconstructable_args, **dict(pointer.reconstructable_kwargs))
    if isinstance(pointer, FileCodePointer):
        return _attribute(_module_of_file(pointer), pointer.fn_name, _described(pointer))
    if isinstance(pointer, ModuleCodePointer):
        return load_attribute(pointer)
    if isinstance(pointer, PackageCodePointer):
        return load_attribute(ModuleCodePointer(pointer.module, pointer.attribute, pointer.working_directory))
    if isinstance(pointer, AutoloadDefsModuleCodePointer):
        return find_target(_module(pointer.module, pointer.working_directory), _described(pointer))
    raise NotFoundError("this is not a code pointer.", got=type(pointer).__name__)


def load_attribute(pointer: ModuleCodePointer) -> Any:
    """An attribute of an importable module.

    Raises:
        NotFoundError, CodeLoadError: as ``load_job``.
    """
    return _attribute(_module(pointer.module, pointer.working_directory), pointer.fn_name, _described(pointer))


def load_module_of(pointer: FileCodePointer | AutoloadDefsModuleCodePointer) -> ModuleType:
    """The module of a file or an importable module, whatever it defines.

    Raises:
        NotFoundError, CodeLoadError: as ``load_job``.
    """
    if isinstance(pointer, FileCodePointer):
        return _module_of_file(pointer)
    return _module(pointer.module, pointer.working_directory)


def attribute_beside(pointer: CodePointer | None, module: str, name: str) -> Any:
    """An attribute of a module by the name that it has where the code of `pointer` was loaded: the pointer's own file, a module
    beside it, or one that is installed.

    Raises:
        NotFoundError, CodeLoadError: as ``load_job``.
    """
    while isinstance(pointer, CustomPointer):
        pointer = pointer.reconstructor_pointer
    if isinstance(pointer, FileCodePointer):
        path = Path(pointer.python_file).absolute()
        if module in ("__main__", path.stem, _second_name(path)):
            return _attribute(_module_of_file(pointer), name, _described(pointer))
        _put_beside(path)
    working_directory = pointer.working_directory if pointer is not None else None
    return _attribute(_module(module, working_directory), name, f"module {module}")


def find_target(module: ModuleType, where: str) -> Any:
    """The one thing in a module that makes a code location: its Definitions object, or else its job or graph, or all its assets.

    Raises:
        NotFoundError: nothing, or several Definitions objects.
    """
    return _attribute(module, find_attribute(module, where), where)


def find_attribute(module: ModuleType, where: str) -> str:
    """The name of what ``find_target`` finds: the Definitions object, or the only job, or the only graph, or the mark of all assets.

    Raises:
        NotFoundError: there is none, or there are several of a kind.
    """
    for kind in (Definitions, JobDefinition, GraphDefinition):
        names = [name for name, value in vars(module).items() if isinstance(value, kind)]
        distinct = {id(getattr(module, name)) for name in names}
        if len(distinct) == 1:
            return names[0]
        if len(distinct) > 1:
            raise NotFoundError(
                f"there are several {kind.__name__} objects.",
                where=where,
                got=", ".join(sorted(names)),
                hint="Name the one that is meant (-a NAME).",
            )
    if _all_of(module).resolve_all_job_defs():
        return LOAD_ALL_ASSETS
    raise NotFoundError("there is no Definitions object, job, graph or asset.", where=where)


def _module(name: str, working_directory: str | None) -> ModuleType:
    _put_on_path(working_directory)
    where = f"module {name}"
    try:
        with _users_errors(where):
            return importlib.import_module(name)
    except CodeLoadError as error:
        cause = error.__cause__
        if (
            isinstance(cause, ModuleNotFoundError)
            and cause.name
            and (name == cause.name or name.startswith(f"{cause.name}."))
        ):
            raise NotFoundError(
                f"there is no module '{name}'.",
                got=f"no module named '{cause.name}'",
                hint="Is it on the Python path? -d sets the working directory.",
            ) from None
        raise


def _module_of_file(pointer: FileCodePointer) -> ModuleType:
    _put_on_path(pointer.working_directory)
    path = Path(pointer.python_file).absolute()
    _put_beside(path)
    if path.is_dir():
        raise NotFoundError("this is a folder, not a Python file.", where=pointer.python_file)
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise NotFoundError(
            f"there is no file {pointer.python_file}.",
            hint=f"It was looked for at {path}.",
            nearest=nearest(path.name, siblings),
        )
    # The module gets the file's own name where that is free, so that pickled classes of it are found again.
    name = path.stem
    known = sys.modules.get(name)
    if known is not None:
        if getattr(known, "__file__", None) and Path(str(known.__file__)).absolute() == path:
            return known
        name = _second_name(path)
        if name in sys.modules:
            return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise NotFoundError("this is not a Python file.", where=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _users_errors(f"file {pointer.python_file}"):
            spec.loader.exec_module(module)
    except CodeLoadError:
        del sys.modules[name]
        raise
    return module


def _second_name(path: Path) -> str:
    """What the module of a file is called when its own name is taken."""
    return f"{path.stem}_{hashlib.sha1(str(path).encode(), usedforsecurity=False).hexdigest()[:8]}"


def _put_beside(path: Path) -> None:
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last: modules beside the file are found, and hide nothing


def _put_on_path(working_directory: str | None) -> None:
    folder = os.path.abspath(working_directory or os.curdir)
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _attribute(module: ModuleType, name: str, where: str) -> Any:
    if name == LOAD_ALL_ASSETS:
        return _all_of(module)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise NotFoundError(f"there is no '{name}'.", where=where, nearest=nearest(part, vars(found)))
        found = getattr(found, part)
    return found


def _all_of(module: ModuleType) -> Definitions:
    """All jobs, assets and checks at the top of a module that has no Definitions object."""
    if not may_have_assets():
        return Definitions()
    assets = asset_port()
    location = assets.of_module(module)
    jobs = {
        id(value): value
        for value in vars(module).values()
        if isinstance(value, JobDefinition) or assets.is_asset_job(value)
    }
    return Definitions(assets=location.assets, asset_checks=location.checks, jobs=jobs.values())


@contextmanager
def _users_errors(what: str) -> Iterator[None]:
    """What user code raises becomes a ``CodeLoadError``; an interrupt stays one."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise CodeLoadError(what, error_info(error)) from error


def _described(pointer: CodePointer) -> str:
    if isinstance(pointer, FileCodePointer):
        return f"file {pointer.python_file}"
    if isinstance(pointer, CustomPointer):
        return f"{_described(pointer.reconstructor_pointer)} (a function that makes a job)"
    return f"module {pointer.module}"
