"""``docs/reference/names.md``: every public name with its signature and docstring. Written anew by ``python tests/reference_page.py``."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import runplane

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "names.md"
HEAD = """# Public names

Every name that `runplane` exports, from its docstring. `python tests/reference_page.py` writes this page, and a test holds it to the code.
How these names compare with Dagster's is in [Dagster's public names](dagster.md).
"""


def page() -> str:
    """The page's text."""
    by_module: dict[str, list[str]] = {}
    for name, (module, _) in sorted(runplane._LAZY.items()):
        by_module.setdefault(module, []).append(name)
    parts = [HEAD]
    for module, names in sorted(by_module.items()):
        about = _sentence(importlib.import_module(f"runplane.{module}").__doc__)
        parts.append(f"## {module}\n\n{about}\n")
        parts += [_entry(name, getattr(runplane, name)) for name in names]
    return "\n".join(parts)


def _entry(name: str, value: Any) -> str:
    text = f"### {name}\n\n"
    if inspect.isfunction(value) or inspect.isclass(value):
        text += f"```text\n{name}{_signature(value)}\n```\n\n"
    doc = value.__doc__ if inspect.isfunction(value) or inspect.isclass(value) else getattr(value, "description", None)
    if doc and type(value).__module__ != "typing":
        text += f"{_prose(doc)}\n"
    if inspect.isclass(value) and value.__module__.startswith("runplane"):
        members = _members(value)
        text += "".join(f"\n- {line}" for line in members) + ("\n" if members else "")
    return text


def _signature(value: Any) -> str:
    try:
        text = str(inspect.signature(value))
    except (TypeError, ValueError):
        return ""
    # What is a version's own way to print a default or an annotation is left out.
    text = re.sub(r"<(\w+)\.(\w+): [^>]*>", r"\2", text)
    text = re.sub(r"<(?:function|class) [^>]*>", "...", text)
    return "(...)" if "object at 0x" in text or "pydantic" in value.__module__ else text.replace("'", "")


def _members(cls: type) -> list[str]:
    found = []
    for name, member in sorted(vars(cls).items()):
        if name.startswith(("_", "runplane_", "model_")):
            continue
        function = member.__func__ if isinstance(member, (staticmethod, classmethod)) else member
        if isinstance(member, property) and member.__doc__:
            found.append(f"`{name}`: {_sentence(member.__doc__)}")
        elif inspect.isfunction(function) and function.__doc__:
            found.append(f"`{name}()`: {_sentence(function.__doc__)}")
    return found


def _sentence(doc: str | None) -> str:
    """The first paragraph in one line."""
    return " ".join(inspect.cleandoc(doc or "").split("\n\n")[0].split()).replace("``", "`")


def _prose(doc: str) -> str:
    """A docstring as Markdown: its sections are code blocks, so that their layout stays."""
    paragraphs = inspect.cleandoc(doc).split("\n\n")
    shown = []
    for paragraph in paragraphs:
        if re.match(r"(Args|Attributes|Raises|Returns):", paragraph):
            shown.append(f"```text\n{paragraph.replace('``', '`')}\n```")
        else:
            shown.append(paragraph.replace("``", "`"))
    return "\n\n".join(shown)


if __name__ == "__main__":
    PAGE.write_text(page())
