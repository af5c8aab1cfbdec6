"""Config that stands for other config: of a graph or a job (``ConfigMapping``), of an op or a resource (``configured``).

Source: https://docs.dagster.io/api/dagster/config (ConfigMapping, config_mapping, configured)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..errors.base import DagsterError
from ..errors.problems import Problems
from ..serdes.record import frozen_record, record
from .config_schema import ConfigType, Environment, Field, as_field
from .errors import DagsterConfigMappingFunctionError
from .ins_outs import UNSET


@frozen_record
class ConfigMapping:
    """Config of a graph or a job, from which that of its ops is made.

    Attributes:
        config_fn: from the config to that of the ops (of a job: to whole run config, or a ``RunConfig``).
        config_schema: the shape of the config; None: anything.
        receive_processed_config_values: kept; the function always gets values with defaults filled in.
    """

    config_fn: Callable[[Any], Mapping[str, Any]]
    config_schema: Any = None
    receive_processed_config_values: bool | None = None

    def map(self, given: Any, problems: Problems, env: Environment | None) -> Any:
        """What `given` stands for; what is wrong with it goes to `problems`.

        Raises:
            DagsterConfigMappingFunctionError: the function raised.
        """
        if self.config_schema is not None:
            field = as_field(self.config_schema)
            default = {} if field.default_value is UNSET else field.default_value
            given = field.config_type.read(default if given is None else given, problems, env)
            if problems.found:
                return {}
        made = called(self.config_fn, given)
        as_mapping = getattr(made, "to_config_dict", None)  # a RunConfig
        return made if as_mapping is None else as_mapping()


def config_mapping(
    config_fn: Callable[..., Mapping[str, Any]] | None = None,
    *,
    config_schema: Any = None,
    receive_processed_config_values: bool | None = None,
) -> Any:
    """Make a config mapping of a function. A parameter that is annotated with a ``Config`` class gives the schema."""

    def wrap(fn: Callable[..., Mapping[str, Any]]) -> ConfigMapping:
        annotation = next(iter(inspect.signature(fn, eval_str=True).parameters.values())).annotation
        make = getattr(annotation, "runplane_from_config", None)
        if make is None:
            return ConfigMapping(fn, config_schema, receive_processed_config_values)
        return ConfigMapping(lambda given: fn(make(given)), annotation, receive_processed_config_values)

    return wrap if config_fn is None else wrap(config_fn)


@record
class StandsFor:
    """The kind of a value that is made of another: `inner` of what `given` (a value, or a function of `outer`) says."""

    inner: Field
    given: Any
    outer: Field | None

    def describe(self) -> str:
        """The kind that users give."""
        return self.outer.describe() if self.outer else "nothing"

    def implicit_default(self) -> Any:
        """As the outer kind: nothing has to be given where there is none."""
        return {} if self.outer is None or not self.outer.is_required else UNSET

    def read(self, value: Any, problems: Problems, env: Environment | None) -> Any:
        """What it stands for, checked."""
        if self.outer is not None:
            value = self.outer.config_type.read(value, problems, env)
            if problems.found:
                return value
        made = called(self.given, value) if callable(self.given) else self.given
        return self.inner.config_type.read(made, problems, env)


def called(fn: Callable[[Any], Any], config: Any) -> Any:
    """What the user's function makes of `config`.

    Raises:
        DagsterConfigMappingFunctionError: it raised.
    """
    try:
        return fn(config)
    except DagsterError:
        raise
    except Exception as error:
        name = getattr(fn, "__name__", "a function")
        raise DagsterConfigMappingFunctionError(f"the config function '{name}' failed.") from error


def configured_field(inner: Field | None, given: Any, config_schema: Any) -> Field:
    """The config of a definition that was configured: what is left to give."""
    outer = None if not callable(given) or config_schema in (UNSET, None) else as_field(config_schema)
    if callable(given) and outer is None:
        outer = as_field(Any)
    kind: ConfigType = StandsFor(inner or as_field(Any), given, outer)
    return Field(kind)


def configured(configurable: Any, config_schema: Any = UNSET, **kwargs: Any) -> Any:
    """Decorate a function of config: gives `configurable` (an op, a resource, an executor, a logger) configured by it.

    Args:
        config_schema: the shape of the config that the function takes.
        kwargs: passed on to ``configurable.configured``; a name, where it takes one, is the function's.
    """

    def wrap(fn: Callable[[Any], Any]) -> Any:
        takes_name = "name" in inspect.signature(configurable.configured).parameters
        name = {"name": kwargs.pop("name", None) or fn.__name__} if takes_name else {}
        schema = {} if config_schema is UNSET else {"config_schema": config_schema}
        return configurable.configured(fn, **name, **schema, **kwargs)

    return wrap
