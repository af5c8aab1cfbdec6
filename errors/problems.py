"""Many problems at once, each with its path."""

from __future__ import annotations

from dataclasses import dataclass, field

from .suggest import nearest


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: dotted path from the document's root, list positions in brackets (``a.b[2].c``).
        message: what is wrong, without the path.
        got: what was found (only its type where the value may be a secret).
        expected: what would have been right.
        suggestion: the nearest known name.
    """

    path: str
    message: str
    got: str | None = None
    expected: str | None = None
    suggestion: str | None = None

    def __str__(self) -> str:
        text = f"{self.path}: {self.message}" if self.path else self.message
        details = [f"got {self.got}"] if self.got is not None else []
        if self.expected is not None:
            details.append(f"expected {self.expected}")
        if details:
            text += f" ({', '.join(details)})"
        if self.suggestion:
            text += f", did you mean {self.suggestion!r}?"
        return text


@dataclass(slots=True)
class Problems:
    """Collects problems; `at` gives a view whose paths start deeper. Both share one list."""

    path: str = ""
    found: list[Problem] = field(default_factory=list)

    def at(self, key: str | int) -> Problems:
        """The same collection, one key or list position deeper."""
        step = f"[{key}]" if isinstance(key, int) else (f".{key}" if self.path else key)
        return Problems(self.path + step, self.found)

    def add(
        self, message: str, *, got: str | None = None, expected: str | None = None, suggestion: str | None = None
    ) -> None:
        """Record one problem at this path."""
        self.found.append(Problem(self.path, message, got, expected, suggestion))

    def unknown_key(self, key: str, known: list[str]) -> None:
        """Record that `key` is not one of `known`."""
        close = nearest(key, known)
        self.at(key).add("unknown key", expected="one of " + ", ".join(sorted(known)), suggestion=close)
