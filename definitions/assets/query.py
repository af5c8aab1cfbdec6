"""Asset selection queries: text -> a tree. What the tree means is ``selection``'s business.

The newer form: ``key:"a"``, ``tag:"k=v"``, ``group:g``, ``kind:k``, ``owner:o``, ``roots(...)``, ``sinks(...)``, ``*``, joined by ``and``,
``or``, ``not`` and parentheses; ``+`` before or after an expression means everything up or down from it, ``2+`` two levels. The
older form: a bare key, where each ``+`` is one level and ``*`` is all of them.

Source: https://docs.dagster.io/guides/build/assets/asset-selection-syntax
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Union

from ..errors import DagsterInvalidSubsetError

ATTRIBUTES = ("key", "key_substring", "tag", "owner", "group", "kind", "code_location", "column", "table_name")
FUNCTIONS = ("sinks", "roots")

_TOKEN = re.compile(
    r"\s*(?:(?P<quoted>\"(?:[^\"\\]|\\.)*\")|(?P<word>[A-Za-z0-9_*./@<>\-]+)|(?P<sign>[():+=]))", re.ASCII
)
_BARE = re.compile(r"(?P<up>\*|\+*)(?P<key>[^\s+*():\"]+)(?P<down>\*|\+*)")


@dataclass(frozen=True)
class Everything:
    """``*``."""


@dataclass(frozen=True)
class Attribute:
    """``name:value``; `value` None: ``<null>``. Of a tag, `value` is its key and `tag_value` what follows ``=``."""

    name: str
    value: str | None
    tag_value: str = ""


@dataclass(frozen=True)
class Not:
    """``not ...``."""

    of: Query


@dataclass(frozen=True)
class Join:
    """``... and ...``, ``... or ...``."""

    operator: str
    left: Query
    right: Query


@dataclass(frozen=True)
class Function:
    """``roots(...)``, ``sinks(...)``."""

    name: str
    of: Query


@dataclass(frozen=True)
class Reach:
    """Something with so many levels before and after it; None: all of them."""

    of: Query
    up: int | None
    down: int | None


Query = Union[Everything, Attribute, Not, Join, Function, Reach]  # noqa: UP007 - used at run time


def parse(text: str) -> Query:
    """The tree of a query.

    Raises:
        DagsterInvalidSubsetError: it is none.
    """
    bare = _BARE.fullmatch(text.strip())
    if bare is not None and bare["key"] not in FUNCTIONS:
        return _reach(Attribute("key", bare["key"]), _levels(bare["up"]), _levels(bare["down"]))
    parser = _Parser(text)
    found = parser.either()
    parser.end()
    return found


def _levels(signs: str) -> int | None:
    return None if signs == "*" else len(signs)


def _reach(of: Query, up: int | None, down: int | None) -> Query:
    return of if up == 0 and down == 0 else Reach(of, up, down)


class _Parser:
    """Recursive descent: ``or`` binds weakest, then ``and``, then ``not``, then the signs."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._refusal(f"character {at + 1}")
            self.tokens.append(match[0].strip())
            at = match.end()
        self.at = 0

    def either(self) -> Query:
        found = self.both()
        while self._take_word("or"):
            found = Join("or", found, self.both())
        return found

    def both(self) -> Query:
        found = self.negated()
        while self._take_word("and"):
            found = Join("and", found, self.negated())
        return found

    def negated(self) -> Query:
        if self._take_word("not"):
            return Not(self.negated())
        return self.reached()

    def reached(self) -> Query:
        up = self._depth_before()
        found = self.single()
        return _reach(found, up, self._depth_after())

    def single(self) -> Query:
        if self._take("("):
            found = self.either()
            self._need(")")
            return found
        word = self._next("an expression")
        if word == "*":
            return Everything()
        if word in FUNCTIONS:
            self._need("(")
            found = self.either()
            self._need(")")
            return Function(word, found)
        if word not in ATTRIBUTES:
            raise self._refusal(repr(word))
        self._need(":")
        value = self._value()
        has_value = word == "tag" and self._take("=")
        return Attribute(word, None if value == "<null>" else value, self._value() if has_value else "")

    def end(self) -> None:
        if self.at < len(self.tokens):
            raise self._refusal(repr(self.tokens[self.at]))

    def _depth_before(self) -> int | None:
        if self._take("+"):
            return None
        if self._peek().isdigit() and self._peek(1) == "+":
            depth = int(self._next("a depth"))
            self._need("+")
            return depth
        return 0

    def _depth_after(self) -> int | None:
        if not self._take("+"):
            return 0
        return int(self._next("a depth")) if self._peek().isdigit() else None

    def _value(self) -> str:
        token = self._next("a value")
        if token in "():+=":
            raise self._refusal(repr(token))
        return re.sub(r"\\(.)", r"\1", token[1:-1]) if token.startswith('"') else token

    def _peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else ""

    def _next(self, expected: str) -> str:
        if self.at >= len(self.tokens):
            raise self._refusal("the end", expected)
        self.at += 1
        return self.tokens[self.at - 1]

    def _take(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self.at += 1
        return True

    def _take_word(self, word: str) -> bool:
        return self._take(word) or self._take(word.upper())

    def _need(self, token: str) -> None:
        if not self._take(token):
            raise self._refusal(repr(self._peek()) if self._peek() else "the end", repr(token))

    def _refusal(self, got: str, expected: str | None = None) -> DagsterInvalidSubsetError:
        return DagsterInvalidSubsetError(
            f"this is no asset selection query: {self.text!r}.",
            got=got,
            expected=expected or 'a key, or key:"a", group:g, tag:"k=v", kind:k, owner:o joined by and, or, not',
        )
