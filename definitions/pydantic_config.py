"""Config and resources as pydantic classes. The only module that imports pydantic, and only user code asks for it.

Source: https://docs.dagster.io/api/dagster/config (Config, ConfigurableResource, EnvVar)
"""

from __future__ import annotations

import os
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from enum import Enum as PythonEnum
from typing import Any

import pydantic
from pydantic_core import PydanticUndefined

from ..errors.base import ConfigErrors
from ..errors.problems import Problem, Problems
from .config_schema import (
    ANY,
    Array,
    BoolSource,
    ConfigType,
    Enum,
    Field,
    FloatSource,
    IntSource,
    Map,
    Noneable,
    Permissive,
    Selector,
    Shape,
    StringSource,
)
from .env_var import EnvVar
from .errors import DagsterInvalidInvocationError
from .ins_outs import UNSET
from .io_manager import IOManager, IOManagerDefinition
from .resources import InitResourceContext, ResourceDefinition, resource_definition
from .tagged_unions import choices, tag_as_field, tag_as_key

_SOURCES: dict[Any, ConfigType] = {int: IntSource, float: FloatSource, str: StringSource, bool: BoolSource}


class Config(pydantic.BaseModel):
    """Config of an op as a class; the op's parameter ``config`` is annotated with it."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    def __setattr__(self, name: str, value: Any) -> None:
        """Refused: config does not change while it is used.

        Raises:
            DagsterInvalidInvocationError: always, but for private attributes.
        """
        try:
            super().__setattr__(name, value)
        except pydantic.ValidationError as error:
            raise DagsterInvalidInvocationError(
                f"{type(self).__name__} is config, and can not be changed: attribute '{name}'.",
                hint="Keep what changes in a private attribute (`_name`), or make another object.",
            ) from error

    @pydantic.model_validator(mode="before")
    @classmethod
    def _tags_as_fields(cls, data: Any) -> Any:
        return tag_as_field(cls.model_fields, data)

    @classmethod
    def runplane_config_type(cls) -> ConfigType:
        """The class as a schema."""
        return _schema(cls)

    @classmethod
    def runplane_from_config(cls, value: Mapping[str, Any]) -> Config:
        """An object of the class from checked config.

        Raises:
            ConfigErrors: a validator of the class refuses it.
        """
        try:
            return cls(**value)
        except pydantic.ValidationError as error:
            raise ConfigErrors(_problems(error), where=f"config of class {cls.__name__}") from None

    def runplane_to_plain(self) -> dict[str, Any]:
        """The plain form, as in run config."""
        deferred = {k: v.to_config() for k, v in self.__dict__.items() if isinstance(v, EnvVar)}
        return {**tag_as_key(self, self.model_dump(mode="json", exclude=set(deferred))), **deferred}


class PermissiveConfig(Config):
    """Config that takes fields it does not name."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True, arbitrary_types_allowed=True)


def _problems(error: pydantic.ValidationError) -> list[Problem]:
    return [
        Problem(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_input=False, include_url=False)
    ]


def _schema(cls: type[pydantic.BaseModel], *, without: str | None = None) -> ConfigType:
    """The fields of a class, but for the one that a mapping's key says already."""
    fields = {name: _field(cls, name) for name in cls.model_fields if name != without}
    return Permissive(fields) if cls.model_config.get("extra") == "allow" else Shape(fields)


def _field(cls: type[pydantic.BaseModel], name: str) -> Field:
    info = cls.model_fields[name]
    kind = _selector(info) if choices(info) else _kind(info.annotation)
    default: Any = UNSET
    if info.default is not PydanticUndefined:
        default = _default(info, info.default)
    elif info.default_factory is not None:
        default = _default(info, info.get_default(call_default_factory=True, validated_data={}))
    return Field(kind, default_value=default, description=info.description)


def _selector(info: Any) -> ConfigType:
    one = Selector({tag: _schema(cls, without=info.discriminator) for tag, cls in choices(info).items()})
    return Noneable(one) if type(None) in typing.get_args(info.annotation) else one


def _default(info: Any, value: Any) -> Any:
    plain = _plain(value)
    if isinstance(value, pydantic.BaseModel) and choices(info):
        return {str(plain.pop(info.discriminator)): plain}
    return plain


def _plain(value: Any) -> Any:
    """A default as config that is read again."""
    if isinstance(value, EnvVar):
        return value.to_config()
    if isinstance(value, pydantic.BaseModel):
        return tag_as_key(value, value.model_dump(mode="json"))
    if isinstance(value, PythonEnum):
        return value.name
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _kind(annotation: Any) -> ConfigType:
    """The schema of a pydantic annotation. What has no form here is checked by pydantic alone."""
    if annotation in _SOURCES:
        return _SOURCES[annotation]
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return _schema(annotation)
    if isinstance(annotation, type) and issubclass(annotation, PythonEnum):
        members = {m.value: m for m in annotation} | dict(annotation.__members__)
        return Enum(annotation.__name__, tuple(members), members)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _kind(args[0])
    if origin is typing.Literal:
        return Enum("Literal", args)
    if origin in (list, set, frozenset) or (origin is tuple and Ellipsis in args):
        return Array(_kind(args[0]))
    if origin is dict:
        return Map(str, _kind(args[1]))
    inner = [a for a in args if a is not type(None)]
    if origin is not None and len(inner) == 1 and len(inner) < len(args):
        return Noneable(_kind(inner[0]))
    return ANY


class ConfigurableResource(Config):
    """A resource whose config are the fields of its class. By default the resource is the object itself.

    Override ``create_resource`` for a resource that is another object, ``setup_for_execution`` and ``teardown_after_execution``
    for what is to be done before and after.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
    __runplane_resource__: typing.ClassVar[bool] = True
    _init_context: InitResourceContext | None = pydantic.PrivateAttr(default=None)

    def __init__(self, **data: Any) -> None:
        deferred = {k: v for k, v in data.items() if isinstance(v, (EnvVar, ConfigurableResource, _Partial))}
        if not deferred:
            super().__init__(**data)
            return
        fields = type(self).model_fields
        unknown = [k for k in data if k not in fields]
        missing = [k for k, info in fields.items() if k not in data and info.is_required()]
        if unknown or missing:
            super().__init__(**data)  # pydantic tells what is wrong
            return
        # Values of variables and nested resources are known when the resource is opened; they are validated then.
        made = type(self).model_construct(**data)
        object.__setattr__(self, "__dict__", made.__dict__)
        object.__setattr__(self, "__pydantic_fields_set__", made.__pydantic_fields_set__)
        object.__setattr__(self, "__pydantic_extra__", None)
        object.__setattr__(self, "__pydantic_private__", {"_init_context": None})

    @classmethod
    def configure_at_launch(cls, **data: Any) -> _Partial:
        """A resource whose fields come from run config; `data` are their defaults."""
        return _Partial(cls, data)

    def get_resource_context(self) -> InitResourceContext:
        """The context it is opened with."""
        return self._init_context or InitResourceContext()

    def create_resource(self, context: InitResourceContext) -> Any:
        """What user code gets. Default: the object itself."""
        return self

    def setup_for_execution(self, context: InitResourceContext) -> None:
        """Called when it is opened."""

    def teardown_after_execution(self, context: InitResourceContext) -> None:
        """Called when it is closed."""

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator[Any]:
        """The resource between set-up and tear-down."""
        self.setup_for_execution(context)
        try:
            yield self.create_resource(context)
        finally:
            self.teardown_after_execution(context)

    def runplane_resource_definition(self) -> ResourceDefinition:
        """How it is opened: its fields may be given again in run config."""
        return _definition(type(self), dict(self.__dict__))


class ConfigurableResourceFactory(ConfigurableResource):
    """A resource that is made by ``create_resource`` and is another object than its config."""


class ConfigurableIOManager(ConfigurableResource, IOManager):
    """An IO manager whose config are the fields of its class."""


class ConfigurableIOManagerFactory(ConfigurableResource):
    """An IO manager that ``create_io_manager`` makes."""

    def create_io_manager(self, context: InitResourceContext) -> IOManager:
        """The IO manager."""
        raise TypeError(f"{type(self).__name__} does not define create_io_manager")

    def create_resource(self, context: InitResourceContext) -> Any:
        """The IO manager."""
        return self.create_io_manager(context)


class _Partial:
    """A configurable resource that is configured by the run."""

    __runplane_resource__ = True

    def __init__(self, cls: type[ConfigurableResource], data: Mapping[str, Any]) -> None:
        self.cls = cls
        self.data = dict(data)

    def runplane_resource_definition(self) -> ResourceDefinition:
        """How it is opened."""
        return _definition(self.cls, self.data)


def _definition(cls: type[ConfigurableResource], given: Mapping[str, Any]) -> ResourceDefinition:
    nested = {
        k: resource_definition(k, v)
        for k, v in given.items()
        if isinstance(v, (ConfigurableResource, _Partial))
        or (k in cls.model_fields and _is_resource(cls.model_fields[k]))
    }
    defaults = {k: v for k, v in given.items() if k not in nested}
    fields = {}
    for name in cls.model_fields:
        if name in nested or _is_resource(cls.model_fields[name]):
            continue
        field = _field(cls, name)
        default = _plain(defaults[name]) if name in defaults else field.default_value
        fields[name] = Field(field.config_type, default_value=default, description=field.description)
    make = IOManagerDefinition if issubclass(cls, (IOManager, ConfigurableIOManagerFactory)) else ResourceDefinition
    return make(_opener(cls, nested), config_schema=Field(Shape(fields)), description=cls.__doc__)


class ResourceDependency:
    """``ResourceDependency[T]``: annotates a field of a configurable resource that is another resource, of any type."""

    def __class_getitem__(cls, item: Any) -> Any:
        return typing.Annotated[Any, cls]


def _is_resource(info: Any) -> bool:
    """Whether a field of a class is given a resource."""
    annotation = info.annotation
    is_one = isinstance(annotation, type) and issubclass(annotation, ConfigurableResource)
    return is_one or ResourceDependency in info.metadata


def _opener(
    cls: type[ConfigurableResource], nested: Mapping[str, Any]
) -> Callable[[InitResourceContext], Iterator[Any]]:
    def open_resource(context: InitResourceContext) -> Iterator[Any]:
        with _opened(cls, nested, context) as value:
            yield value

    return open_resource


@contextmanager
def _opened(cls: type[ConfigurableResource], nested: Mapping[str, Any], context: InitResourceContext) -> Iterator[Any]:
    """An object of `cls` with its nested resources open, between set-up and tear-down."""
    with ExitStack() as stack:
        values = dict(context.resource_config or {})
        for name, inner in nested.items():
            definition: ResourceDefinition = inner
            opened = replace(context, resource_config=_own_config(definition, name), resource_def=definition)
            values[name] = stack.enter_context(definition.open(opened))
        resource = typing.cast(ConfigurableResource, cls.runplane_from_config(values))
        object.__setattr__(resource, "_init_context", context)
        yield stack.enter_context(resource.yield_for_execution(context))


def _own_config(definition: ResourceDefinition, name: str) -> Any:
    """The config of a nested resource: what it was made with, variables replaced."""
    if definition.config_field is None:
        return None
    problems = Problems(name)
    config = definition.config_field.config_type.read({}, problems, os.environ)
    if problems.found:
        raise ConfigErrors(problems.found, where="config of a nested resource")
    return config


class ResourceParam:
    """``ResourceParam[T]``: annotates a parameter of an op that is given the resource of its name, of any type."""

    __runplane_resource__ = True

    def __class_getitem__(cls, item: Any) -> Any:
        return typing.Annotated[item, cls]
