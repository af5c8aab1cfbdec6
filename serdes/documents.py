"""Our own stored and sent documents: ``{"kind": ..., "version": "major.minor", "body": {...}}``.

Within a major, versions only add: an older reader keeps what it does not know and writes it back. A new major has one upgrade step
from the one before; a document of major 1 read by a program of major 3 goes 1 -> 2 -> 3. A newer major than the program's is an error by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Generic, TypeVar

from ..errors import DocumentError, nearest
from ..errors.exit_codes import ExitCode
from .json_text import compact_text, parse
from .limits import BOUNDS, Bounds, check_depth, too_deep
from .record import record

T = TypeVar("T")
Body = dict[str, Any]


class NewerDocumentError(DocumentError):
    """The document was written by a newer major version of runplane."""

    exit_code = ExitCode.VERSION_SKEW


@record
class DocumentKind(Generic[T]):
    """One kind of document and its current form.

    Attributes:
        name: the kind's name in the envelope.
        version: the current ``(major, minor)``.
        encode: value -> body; JSON values only.
        decode: body of the current major -> value. It may raise KeyError, TypeError or ValueError for a body that does not fit.
        fields: the body's keys that `decode` understands; others are kept.
        upgrades: for each older major that can be read, the body of that major -> the body of the next one.
    """

    name: str
    version: tuple[int, int]
    encode: Callable[[T], Body]
    decode: Callable[[Body], T]
    fields: frozenset[str]
    upgrades: Mapping[int, Callable[[Body], Body]] = field(default_factory=dict)


@record
class Document(Generic[T]):
    """A document that was read.

    Attributes:
        kind: its kind's name.
        value: what it holds.
        version: the version it was written with, upgraded or not.
        extra: fields of the body that a newer minor added; written back.
    """

    kind: str
    value: T
    version: tuple[int, int]
    extra: Mapping[str, Any] = field(default_factory=dict)


class Documents:
    """The kinds that a program knows."""

    def __init__(self) -> None:
        self._kinds: dict[str, DocumentKind[Any]] = {}

    def add(self, kind: DocumentKind[T]) -> DocumentKind[T]:
        """Register a kind and return it.

        Raises:
            ValueError: the name is taken, or an upgrade step is missing or leads nowhere.
        """
        if kind.name in self._kinds:
            raise ValueError(f"the kind {kind.name!r} is registered twice")
        majors = sorted(kind.upgrades)
        if majors != list(range(kind.version[0] - len(majors), kind.version[0])):
            raise ValueError(
                f"the upgrade steps of {kind.name!r} do not lead to {kind.version[0]} one by one: {majors}"
            )
        self._kinds[kind.name] = kind
        return kind

    def write(self, kind: DocumentKind[T], value: T) -> str:
        """The document of `value` in the current version. Raises DocumentError when its body is not JSON."""
        return self._text(kind, kind.version, kind.encode(value))

    def rewrite(self, document: Document[T]) -> str:
        """The document again, with what a newer minor had added to it."""
        kind = self._kinds[document.kind]
        return self._text(kind, max(document.version, kind.version), {**document.extra, **kind.encode(document.value)})

    def read(self, text: str | bytes, kind: DocumentKind[T], bounds: Bounds = BOUNDS) -> Document[T]:
        """A document that has to be of this kind.

        Raises:
            NewerDocumentError: written by a newer major.
            DocumentError: another kind, or not readable.
        """
        found = self.read_any(text, bounds)
        if found.kind != kind.name:
            raise DocumentError("another kind of document", got=found.kind, expected=kind.name)
        return found

    def read_any(self, text: str | bytes, bounds: Bounds = BOUNDS) -> Document[Any]:
        """A document of any known kind. Raises DocumentError."""
        name, version, body = _envelope(parse(text, bounds))
        kind = self._kinds.get(name)
        if kind is None:
            raise DocumentError(f"unknown kind of document {name[:80]!r}", nearest=nearest(name[:80], self._kinds))
        if version[0] > kind.version[0]:
            raise NewerDocumentError(
                f"this {name} was written by a newer runplane",
                got=f"version {_dotted(version)}",
                expected=f"at most {kind.version[0]}.x",
                hint="Use an image with a runplane at least as new as the one that wrote it.",
            )
        try:
            for major in range(version[0], kind.version[0]):
                body = kind.upgrades[major](body)
            extra = {key: item for key, item in body.items() if key not in kind.fields}
            return Document(name, kind.decode(body), version, extra)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as exc:
            what = f"{type(exc).__name__}: {exc}"[:200]
            if isinstance(exc, KeyError) and version[0] not in kind.upgrades and version[0] < kind.version[0]:
                what = "no upgrade step is left for it"
            raise DocumentError(f"the {name} of version {_dotted(version)} can not be read", got=what) from exc
        except RecursionError as exc:
            raise too_deep(bounds) from exc

    @staticmethod
    def _text(kind: DocumentKind[Any], version: tuple[int, int], body: Body) -> str:
        try:
            text = compact_text({"kind": kind.name, "version": _dotted(version), "body": body})
        except (TypeError, ValueError) as exc:
            raise DocumentError(f"the {kind.name} can not be written as JSON", got=str(exc)) from exc
        except RecursionError as exc:
            raise too_deep() from exc
        if text.count("{") + text.count("[") > BOUNDS.depth:
            check_depth(body)
        return text


def _envelope(tree: Any) -> tuple[str, tuple[int, int], Body]:
    if type(tree) is not dict:
        raise DocumentError("not a document", got=type(tree).__name__, expected='{"kind", "version", "body"}')
    name, version, body = tree.get("kind"), tree.get("version"), tree.get("body")
    if type(name) is not str or type(version) is not str or type(body) is not dict:
        hint = "It is in Dagster's form." if "__class__" in tree else None
        raise DocumentError("not a document", expected="kind: text, version: text, body: a mapping", hint=hint)
    major, dot, minor = version.partition(".")
    if not (dot and _is_number(major) and _is_number(minor)):
        raise DocumentError("the document's version is not a version", got=repr(version[:40]), expected="major.minor")
    return name, (int(major), int(minor)), body


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
