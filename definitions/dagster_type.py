"""Types with a check of their own: ``DagsterType``, classes made usable as types, loaders that make values of run config.

Source: https://docs.dagster.io/api/dagster/types
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from .config_schema import ConfigType, as_field
from .errors import DagsterInvariantViolationError
from .resources import Resources
from .results import TypeCheck
from .value_type import ValueType, register, value_type


class TypeCheckContext:
    """What the check of a type is given.

    Attributes:
        run_id: the run's id; ``EPHEMERAL`` outside a run.
        log: a logger whose lines become events of the run.
        resources: those that the type requires.
    """

    def __init__(
        self, run_id: str = "EPHEMERAL", log: logging.Logger | None = None, resources: Resources | None = None
    ) -> None:
        self.run_id = run_id
        self.log = log or logging.getLogger("dagster")
        self.resources = resources or Resources({})


class DagsterTypeLoaderContext:
    """What a loader is given.

    Attributes:
        run_id, job_name: the run and its job.
        op_def: the op whose input is loaded.
        log: a logger whose lines become events of the run.
        resources: those that the loader requires.
    """

    def __init__(self, *, run_id: str, job_name: str, op_def: Any, log: logging.Logger, resources: Resources) -> None:
        self.run_id = run_id
        self.job_name = job_name
        self.op_def = op_def
        self.log = log
        self.resources = resources


class DagsterTypeLoader:
    """Makes a value of what run config says of an input. ``dagster_type_loader`` makes one of a function."""

    @property
    def schema_type(self) -> ConfigType:
        """The shape of what run config may say."""
        raise TypeError(f"{type(self).__name__} does not define schema_type")

    def required_resource_keys(self) -> AbstractSet[str]:
        """The resources it uses."""
        return frozenset()

    def make_context(self, **facts: Any) -> DagsterTypeLoaderContext:
        """What ``construct_from_config_value`` is given."""
        return DagsterTypeLoaderContext(**facts)

    def construct_from_config_value(self, context: DagsterTypeLoaderContext, config_value: Any) -> Any:
        """The value."""
        return config_value


class _LoaderOfFunction(DagsterTypeLoader):
    def __init__(self, schema: ConfigType, fn: Callable[..., Any], keys: AbstractSet[str] | None) -> None:
        self._schema = schema
        self._fn = fn
        self._keys = frozenset(keys or ())

    @property
    def schema_type(self) -> ConfigType:
        return self._schema

    def required_resource_keys(self) -> AbstractSet[str]:
        return self._keys

    def construct_from_config_value(self, context: DagsterTypeLoaderContext, config_value: Any) -> Any:
        return self._fn(context, config_value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The user's function, for tests."""
        return self._fn(*args, **kwargs)


def dagster_type_loader(config_schema: Any, required_resource_keys: AbstractSet[str] | None = None) -> Any:
    """Make a loader of a function ``fn(context, config_value)``.

    Args:
        config_schema: the shape of what run config may say.
        required_resource_keys: the resources it uses by ``context.resources``.
    """

    def wrap(fn: Callable[..., Any]) -> DagsterTypeLoader:
        return _LoaderOfFunction(as_field(config_schema).config_type, fn, required_resource_keys)

    return wrap


class DagsterType(ValueType):
    """A type with a check of the user's.

    Args:
        type_check_fn: from a ``TypeCheckContext`` and a value to True, False or a ``TypeCheck``.
        key: what it is told apart by; not given: its name.
        name: how events call it.
        is_builtin: kept.
        description: for people.
        loader: makes a value of what run config says of an input.
        required_resource_keys: the resources that its check uses.
        kind: kept.
        typing_type: the Python type that it stands for.
        metadata: kept.
    """

    def __init__(
        self,
        type_check_fn: Callable[[TypeCheckContext, Any], TypeCheck | bool],
        key: str | None = None,
        name: str | None = None,
        is_builtin: bool = False,
        description: str | None = None,
        loader: DagsterTypeLoader | None = None,
        required_resource_keys: AbstractSet[str] | None = None,
        kind: Any = None,
        typing_type: Any = Any,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        if key is None and name is None:
            raise DagsterInvariantViolationError("a DagsterType needs a name or a key.")
        super().__init__(display_name=str(name or key), check=self._reason)
        self.key = str(key or name)
        self.unique_name = name
        self.is_builtin = is_builtin
        self.description = description
        self.loader = loader
        self.required_resource_keys = frozenset(required_resource_keys or ())
        self.kind = kind
        self.typing_type = typing_type
        self.metadata = dict(metadata or {})
        self._type_check_fn = type_check_fn

    def make_context(self, run_id: str, log: logging.Logger, resources: Resources) -> TypeCheckContext:
        """What its check is given."""
        return TypeCheckContext(run_id, log, resources)

    @property
    def has_unique_name(self) -> bool:
        """Whether it has a name, and not a key alone."""
        return self.unique_name is not None

    def type_check(self, context: TypeCheckContext, value: Any) -> TypeCheck:
        """What the user's check says of `value`.

        Raises:
            DagsterInvariantViolationError: the check gave neither a boolean nor a ``TypeCheck``. Whatever the check raises.
        """
        said = self._type_check_fn(context, value)
        if isinstance(said, bool):
            return TypeCheck(said)
        if isinstance(said, TypeCheck):
            return said
        raise DagsterInvariantViolationError(
            f"the check of type '{self.display_name}' gave something that says neither yes nor no.",
            got=f"{said!r}, a {type(said).__name__}",
            expected="a boolean or a TypeCheck",
        )

    def _reason(self, value: Any) -> str | None:
        """The check inside of another type (``List[...]``), which has no context to pass on."""
        checked = self.type_check(TypeCheckContext(), value)
        return None if checked.success else (checked.description or f"not a {self.display_name}")

    def __repr__(self) -> str:
        return f"<type {self.display_name}>"


class PythonObjectDagsterType(DagsterType):
    """The type of all objects of a Python class, or of one of several."""

    def __init__(
        self, python_type: type | tuple[type, ...], key: str | None = None, name: str | None = None, **kwargs: Any
    ) -> None:
        self.python_type = python_type
        classes = python_type if isinstance(python_type, tuple) else (python_type,)
        shown = name or (
            "Union[{}]".format(", ".join(c.__name__ for c in classes)) if len(classes) > 1 else classes[0].__name__
        )
        modules = ", ".join(
            c.__name__ if c.__module__ == "builtins" else f"{c.__module__}.{c.__name__}" for c in classes
        )

        def check(_: TypeCheckContext, value: Any) -> TypeCheck:
            if isinstance(value, classes):
                return TypeCheck(True)
            return TypeCheck(
                False,
                f"Value of type {type(value)} failed type check for Dagster type {shown}, expected value to be of Python type "
                f"{modules}.",
            )

        super().__init__(check, key=key, name=shown, typing_type=python_type, **kwargs)

    @property
    def python_type_str(self) -> str:
        """The class' name."""
        classes = self.python_type if isinstance(self.python_type, tuple) else (self.python_type,)
        return ", ".join(c.__name__ for c in classes)


def usable_as_dagster_type(
    name: Any = None, description: str | None = None, loader: DagsterTypeLoader | None = None
) -> Any:
    """Decorate a class: annotations with it mean a type with this name, description and loader.

    Args:
        name: not given: the class' (or the class, when used without parentheses).
    """

    def wrap(cls: type) -> type:
        given = name if isinstance(name, str) else None
        register(cls, PythonObjectDagsterType(cls, name=given, description=description, loader=loader))
        return cls

    return wrap(name) if isinstance(name, type) else wrap


def make_python_type_usable_as_dagster_type(python_type: type, dagster_type: DagsterType) -> None:
    """Let annotations with `python_type` mean `dagster_type`."""
    register(python_type, dagster_type)


def check_dagster_type(dagster_type: Any, value: Any) -> TypeCheck:
    """What the check of a type says of `value`, in tests.

    Args:
        dagster_type: a ``DagsterType``, or whatever an annotation may be.
    """
    return value_type(dagster_type).type_check(TypeCheckContext(), value)
