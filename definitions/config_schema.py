"""The schema of a value in run config: declared by users, checked with all problems and their paths, defaults filled in.

Source: https://docs.dagster.io/api/dagster/config (``Field``, ``Shape``, ``Permissive``, ``Selector``, ``Noneable``, ``Array``, ``Map``,
``Enum``, ``StringSource`` and the plain Python types).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum as PythonEnum
from typing import Any, Protocol

from ..errors.problems import Problems
from ..errors.suggest import nearest
from ..serdes.record import frozen_record
from .errors import DagsterInvalidConfigDefinitionError
from .ins_outs import UNSET

Environment = Mapping[str, str]
_TRUTH = {
    "true": True,
    "t": True,
    "1": True,
    "yes": True,
    "false": False,
    "f": False,
    "0": False,
    "no": False,
    "": False,
}


class ConfigType(Protocol):
    """One kind of value."""

    def describe(self) -> str:
        """The kind for an error message (``{ a: Int b?: [String] }``)."""

    def implicit_default(self) -> Any:
        """The value when nothing is given, or UNSET when something has to be."""

    def read(self, value: Any, problems: Problems, env: Environment | None) -> Any:
        """The value with defaults filled in; what is wrong goes to `problems`.

        With `env`, ``{"env": NAME}`` is replaced by the variable's value; without, it is checked and left as it is.
        """


class SchemaProvider(Protocol):
    """A class that knows its own schema (a pydantic ``Config``)."""

    @classmethod
    def runplane_config_type(cls) -> ConfigType:
        """The schema of the class."""


@frozen_record
class AnyValue:
    """Takes everything."""

    def describe(self) -> str:
        return "Any"

    def implicit_default(self) -> Any:
        return UNSET

    def read(self, value: Any, problems: Problems, env: Environment | None) -> Any:
        return value


@frozen_record
class Scalar:
    """A plain value. With `source`, ``{"env": NAME}`` is taken too."""

    name: str
    types: tuple[type, ...]
    source: bool = False

    def describe(self) -> str:
        return f"({self.name} | {{ env: String }})" if self.source else self.name

    def implicit_default(self) -> Any:
        return UNSET

    def read(self, value: Any, problems: Problems, env: Environment | None) -> Any:
        if self.source and isinstance(value, Mapping):
            return self._read_env(value, problems, env)
        if (isinstance(value, bool) and bool not in self.types) or not isinstance(value, self.types):
            problems.add("not a valid value", got=_shown(value), expected=self.describe())
        return value

    def _read_env(self, value: Mapping[Any, Any], problems: Problems, env: Environment | None) -> Any:
        name = value.get("env")
        if set(value) != {"env"} or not isinstance(name, str):
            problems.add("not a valid value", got="a mapping", expected=self.describe())
            return value
        if env is None:
            return value
        if name not in env:
            problems.add(f"the environment variable {name} is not set", expected=self.name)
            return None
        return self._parse(env[name], name, problems)

    def _parse(self, text: str, name: str, problems: Problems) -> Any:
        try:
            return _TRUTH[text.strip().lower()] if bool in self.types else self.types[0](text)
        except (ValueError, KeyError):
            problems.add(f"the environment variable {name} has a value that can not be read", expected=self.name)
            return None


@frozen_record
class Noneable:
    """A value or null."""

    of: ConfigType

    def __init__(self, inner_type: Any) -> None:
        object.__setattr__(self, "of", config_type(inner_type))

    def describe(self) -> str:
        return f"{self.of.describe()}?"

    def implicit_default(self) -> Any:
        return None

    def read(self, value: Any, problems: Problems, env: Environment | None) -> Any:
        return None if value is None else self.of.read(value, problems, env)


@frozen_record
class Array:
    """A list of values of one kind."""

    of: ConfigType

    def __init__(self, inner_type: Any) -> None:
        object.__setattr__(self, "of", config_type(inner_type))

    def describe(self) -> str:
        return f"[{self.of.describe()}]"

    def implicit_default(self) -> Any:
        return UNSET

    def read(self, value: Any, problems: Problems, env: Environment | None) -> Any:
        if not isinstance(value, (list, tuple)):
            problems.add("must be a list", got=_shown(value), expected=self.describe())
            return value
        return [self.of.read(item, problems.at(i), env) for i, item in enumerate(value)]


@frozen_record
class Map:
    """A mapping with keys of the user's choice and values of one kind."""

    of: ConfigType

    def __init__(self, key_type: Any, inner_type: Any, key_label_name: str | None = None) -> None:
        object.__setattr__(self, "of", config_type(inner_type))

    def describe(self) -> str:
        return f"{{ [String]: {self.of.describe()} }}"

    def implicit_default(self) -> Any:
        return UNSET

    def read(self, value: Any, problems: Problems, env: Environment | None) -> Any:
        if not isinstance(value, Mapping):
            problems.add("must be a mapping", got=_shown(value), expected=self.describe())
            return value
        return {k: self.of.read(v, problems.at(str(k)), env) for k, v in value.items()}


@frozen_record
class EnumValue:
    """A name that config may say, and what user code gets for it (the name itself when nothing else is given)."""

    config_value: str
    python_value: Any = None
    description: str | None = None


@frozen_record
class Enum:
    """One of several names. Given a Python enumeration, user code gets its member.

    Args:
        name: of the kind, for people.
        values: names, or ``EnumValue``s.
    """

    name: str
    values: tuple[Any, ...]
    members: Mapping[str, Any] | None = None

    def __init__(self, name: str, enum_values: Sequence[Any], members: Mapping[str, Any] | None = None) -> None:
        named = {v.config_value: v for v in enum_values if isinstance(v, EnumValue)}
        if named:
            members = {n: n if v.python_value is None else v.python_value for n, v in named.items()}
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "values", tuple(named) if named else tuple(enum_values))
        object.__setattr__(self, "members", members)

    @staticmethod
    def from_python_enum(enum: type[PythonEnum], name: str | None = None) -> Enum:
        """The names of the members of `enum`."""
        members = dict(enum.__members__)
        return Enum(name or enum.__name__, tuple(members), members)

    @staticmethod
    def from_python_enum_direct_values(enum: type[PythonEnum], name: str | None = None) -> Enum:
        """The values of the members of `enum`; user code gets the value."""
        return Enum(name or enum.__name__, tuple(m.value for m in enum))

    def describe(self) -> str:
        return " | ".join(str(v) for v in self.values)

    def implicit_default(self) -> Any:
        return UNSET

    def read(self, value: Any, problems: Problems, env: Environment | None) -> Any:
        if self.members is not None and value in self.members.values():
            return value
        if value not in self.values:
            close = nearest(value, [str(v) for v in self.values]) if isinstance(value, str) else None
            problems.add("not one of the names", got=_shown(value), expected=self.describe(), suggestion=close)
            return value
        return self.members[value] if self.members is not None and env is not None else value


@frozen_record
class ScalarUnion:
    """A plain value, or something that is not one."""

    scalar: ConfigType
    non_scalar: ConfigType

    def __init__(self, scalar_type: Any, non_scalar_schema: Any) -> None:
        object.__setattr__(self, "scalar", config_type(scalar_type))
        object.__setattr__(self, "non_scalar", config_type(non_scalar_schema))

    def describe(self) -> str:
        return f"({self.scalar.describe()} | {self.non_scalar.describe()})"

    def implicit_default(self) -> Any:
        return UNSET

    def read(self, value: Any, problems: Problems, env: Environment | None) -> Any:
        if isinstance(value, (Mapping, list, tuple)):
            return self.non_scalar.read(value, problems, env)
        return self.scalar.read(value, problems, env)


class Field:
    """A field of a mapping: its kind, its default, and whether it has to be there.

    Args:
        config: the kind: a Python type, a mapping, a list of one kind, or one of this module's classes.
        default_value: used when the field is not given.
        is_required: not given: required unless there is a default, or everything below has one.
        description: for people.
        is_secret: kept.
    """

    def __init__(
        self,
        config: Any,
        default_value: Any = UNSET,
        is_required: bool | None = None,
        description: str | None = None,
        is_secret: bool = False,
    ) -> None:
        self.config_type = config_type(config)
        self.description = description
        self.is_secret = is_secret
        self.default_value = self.config_type.implicit_default() if default_value is UNSET else default_value
        self.is_required = self.default_value is UNSET if is_required is None else is_required

    def describe(self) -> str:
        """The field's kind for an error message."""
        return self.config_type.describe()


class Shape:
    """A mapping with exactly these fields."""

    extra_allowed = False

    def __init__(self, fields: Mapping[str, Any], description: str | None = None) -> None:
        self.fields = {str(name): as_field(f) for name, f in fields.items()}
        self.description = description

    def describe(self) -> str:
        inner = " ".join(f"{n}{'' if f.is_required else '?'}: {f.describe()}" for n, f in sorted(self.fields.items()))
        return f"{{ {inner} }}" if inner else "{ }"

    def implicit_default(self) -> Any:
        return UNSET if any(f.is_required for f in self.fields.values()) else {}

    def read(self, value: Any, problems: Problems, env: Environment | None) -> Any:
        if not isinstance(value, Mapping):
            problems.add("must be a mapping", got=_shown(value), expected=self.describe())
            return value
        found = self._read_unknown(value, problems)
        for name, spec in self.fields.items():
            if name in value:
                found[name] = spec.config_type.read(value[name], problems.at(name), env)
            elif spec.is_required:
                problems.at(name).add("missing", expected=spec.describe())
            elif spec.default_value is not UNSET:
                found[name] = spec.config_type.read(spec.default_value, problems.at(name), env)
        return found

    def _read_unknown(self, value: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
        for key in value:
            if key not in self.fields:
                problems.unknown_key(str(key), list(self.fields))
        return {}


class Permissive(Shape):
    """A mapping with these fields, and any others."""

    extra_allowed = True

    def __init__(self, fields: Mapping[str, Any] | None = None, description: str | None = None) -> None:
        super().__init__(fields or {}, description)

    def _read_unknown(self, value: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
        return {k: v for k, v in value.items() if k not in self.fields}


class Selector:
    """A mapping with exactly one of these fields."""

    def __init__(self, fields: Mapping[str, Any], description: str | None = None) -> None:
        self.fields = {str(name): as_field(f) for name, f in fields.items()}

    def describe(self) -> str:
        return "{ " + " | ".join(f"{n}: {f.describe()}" for n, f in sorted(self.fields.items())) + " }"

    def implicit_default(self) -> Any:
        only = next(iter(self.fields.items())) if len(self.fields) == 1 else None
        return {only[0]: {}} if only and not only[1].is_required else UNSET

    def read(self, value: Any, problems: Problems, env: Environment | None) -> Any:
        if isinstance(value, str) and value in self.fields:
            value = {value: {}}
        if not isinstance(value, Mapping):
            problems.add("must be a mapping", got=_shown(value), expected=self.describe())
            return value
        unknown = [key for key in value if key not in self.fields]
        for key in unknown:
            problems.unknown_key(str(key), list(self.fields))
        if len(value) != 1:
            problems.add(
                "exactly one key is expected",
                got=", ".join(sorted(map(str, value))) or "none",
                expected="one of " + ", ".join(sorted(self.fields)),
            )
        if unknown or len(value) != 1:
            return value
        name, given = next(iter(value.items()))
        spec = self.fields[name]
        given = spec.default_value if given is None and spec.default_value is not UNSET else given
        return {name: spec.config_type.read(given, problems.at(name), env)}


ANY = AnyValue()
INT = Scalar("Int", (int,))
FLOAT = Scalar("Float", (float, int))
STRING = Scalar("String", (str,))
BOOL = Scalar("Bool", (bool,))
IntSource = Scalar("Int", (int,), source=True)
FloatSource = Scalar("Float", (float, int), source=True)
StringSource = Scalar("String", (str,), source=True)
BoolSource = Scalar("Bool", (bool,), source=True)


def config_type(declared: Any) -> ConfigType:
    """The schema that a user's declaration means.

    Raises:
        DagsterInvalidConfigDefinitionError: it means none.
    """
    if isinstance(declared, type) and hasattr(declared, "runplane_config_type"):
        found: ConfigType = declared.runplane_config_type()
        return found
    if isinstance(declared, Field):
        return declared.config_type
    if hasattr(declared, "implicit_default"):
        known: ConfigType = declared
        return known
    if isinstance(declared, Mapping):
        return Shape(declared)
    if isinstance(declared, Sequence) and not isinstance(declared, str) and len(declared) == 1:
        return Array(declared[0])
    try:
        return _PLAIN[declared]
    except (KeyError, TypeError):
        raise DagsterInvalidConfigDefinitionError(
            "this is not a config schema",
            got=repr(declared),
            expected="a Python type, a mapping of fields, a list with one kind, or Field, Shape, Selector, Noneable, Array, Map",
        ) from None


def as_field(declared: Any) -> Field:
    """`declared` as a field: a ``Field`` as it is, anything else as the kind of one."""
    return declared if isinstance(declared, Field) else Field(declared)


def _shown(value: Any) -> str:
    if value is None or isinstance(value, (str, int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else f"a value of type {type(value).__name__}"


_PLAIN: dict[Any, ConfigType] = {
    int: INT,
    float: FLOAT,
    str: STRING,
    bool: BOOL,
    Any: ANY,
    dict: Permissive(),
    list: Array(ANY),
}
