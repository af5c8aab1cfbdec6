"""Class pointers: `{module, class, config}` in a document, and the one function that turns a class name into an object."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from ..errors import NotFoundError, nearest
from ..serdes.record import record

_PRIVATE = re.compile(r"^dagster\._")
_PUBLIC = re.compile(r"^dagster\.([^_])")


@record
class ClassPointer:
    """A class named by a document.

    Attributes:
        module: the importable module, as written.
        class_name: the class in it (dots for a nested one).
        config: what the class is to be built from, environment sources unresolved.
    """

    module: str
    class_name: str
    config: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.module}:{self.class_name}"


def public_module(module: str) -> str:
    """Dagster's public form of a module name: `dagster._core.storage` -> `dagster.core.storage`. Others are unchanged."""
    return _PRIVATE.sub("dagster.", module)


def private_module(module: str) -> str:
    """The reverse of `public_module`: the form under which Dagster's own submodules are imported."""
    return _PUBLIC.sub(r"dagster._\1", module)


def load_class(pointer: ClassPointer, *, where: str) -> type[Any]:
    """Import the module and get the class: the only place where a name in a document becomes an object.

    Args:
        pointer: what to load.
        where: the place that named it (`dagster.yaml: run_launcher`), for the message.

    Raises:
        NotFoundError: the module or the class is not there; the text names both, the nearest name, and the import's own error.
    """
    try:
        module = importlib.import_module(pointer.module)
    except ModuleNotFoundError as error:
        raise _no_module(pointer, error, where) from error
    except Exception as error:
        raise NotFoundError(
            f"the module {pointer.module!r} of the class {pointer.class_name!r} fails when it is imported: "
            f"{type(error).__name__}: {error}",
            where=where,
        ) from error
    found: Any = module
    for name in pointer.class_name.split("."):
        if not hasattr(found, name):
            raise NotFoundError(
                f"the module {pointer.module!r} has no class {pointer.class_name!r}",
                where=where,
                nearest=nearest(name, [n for n, v in vars(found).items() if isinstance(v, type)]),
            )
        found = getattr(found, name)
    if not isinstance(found, type):
        raise NotFoundError(
            f"{pointer.class_name!r} of the module {pointer.module!r} is not a class",
            where=where,
            got=type(found).__name__,
        )
    return found


def _no_module(pointer: ClassPointer, error: ModuleNotFoundError, where: str) -> NotFoundError:
    missing = error.name or pointer.module
    if pointer.module == missing or pointer.module.startswith(missing + "."):
        return NotFoundError(
            f"no module {missing!r}, where the class {pointer.class_name!r} is to be found",
            where=where,
            nearest=_nearest_module(missing),
            hint="Is its package installed in this environment, or its folder on PYTHONPATH?",
        )
    return NotFoundError(
        f"the module {pointer.module!r} of the class {pointer.class_name!r} needs the module {missing!r}, which is not installed",
        where=where,
    )


def _nearest_module(missing: str) -> str | None:
    """The importable module whose name is close to `missing`, looked for beside it."""
    parent, _, name = missing.rpartition(".")
    beside = importlib.import_module(parent).__path__ if parent else None
    close = nearest(name, [m.name for m in pkgutil.iter_modules(beside)])
    return f"{parent}.{close}" if parent and close else close
