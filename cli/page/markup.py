"""HTML from Python: every text is escaped, every element closed."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = Markup | str | int | None | Iterable["Child"]
_VOID = frozenset({"br", "hr", "meta", "link", "input", "col"})


def element(tag: str, *children: Child, **attributes: object) -> Markup:
    """One element. A text child is escaped; None is left out. ``class_`` is ``class``, ``aria_label`` is ``aria-label``; an attribute
    that is None is left out, one that is True has no value."""
    written = "".join(_attribute(name, value) for name, value in attributes.items() if value not in (None, False))
    if tag in _VOID:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{inner(children)}</{tag}>")


def inner(children: Child) -> Markup:
    """What stands between two tags."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, str | int):
        return Markup(escape(str(children), quote=False))
    return Markup("".join(inner(child) for child in children))


def cut(text: str, most: int) -> str:
    """A text of at most so many characters; what is cut is said."""
    return text if len(text) <= most else f"{text[:most]}\n... and {len(text) - most} more characters"


def _attribute(name: str, value: object) -> str:
    dashed = name.rstrip("_").replace("_", "-")
    name = {"viewbox": "viewBox", "preserveaspectratio": "preserveAspectRatio"}.get(dashed, dashed)
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
