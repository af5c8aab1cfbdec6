"""Resources: what ops share and tests replace (a client, a connection, a path), made for a run or a step, closed after it.

Source: https://docs.dagster.io/api/dagster/resources
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import field, replace
from types import MappingProxyType
from typing import Any, TypeVar

from ..errors.base import ConfigErrors
from ..errors.problems import Problems
from ..errors.suggest import nearest
from ..events.run import Run
from ..serdes.record import frozen_record
from .config_schema import Field, Permissive, as_field
from .errors import DagsterInvalidDefinitionError, DagsterUnknownResourceError
from .ins_outs import UNSET


class Resources:
    """The resources an op asked for, as attributes."""

    def __init__(self, by_key: Mapping[str, Any]) -> None:
        self._by_key = MappingProxyType(dict(by_key))

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        try:
            return self._by_key[key]
        except KeyError:
            raise DagsterUnknownResourceError(
                f"there is no resource {key!r} here",
                expected=", ".join(sorted(self._by_key)) or "none: the op requires no resources",
                nearest=nearest(key, self._by_key),
                hint="Name it in required_resource_keys, or take it as a parameter.",
            ) from None

    def _asdict(self) -> dict[str, Any]:
        return dict(self._by_key)


@frozen_record
class InitResourceContext:
    """What a resource function is given.

    Attributes:
        resource_config: its config, checked, defaults filled in.
        resources: the resources it requires.
        run: the run it is made for; None outside a run.
        log: a logger.
        resource_def: its definition.
        instance: the instance, when there is one in this process.
        storage_dir: folder where the instance keeps files, or None.
        all_resource_defs: the definitions of all resources that are opened with it, by key.
    """

    resource_config: Any = None
    resources: Resources = field(default_factory=lambda: Resources({}))
    run: Run | None = None
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("dagster"))
    resource_def: Any = None
    instance: Any = None
    storage_dir: str | None = None

    all_resource_defs: Mapping[str, Any] = field(default_factory=dict)

    def replace_config(self, config: Any) -> InitResourceContext:
        """The same context with another config."""
        return replace(self, resource_config=config)

    @property
    def log_manager(self) -> logging.Logger:
        """As ``log``."""
        return self.log

    @property
    def run_id(self) -> str | None:
        """The run's id."""
        return self.run.run_id if self.run else None

    @property
    def dagster_run(self) -> Run | None:
        """The run."""
        return self.run


class ResourceDefinition:
    """How one resource is made.

    Args:
        resource_fn: gives the resource, or yields it once and cleans up after the ``yield``. Takes the context or nothing.
        config_schema: the shape of its config.
        description: for people.
        required_resource_keys: other resources that it uses.
        version: kept.
    """

    in_memory_only = False
    keeps_files = False
    """Whether what it keeps is gone with this process (the IO manager that keeps values in memory)."""

    def __init__(
        self,
        resource_fn: Callable[..., Any],
        config_schema: Any = UNSET,
        description: str | None = None,
        required_resource_keys: AbstractSet[str] | None = None,
        version: str | None = None,
    ) -> None:
        self.resource_fn = resource_fn
        self.config_field: Field | None = None if config_schema in (UNSET, None) else as_field(config_schema)
        self.description = description
        self.required_resource_keys = frozenset(required_resource_keys or ())
        self.version = version
        self._takes_context = bool(inspect.signature(resource_fn).parameters)

    @property
    def config_schema(self) -> Field | None:
        """The schema of its config."""
        return self.config_field

    @staticmethod
    def hardcoded_resource(value: Any, description: str | None = None) -> ResourceDefinition:
        """A resource that is `value`."""
        return ResourceDefinition(lambda: value, description=description)

    @staticmethod
    def none_resource(description: str | None = None) -> ResourceDefinition:
        """A resource that is None."""
        return ResourceDefinition.hardcoded_resource(None, description)

    def configured(
        self, config_or_config_fn: Any, config_schema: Any = UNSET, description: str | None = None
    ) -> ResourceDefinition:
        """The same resource with its config given now, or made from another config by a function."""
        return ConfiguredResource(self, config_or_config_fn, config_schema, description)

    def final_config(self, config: Any) -> Any:
        """The config that the resource function sees."""
        return config

    @contextmanager
    def open(self, context: InitResourceContext) -> Iterator[Any]:
        """The resource, closed at the end."""
        made = self.resource_fn(context) if self._takes_context else self.resource_fn()
        if inspect.isgenerator(made):
            with contextmanager(lambda: made)() as value:
                yield value
        elif hasattr(made, "__enter__") and getattr(self.resource_fn, "__runplane_context_manager__", False):
            with made as value:
                yield value
        else:
            yield made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the resource function (tests do that). One that yields gives a context manager."""
        made = self.resource_fn(*args, **kwargs)
        return contextmanager(lambda: made)() if inspect.isgenerator(made) else made


class ConfiguredResource(ResourceDefinition):
    """A resource whose config was given where it is defined."""

    def __init__(self, inner: ResourceDefinition, given: Any, config_schema: Any, description: str | None) -> None:
        super().__init__(
            inner.resource_fn,
            config_schema if callable(given) and config_schema is not UNSET else UNSET,
            description or inner.description,
            inner.required_resource_keys,
            inner.version,
        )
        self.inner = inner
        self.given = given
        self.in_memory_only = inner.in_memory_only
        self.keeps_files = inner.keeps_files

    def final_config(self, config: Any) -> Any:
        """The given config, or what the function makes of `config`."""
        return self.inner.final_config(self.given(config) if callable(self.given) else self.given)

    @contextmanager
    def open(self, context: InitResourceContext) -> Iterator[Any]:
        """As the inner resource."""
        with self.inner.open(context) as value:
            yield value


def resource(
    config_schema: Any = UNSET,
    description: str | None = None,
    required_resource_keys: AbstractSet[str] | None = None,
    version: str | None = None,
) -> Any:
    """Make a resource of a function that gives it, or yields it once and cleans up afterwards.

    Args:
        config_schema: the shape of its config (or the function, when used without parentheses).
        description: for people.
        required_resource_keys: other resources that it uses by ``context.resources``.
        version: kept.
    """
    return decorator(ResourceDefinition, config_schema, description, required_resource_keys, version)


def decorator(
    make: Callable[..., ResourceDefinition], config_schema: Any, description: str | None, *options: Any
) -> Any:
    """What a decorator of functions that make resources gives.

    Args:
        make: gives the definition; its arguments are the function, then those of ``ResourceDefinition``.
        config_schema: the function itself, where the decorator stands without parentheses: then the definition is given at once.
        *options: the further arguments.
    """
    if callable(config_schema) and not isinstance(config_schema, type):
        return make(config_schema, UNSET, config_schema.__doc__)
    return lambda fn: make(fn, config_schema, description or fn.__doc__, *options)


C = TypeVar("C")


class ClosesResources:
    """A context made for tests. As a context manager it closes the resources that it opened."""

    _opening: AbstractContextManager[Resources]

    def __enter__(self: C) -> C:
        return self

    def __exit__(self, *error: Any) -> None:
        self._opening.__exit__(*error)


@contextmanager
def opened_resources(
    given: Mapping[str, Any], config: Mapping[str, Any] | None = None, **facts: Any
) -> Iterator[Resources]:
    """Resources outside a run, each opened after those that it needs, closed at the end.

    Args:
        given: resources or their definitions, by key.
        config: config of those that are definitions, by key.
        facts: what their ``InitResourceContext`` shows besides (``instance``, ``run``, ``log``).

    Raises:
        DagsterInvalidDefinitionError: one needs another that is not given.
        ConfigErrors: a config is not right.
    """
    definitions = {key: resource_definition(key, value) for key, value in given.items()}
    for key, definition in definitions.items():
        for needed in sorted(definition.required_resource_keys - set(definitions)):
            raise DagsterInvalidDefinitionError(
                f"resource with key '{needed}' required by resource with key '{key}' was not provided.",
                nearest=nearest(needed, definitions),
            )
    made: dict[str, Any] = {}
    with ExitStack() as stack:
        for key in in_order_of_need(list(definitions), definitions.__getitem__):
            definition = definitions[key]
            context = InitResourceContext(
                resource_config=_checked_config(key, definition, (config or {}).get(key)),
                resources=Resources({k: made[k] for k in definition.required_resource_keys}),
                resource_def=definition,
                all_resource_defs=definitions,
                **facts,
            )
            made[key] = stack.enter_context(definition.open(context))
        yield Resources(made)


def in_order_of_need(keys: Sequence[str], definition: Callable[[str], ResourceDefinition]) -> list[str]:
    """The keys, each after those it needs. What is needed and not among them is left to whoever opened it before."""
    ordered: list[str] = []
    waiting = set(keys)

    def place(key: str) -> None:
        if key not in waiting:
            return
        waiting.discard(key)
        for needed in sorted(definition(key).required_resource_keys):
            place(needed)
        ordered.append(key)

    for key in keys:
        place(key)
    return ordered


def _checked_config(key: str, definition: ResourceDefinition, config: Any) -> Any:
    """Config of a resource, defaults filled in, with or without the envelope ``{"config": ...}`` of run config."""
    if isinstance(config, Mapping) and set(config) == {"config"}:
        config = config["config"]
    field_ = definition.config_field
    if field_ is not None:
        if config is None:
            config = {} if field_.default_value is UNSET else field_.default_value
        problems = Problems(f"resources.{key}.config")
        config = field_.config_type.read(config, problems, os.environ)
        if problems.found:
            raise ConfigErrors(problems.found, where=f"resource '{key}'")
    return definition.final_config(config)


def make_values_resource(**kwargs: Any) -> ResourceDefinition:
    """A resource whose config is a mapping of values, which user code gets as it is.

    Args:
        kwargs: name to the kind of each value; none: any mapping.
    """
    return ResourceDefinition(lambda context: context.resource_config, config_schema=kwargs or Permissive())


def is_definition(given: Any) -> bool:
    """Whether what a user gave as a resource has to be opened; anything else is the resource itself."""
    return isinstance(given, ResourceDefinition) or hasattr(given, "runplane_resource_definition")


def resource_definition(key: str, given: Any) -> ResourceDefinition:
    """What a user put under a resource key as a definition: a definition, a configurable resource, or any object.

    Raises:
        DagsterInvalidDefinitionError: a class where an object is meant.
    """
    if isinstance(given, ResourceDefinition):
        return given
    if isinstance(given, type) and hasattr(given, "runplane_resource_definition"):
        raise DagsterInvalidDefinitionError(
            f"Resource with key '{key}' is a class, {given.__name__}.",
            expected="an object of it",
            hint=f"Write {given.__name__}(...) or {given.__name__}.configure_at_launch().",
        )
    if hasattr(given, "runplane_resource_definition"):
        definition: ResourceDefinition = given.runplane_resource_definition()
        return definition
    return ResourceDefinition.hardcoded_resource(given)
