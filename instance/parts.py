"""One part of an instance: a class that a document names, and its config, not yet resolved."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ..config.pointer import ClassPointer, public_module
from ..config.schema import type_name
from ..errors import ConfigErrors, Problems
from ..events.requests import ConfigurableClassData
from ..serdes.record import frozen_record
from .known_classes import KnownClass, find_known
from .yaml_text import dump_yaml, parse_yaml


@frozen_record
class Part:
    """A class of an instance.

    From an InstanceRef the config is YAML text and is parsed when it is first asked for: a worker that builds two parts
    reads the text of two.

    Attributes:
        name: the key of dagster.yaml that it stands for (`run_launcher`).
        module, class_name: as written.
        source: the config, as a mapping or as YAML text; environment sources unresolved.
        path: where the config stands in the document (`run_launcher.config`).
        where: the document, for messages.
    """

    name: str
    module: str
    class_name: str
    source: Mapping[str, Any] | str
    path: str
    where: str

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The config as written. Raises ConfigErrors for text that is not a YAML mapping."""
        if not isinstance(self.source, str):
            return self.source
        value = parse_yaml(self.source, where=f"{self.where}: {self.path}")
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            problems = Problems(self.path)
            problems.add("wrong type", got=type_name(value), expected="a mapping")
            raise ConfigErrors(problems.found, where=self.where)
        return value

    @cached_property
    def config_yaml(self) -> str:
        """The config as text: as it came, or as Dagster writes it."""
        return self.source if isinstance(self.source, str) else dump_yaml(dict(self.source))

    @property
    def pointer(self) -> ClassPointer:
        """Module, class and config together."""
        return ClassPointer(self.module, self.class_name, self.config)

    @property
    def known(self) -> KnownClass | None:
        """The class of Dagster that it names, or None for a third party's."""
        return find_known(self.module, self.class_name)

    def to_data(self) -> ConfigurableClassData:
        """The form in an InstanceRef: Dagster's own modules under their public names."""
        return ConfigurableClassData(public_module(self.module), self.class_name, self.config_yaml)
