"""A small language for the shape of a configuration document.

A schema is a value: it can be checked against (`check`), filled with its defaults (`fill`) and resolved (`resolve`). The three are
separate steps on purpose: a document is checked whole where it is read, travels with its `{env: NAME}` places as written, and is
resolved only in the process that builds the part. Only that process sees the secrets.

Every scalar place accepts `{env: NAME}`. What a problem tells about the value found there is its type alone when the place is
secret or a URL, or when the value came from the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import ConfigErrors, Problems, nearest

HIDDEN: Final = "(hidden)"
"""Stands for a literal secret in everything that is shown."""
_LONGEST_SHOWN = 80
_TRUE = frozenset({"true", "1", "yes", "on", "y", "t"})
_FALSE = frozenset({"false", "0", "no", "off", "n", "f", "none", ""})


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""No default: an absent key stays absent."""


class Schema:
    """The base of all schemas. A schema never changes a value that it is given; `fill` and `resolve` return new ones."""

    def check(self, value: Any, problems: Problems) -> None:
        """Record everything that is wrong with `value`, with environment sources left as they are."""
        raise TypeError(f"{type(self).__name__} is not a schema to check against")

    def fill(self, value: Any, *, hide: bool) -> Any:
        """A copy with defaults filled in and environment sources as written; `hide` replaces literal secrets."""
        return value

    def resolve(self, value: Any, env: Mapping[str, str], problems: Problems) -> Any:
        """A copy with defaults filled in and environment sources replaced; what fails is recorded."""
        return value

    def literals(self, value: Any, problems: Problems) -> None:
        """Record each secret that stands in the document as a literal."""

    def expected(self) -> str:
        """What is right here, in a few words."""
        return "a value"

    def holds_secret(self) -> bool:
        """Whether a value of this shape may hold something that must not be shown."""
        return False


def type_name(value: Any) -> str:
    """The type of a document's value in the words of the document."""
    if value is None:
        return "null"
    for kinds, name in _TYPE_NAMES:
        if isinstance(value, kinds):
            return name
    return type(value).__name__


_TYPE_NAMES: tuple[tuple[Any, str], ...] = (
    (bool, "true/false"),
    (str, "text"),
    (int, "a whole number"),
    (float, "a number"),
    (Mapping, "a mapping"),
    ((list, tuple), "a list"),
)


def describe(value: Any, *, hide: bool) -> str:
    """`value` for a message: short, and only its type when it may be secret (also: any text that looks like a URL)."""
    if hide or isinstance(value, (Mapping, list, tuple)) or (isinstance(value, str) and "://" in value):
        return type_name(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def env_name(value: Any) -> str | None:
    """The variable's name if `value` is `{env: NAME}`, else None."""
    if isinstance(value, Mapping) and len(value) == 1:
        name = value.get("env")
        if isinstance(name, str) and name:
            return name
    return None


@dataclass(eq=False, repr=False)
class Scalar(Schema):
    """One value without parts, or `{env: NAME}`.

    Attributes:
        nullable: whether null may stand here.
        secret: never shown; a literal is warned about.
        url: never shown, since it may hold a password.
    """

    nullable: bool = False
    secret: bool = False
    url: bool = False

    def name(self) -> str:
        """The type's name."""
        return "a value"

    def accepts(self, value: Any) -> bool:
        """Whether `value` is of this type."""
        return True

    def parse(self, text: str) -> Any:
        """The value that the text of an environment variable stands for. Raises ValueError."""
        return text

    def outside(self, value: Any) -> str | None:
        """What would be right if `value` is of the right type and yet out of bounds, else None."""
        return None

    def expected(self) -> str:
        return self.name() + (" or null" if self.nullable else "")

    def holds_secret(self) -> bool:
        return self.secret or self.url

    def check(self, value: Any, problems: Problems) -> None:
        if (value is None and self.nullable) or env_name(value) is not None:
            return
        if isinstance(value, Mapping) and "env" in value:
            problems.add("an environment source is {env: NAME} and nothing else", got="a mapping")
        elif not self.accepts(value):
            problems.add("wrong type", got=describe(value, hide=self.holds_secret()), expected=self.expected())
        else:
            right = self.outside(value)
            if right is not None:
                problems.add("out of bounds", got=describe(value, hide=self.holds_secret()), expected=right)

    def fill(self, value: Any, *, hide: bool) -> Any:
        if not hide or not isinstance(value, str):
            return value
        return HIDDEN if self.secret or (self.url and _has_password(value)) else value

    def literals(self, value: Any, problems: Problems) -> None:
        if isinstance(value, str) and value and (self.secret or (self.url and _has_password(value))):
            problems.add("a secret stands here as a literal; it travels with the instance", expected="{env: NAME}")

    def resolve(self, value: Any, env: Mapping[str, str], problems: Problems) -> Any:
        name = env_name(value)
        if name is None:
            return value
        if name not in env:
            problems.add(f"the environment variable {name} is not set")
            return None
        try:
            parsed = self.parse(env[name])
        except ValueError:
            problems.add(f"wrong type in the environment variable {name}", got="text", expected=self.expected())
            return None
        right = self.outside(parsed)
        if right is not None:
            problems.add(f"out of bounds in the environment variable {name}", got=type_name(parsed), expected=right)
        return parsed


def _has_password(url: str) -> bool:
    authority = url.partition("://")[2].partition("/")[0]
    return ":" in authority.rpartition("@")[0] or "password=" in url


@dataclass(eq=False, repr=False)
class Text(Scalar):
    """Text. `choices`: the only values; `empty`: whether the empty text may stand here."""

    choices: tuple[str, ...] = ()
    empty: bool = True

    def name(self) -> str:
        return "text"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str)

    def outside(self, value: Any) -> str | None:
        if self.choices and value not in self.choices:
            return "one of " + ", ".join(self.choices)
        return None if self.empty or value else "text that is not empty"

    def check(self, value: Any, problems: Problems) -> None:
        if self.choices and isinstance(value, str) and value not in self.choices:
            problems.add(
                "unknown value",
                got=describe(value, hide=self.holds_secret()),
                expected=self.outside(value),
                suggestion=nearest(value, self.choices),
            )
        else:
            super().check(value, problems)


@dataclass(eq=False, repr=False)
class Int(Scalar):
    """A whole number, with bounds (both included)."""

    minimum: int | None = None
    maximum: int | None = None

    def name(self) -> str:
        return "a whole number"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def parse(self, text: str) -> Any:
        return int(text)

    def outside(self, value: Any) -> str | None:
        return _bounds(value, self.minimum, self.maximum)


@dataclass(eq=False, repr=False)
class Float(Scalar):
    """A number, with bounds (both included)."""

    minimum: float | None = None
    maximum: float | None = None

    def name(self) -> str:
        return "a number"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    def parse(self, text: str) -> Any:
        return float(text)

    def outside(self, value: Any) -> str | None:
        return _bounds(value, self.minimum, self.maximum)


def _bounds(value: float, minimum: float | None, maximum: float | None) -> str | None:
    low = minimum is not None and not value >= minimum
    high = maximum is not None and not value <= maximum
    if not low and not high:
        return None
    if minimum is None:
        return f"at most {maximum}"
    return f"at least {minimum}" if maximum is None else f"{minimum} to {maximum}"


@dataclass(eq=False, repr=False)
class Bool(Scalar):
    """true or false. Text in the document is refused; in a variable the usual words are read and others refused."""

    def name(self) -> str:
        return "true or false"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bool)

    def parse(self, text: str) -> Any:
        word = text.strip().lower()
        if word not in _TRUE | _FALSE:
            raise ValueError("not a boolean word")
        return word in _TRUE


@dataclass(eq=False, repr=False)
class AnyScalar(Scalar):
    """Text, number or true/false."""

    def name(self) -> str:
        return "text, a number, or true/false"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, (str, int, float, bool))


@dataclass(eq=False, repr=False)
class Anything(Schema):
    """Whatever the document says: kept as it is, `{env: ...}` included."""

    def check(self, value: Any, problems: Problems) -> None:
        return


@dataclass(eq=False, repr=False)
class FreeMap(Schema):
    """A mapping with text keys and any content, which another tool will read. Kept as it is.

    Attributes:
        nullable: whether null may stand here.
        secret: its content is never shown.
    """

    nullable: bool = False
    secret: bool = False

    def expected(self) -> str:
        return "a mapping" + (" or null" if self.nullable else "")

    def holds_secret(self) -> bool:
        return self.secret

    def check(self, value: Any, problems: Problems) -> None:
        if value is None and self.nullable:
            return
        if not isinstance(value, Mapping):
            problems.add("wrong type", got=describe(value, hide=self.secret), expected=self.expected())
            return
        for key in value:
            if not isinstance(key, str):
                problems.add("a key that is not text", got=describe(key, hide=False), expected="text")

    def fill(self, value: Any, *, hide: bool) -> Any:
        return HIDDEN if hide and self.secret and value else value


@dataclass(eq=False, repr=False)
class MapOf(Schema):
    """A mapping with text keys whose values all have one shape."""

    values: Schema
    nullable: bool = False

    def expected(self) -> str:
        return "a mapping" + (" or null" if self.nullable else "")

    def holds_secret(self) -> bool:
        return self.values.holds_secret()

    def check(self, value: Any, problems: Problems) -> None:
        if value is None and self.nullable:
            return
        if not isinstance(value, Mapping):
            problems.add("wrong type", got=describe(value, hide=self.holds_secret()), expected=self.expected())
            return
        for key, item in value.items():
            if not isinstance(key, str):
                problems.add("a key that is not text", got=describe(key, hide=False), expected="text")
            else:
                self.values.check(item, problems.at(key))

    def fill(self, value: Any, *, hide: bool) -> Any:
        return value and {key: self.values.fill(item, hide=hide) for key, item in value.items()}

    def literals(self, value: Any, problems: Problems) -> None:
        for key, item in (value or {}).items():
            self.values.literals(item, problems.at(key))

    def resolve(self, value: Any, env: Mapping[str, str], problems: Problems) -> Any:
        return value and {key: self.values.resolve(item, env, problems.at(key)) for key, item in value.items()}


@dataclass(eq=False, repr=False)
class ListOf(Schema):
    """A list whose items all have one shape."""

    items: Schema
    nullable: bool = False

    def expected(self) -> str:
        return "a list" + (" or null" if self.nullable else "")

    def holds_secret(self) -> bool:
        return self.items.holds_secret()

    def check(self, value: Any, problems: Problems) -> None:
        if value is None and self.nullable:
            return
        if not isinstance(value, list):
            problems.add("wrong type", got=describe(value, hide=self.holds_secret()), expected=self.expected())
            return
        for position, item in enumerate(value):
            self.items.check(item, problems.at(position))

    def fill(self, value: Any, *, hide: bool) -> Any:
        return value and [self.items.fill(item, hide=hide) for item in value]

    def literals(self, value: Any, problems: Problems) -> None:
        for position, item in enumerate(value or ()):
            self.items.literals(item, problems.at(position))

    def resolve(self, value: Any, env: Mapping[str, str], problems: Problems) -> Any:
        return value and [self.items.resolve(item, env, problems.at(n)) for n, item in enumerate(value)]


@dataclass(eq=False, repr=False)
class Field:
    """One key of a shape.

    Attributes:
        schema: the shape of its value.
        required: whether the key must be there.
        default: the value of an absent key; MISSING leaves it absent.
    """

    schema: Schema
    required: bool = False
    default: Any = MISSING


@dataclass(eq=False, repr=False)
class Shape(Schema):
    """A mapping with known keys.

    Attributes:
        fields: the known keys; a bare schema is an optional key without default.
        nullable: whether null may stand here.
        open: whether other keys are kept as they are.
        rules: further checks between the keys, called when every key alone is right.
        misplaced: keys that belong elsewhere, with the place: `{"max_concurrent_runs": "run_queue"}`.
    """

    fields: Mapping[str, Field | Schema]
    nullable: bool = False
    open: bool = False
    rules: tuple[Callable[[Mapping[str, Any], Problems], None], ...] = ()
    misplaced: Mapping[str, str] = field(default_factory=dict)

    def expected(self) -> str:
        return "a mapping" + (" or null" if self.nullable else "")

    def holds_secret(self) -> bool:
        return any(f.schema.holds_secret() for _, f in self._items())

    def _items(self) -> list[tuple[str, Field]]:
        return [(key, f if isinstance(f, Field) else Field(f)) for key, f in self.fields.items()]

    def check(self, value: Any, problems: Problems) -> None:
        if value is None and self.nullable:
            return
        if not isinstance(value, Mapping):
            problems.add("wrong type", got=describe(value, hide=self.holds_secret()), expected=self.expected())
            return
        before = len(problems.found)
        known = dict(self._items())
        for key, item in value.items():
            if not isinstance(key, str):
                problems.add("a key that is not text", got=describe(key, hide=False), expected="text")
            elif key in known:
                known[key].schema.check(item, problems.at(key))
            elif not self.open:
                self._unknown(key, list(known), problems)
        for key, f in known.items():
            if f.required and key not in value:
                problems.at(key).add("missing", expected=f.schema.expected())
        if len(problems.found) == before:
            for rule in self.rules:
                rule(value, problems)

    def _unknown(self, key: str, known: list[str], problems: Problems) -> None:
        if key in self.misplaced:
            problems.at(key).add("this key belongs elsewhere", expected=f"under {self.misplaced[key]}")
        elif known:
            problems.unknown_key(key, known)
        else:
            problems.at(key).add("unknown key", expected="no keys")

    def fill(self, value: Any, *, hide: bool) -> Any:
        if value is None:
            return None
        filled = {key: item for key, item in value.items() if key not in self.fields}
        for key, f in self._items():
            item = value.get(key, f.default)
            if item is not MISSING:
                filled[key] = f.schema.fill(item, hide=hide)
        return filled

    def literals(self, value: Any, problems: Problems) -> None:
        for key, f in self._items():
            if value and key in value:
                f.schema.literals(value[key], problems.at(key))

    def resolve(self, value: Any, env: Mapping[str, str], problems: Problems) -> Any:
        if value is None:
            return None
        resolved = {key: item for key, item in value.items() if key not in self.fields}
        for key, f in self._items():
            item = value.get(key, f.default)
            if item is not MISSING:
                resolved[key] = f.schema.resolve(item, env, problems.at(key))
        return resolved


@dataclass(eq=False, repr=False)
class Selector(Schema):
    """A mapping with exactly one of the known keys. A bare key name with null stands for its empty mapping."""

    choices: Mapping[str, Schema]

    def expected(self) -> str:
        return "exactly one of " + ", ".join(sorted(self.choices))

    def holds_secret(self) -> bool:
        return any(s.holds_secret() for s in self.choices.values())

    def check(self, value: Any, problems: Problems) -> None:
        if not isinstance(value, Mapping):
            problems.add("wrong type", got=describe(value, hide=self.holds_secret()), expected=self.expected())
            return
        for key in value:
            if key not in self.choices:
                problems.unknown_key(str(key), list(self.choices))
        chosen = [key for key in value if key in self.choices]
        if len(chosen) > 1 or not value:
            problems.add("exactly one key is wanted", got=", ".join(chosen) or "none", expected=self.expected())
        for key in chosen:
            self.choices[key].check(value[key], problems.at(key))

    def fill(self, value: Any, *, hide: bool) -> Any:
        return value and {key: self.choices[key].fill(item, hide=hide) for key, item in value.items()}

    def literals(self, value: Any, problems: Problems) -> None:
        for key, item in (value or {}).items():
            self.choices[key].literals(item, problems.at(key))

    def resolve(self, value: Any, env: Mapping[str, str], problems: Problems) -> Any:
        return value and {key: self.choices[key].resolve(item, env, problems.at(key)) for key, item in value.items()}


@dataclass(eq=False, repr=False)
class OneOrMany(Schema):
    """Either a scalar or a mapping: `purge_after_days: 7` or `purge_after_days: {skipped: 7}`."""

    scalar: Scalar
    mapping: Schema

    def expected(self) -> str:
        return f"{self.scalar.expected()} or {self.mapping.expected()}"

    def holds_secret(self) -> bool:
        return self.scalar.holds_secret() or self.mapping.holds_secret()

    def _side(self, value: Any) -> Schema:
        return self.mapping if isinstance(value, Mapping) and env_name(value) is None else self.scalar

    def check(self, value: Any, problems: Problems) -> None:
        side = self._side(value)
        if isinstance(side, Scalar) and env_name(value) is None and not side.accepts(value):
            problems.add("wrong type", got=describe(value, hide=self.holds_secret()), expected=self.expected())
        else:
            side.check(value, problems)

    def fill(self, value: Any, *, hide: bool) -> Any:
        return self._side(value).fill(value, hide=hide)

    def literals(self, value: Any, problems: Problems) -> None:
        self._side(value).literals(value, problems)

    def resolve(self, value: Any, env: Mapping[str, str], problems: Problems) -> Any:
        return self._side(value).resolve(value, env, problems)


EMPTY: Final = Shape({})
"""A part that takes no configuration."""


def validate(schema: Schema, value: Any, *, where: str, path: str = "") -> None:
    """Check `value` whole. Raises ConfigErrors with every problem, each with its path."""
    problems = Problems(path)
    schema.check(value, problems)
    if problems.found:
        raise ConfigErrors(problems.found, where=where)


def resolve(schema: Schema, value: Any, env: Mapping[str, str], *, where: str, path: str = "") -> Any:
    """`value` checked, with defaults filled in and environment sources replaced: what a part is built from.

    Raises ConfigErrors with every problem: wrong keys, unset variables, variables that hold the wrong kind of text.
    """
    validate(schema, value, where=where, path=path)
    problems = Problems(path)
    resolved = schema.resolve(value, env, problems)
    if problems.found:
        raise ConfigErrors(problems.found, where=where)
    return resolved
