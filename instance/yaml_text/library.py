"""All of YAML, by PyYAML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from ...errors import ConfigErrors, Problems

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(_Base):  # type: ignore[misc] # the C loader where the library has it
    """A safe loader that leaves dates as text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}


def parse(text: str, *, where: str) -> Any:
    """As ``parse_yaml`` of the package."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        problems = Problems()
        _check_node(node, problems, (), set())
        if problems.found:
            raise ConfigErrors(problems.found, where=where)
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise _not_yaml(error, where) from None
    except RecursionError:
        problems = Problems()
        problems.add("nested too deeply")
        raise ConfigErrors(problems.found, where=where) from None
    finally:
        loader.dispose()


def _not_yaml(error: yaml.YAMLError, where: str) -> ConfigErrors:
    problems = Problems()
    mark = getattr(error, "problem_mark", None)
    context = getattr(error, "context", None)
    what = getattr(error, "problem", None) or str(error).partition("\n")[0]
    problems.add(f"not YAML: {what}" + (f", {context}" if context else ""))
    place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
    return ConfigErrors(problems.found, where=where + place)


def _check_node(node: yaml.Node, problems: Problems, parents: tuple[int, ...], seen: set[int]) -> None:
    """Looks at each node once, however often an alias repeats it."""
    if id(node) in parents:
        problems.add("an anchor stands inside itself", got=_place(node))
    if id(node) in seen:
        return
    seen.add(id(node))
    inside = (*parents, id(node))
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            _check_node(item, problems.at(position), inside, seen)
    elif isinstance(node, yaml.MappingNode):
        for key, problem in _repeated_keys(node):
            problems.at(key).add(problem)
        for key_node, value_node in node.value:
            _check_node(value_node, problems.at(str(key_node.value)), inside, seen)


def _repeated_keys(node: yaml.MappingNode) -> Iterator[tuple[str, str]]:
    first: dict[tuple[str, str], yaml.Node] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        earlier = first.setdefault((key.tag, key.value), key)
        if earlier is not key:
            yield key.value, f"this key stands twice: {_place(earlier)} and {_place(key)}"


def _place(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}, column {node.start_mark.column + 1}"


def dump(value: Any) -> str:
    """As ``dump_yaml`` of the package."""
    text: str = yaml.dump(value, default_flow_style=False)
    return text
