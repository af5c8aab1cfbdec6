"""Any document as something to read: what ``runplane args show`` prints.

It works on the plain JSON, not on objects, so that nothing of the input can be lost: unknown classes, unknown fields, NaN.
The form for people parses the YAML inside ``config_yaml``; the form for programs leaves it as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import yaml

from ..errors import DocumentError
from ..serdes.compression import is_compressed
from ..serdes.json_text import parse
from ..serdes.limits import Bounds, check_depth
from ..serdes.record import record
from .wire import REGISTRY, REQUEST_BOUNDS, plain_text

_OTHER_CLASSES = frozenset(
    {"PipelineRun", "EventLogEntry", "DagsterEvent", "ExternalPipelineOrigin", "ExecuteExternalPipelineArgs"}
)
_NESTED_YAML_LIMIT = 100_000


@record
class Description:
    """A document that was looked at.

    Attributes:
        name: its class (``ExecuteRunArgs``), or kind and version of one of ours; None for JSON that is neither.
        compressed: whether it came in the compressed form.
        characters: length of its JSON text.
        content: the JSON, nothing changed.
        unknown: paths of objects whose class is not known here, with the class.
        problem: why it can not be used as what it claims to be, or None.
    """

    name: str | None
    compressed: bool
    characters: int
    content: Any
    unknown: tuple[str, ...]
    problem: str | None

    def to_json(self) -> dict[str, Any]:
        """For programs: strict JSON values. NaN and infinities, which JSON has no form for, are the texts ``NaN``, ``Infinity``."""
        return {
            "document": self.name,
            "compressed": self.compressed,
            "characters": self.characters,
            "unknown_classes": list(self.unknown),
            "problem": self.problem,
            "content": _strict(self.content),
        }

    def to_text(self) -> str:
        """For people: the content as YAML, the YAML inside ``config_yaml`` unfolded."""
        form = "compressed" if self.compressed else "plain"
        lines = [f"# {self.name or 'JSON'}, {form}, {self.characters} characters of JSON"]
        lines += [f"# unknown class: {place}" for place in self.unknown]
        if self.problem:
            lines += [f"# problem: {line}" for line in self.problem.splitlines()]
        shown = yaml.dump(_unfolded(self.content), Dumper=_Shown, sort_keys=False, allow_unicode=True, width=10**9)
        return "\n".join([*lines, shown])


def describe(text: str | bytes) -> Description:
    """What a document holds, plain or compressed, of whatever class.

    Raises:
        DocumentError: it is not a document at all: not JSON, not base64, damaged, or beyond the bounds.
    """
    plain = plain_text(text)
    given = text if isinstance(text, str) else text.decode()
    tree = parse(plain, REQUEST_BOUNDS)
    return Description(
        name=_name(tree),
        compressed=bool(given.strip()) and is_compressed(given),
        characters=len(plain),
        content=tree,
        unknown=tuple(_unknown_classes(tree)),
        problem=_problem(tree),
    )


def _name(tree: Any) -> str | None:
    if type(tree) is not dict:
        return None
    name, kind, version = tree.get("__class__"), tree.get("kind"), tree.get("version")
    if type(name) is str:
        return name
    return f"{kind} {version}" if type(kind) is str and type(version) is str else None


def _problem(tree: Any) -> str | None:
    if type(tree) is not dict or tree.get("__class__") not in REGISTRY.class_names:
        return None
    try:
        REGISTRY.as_strict().read_tree(tree, REQUEST_BOUNDS)
    except DocumentError as exc:
        return str(exc)
    return None


def _unknown_classes(tree: Any) -> Iterator[str]:
    if _name(tree) in _OTHER_CLASSES:
        return  # of the log, with dozens of classes that are shown as they are
    known = frozenset(REGISTRY.class_names)
    waiting = [("", tree)]
    while waiting:
        path, node = waiting.pop()
        if type(node) is dict:
            name = node.get("__class__")
            if type(name) is str and name not in known:
                yield f"{path or 'the document'}: {name}"
            waiting += [(f"{path}.{key}" if path else key, item) for key, item in node.items()]
        elif type(node) is list:
            waiting += [(f"{path}[{at}]", item) for at, item in enumerate(node)]


def _strict(node: Any) -> Any:
    if type(node) is dict:
        return {key: _strict(item) for key, item in node.items()}
    if type(node) is list:
        return [_strict(item) for item in node]
    if type(node) is float and not math.isfinite(node):
        return "NaN" if math.isnan(node) else "Infinity" if node > 0 else "-Infinity"
    return node


def _unfolded(node: Any) -> Any:
    if type(node) is dict:
        return {key: _unfolded(_yaml_inside(item) if key == "config_yaml" else item) for key, item in node.items()}
    return [_unfolded(item) for item in node] if type(node) is list else node


def _yaml_inside(text: Any) -> Any:
    """The mapping in a ``config_yaml``; anything that is not a plain mapping stays the text that it is."""
    if type(text) is not str or len(text) > _NESTED_YAML_LIMIT:
        return text
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_Inner)):
            return text  # a few aliases can stand for gigabytes
        found = yaml.load(text, Loader=_Inner)
        check_depth(found, Bounds(depth=30))
    except (yaml.YAMLError, ValueError, RecursionError, DocumentError):
        return text
    return found if type(found) is dict and all(type(key) is str for key in found) else text


class _Inner(yaml.SafeLoader):
    """Safe, and a date stays the text that it is."""


_Inner.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Shown(yaml.SafeDumper):
    """Text of several lines as a block, nothing as an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always: an anchor means nothing to the reader."""
        return True


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Shown.add_representer(str, _text_node)
