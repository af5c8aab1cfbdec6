"""A part of the configuration becomes an object: the class is found, its config checked, filled and resolved, and it is built.

Ours and a third party's classes are built alike: the class may offer ``config_type()`` (see ``class_types.py``) and offers
``from_config_value(inst_data, config)``; without it, the config's keys become arguments of the constructor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config.pointer import ClassPointer, load_class, private_module
from ..config.schema import Schema, resolve
from ..errors import NotFoundError, RunplaneError
from ..serdes.record import record
from .class_types import shape_of_class
from .known_classes import is_dagsters, nearest_known
from .parts import Part


@record
class FoundClass:
    """A part's class, imported.

    Attributes:
        part: the part.
        cls: the class: ours for one of Dagster's, else the third party's own.
        schema: the shape of its config.
    """

    part: Part
    cls: type[Any]
    schema: Schema

    def config(self, env: Mapping[str, str]) -> dict[str, Any]:
        """The config checked, with defaults and `{env: NAME}` resolved in this process. Raises ConfigErrors with all problems."""
        found: dict[str, Any] = resolve(self.schema, self.part.config, env, where=self.part.where, path=self.part.path)
        return found


def find_class(part: Part) -> FoundClass:
    """Import the class of a part.

    Raises:
        UnsupportedError: one of Dagster's classes that this version can not build; its name and what to use instead.
        NotFoundError: no such module or class.
    """
    where = f"{part.where}: {part.path.removesuffix('.config')}"
    known = part.known
    if known is not None:
        return FoundClass(part, load_class(known.target(where=where), where=where), known.schema)
    if is_dagsters(part.module):
        raise NotFoundError(
            "no such class among Dagster's",
            where=where,
            got=f"{part.module}:{part.class_name}",
            nearest=nearest_known(part.module, part.class_name, part.name),
        )
    module = part.module if part.name == "instance_class" else private_module(part.module)
    cls = load_class(ClassPointer(module, part.class_name), where=where)
    return FoundClass(part, cls, shape_of_class(cls, where=where))


def build_part(part: Part, env: Mapping[str, str]) -> Any:
    """The object that a part describes.

    Raises ConfigErrors (config, environment), UnsupportedError, NotFoundError; RunplaneError if the class refuses its own config.
    """
    return build(find_class(part), env)


def build(found: FoundClass, env: Mapping[str, str]) -> Any:
    """The object of a class that is already imported. Raises as ``build_part``."""
    config = found.config(env)
    make = getattr(found.cls, "from_config_value", None)
    part = found.part
    try:
        return found.cls(**config) if make is None else make(part.to_data(), config)
    except TypeError as error:
        raise RunplaneError(
            f"{found.cls.__qualname__} can not be built from its config: {error}",
            where=f"{part.where}: {part.path}",
            hint="Its config_type() and its constructor do not agree.",
        ) from error
