"""What users want in a Job: six sections of Kubernetes' own fields, merged layer over layer, each field with the name of who set it.

Source of the merge's rules: https://docs.dagster.io/deployment/oss/deployment-options/kubernetes/customizing-your-deployment
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Union

from ..config.schema import type_name
from ..errors import Problems, nearest
from .schema import to_camel

SECTIONS: Mapping[str, str] = {
    "container_config": "V1Container",
    "pod_template_spec_metadata": "V1ObjectMeta",
    "pod_spec_config": "V1PodSpec",
    "job_config": "V1Job",
    "job_metadata": "V1ObjectMeta",
    "job_spec_config": "V1JobSpec",
}
"""Section -> what it is a part of."""


class Who:
    """Who may have set a field of a Job."""

    INSTANCE = "instance"
    LOCATION = "location"
    JOB_TAG = "job tag"
    OP_TAG = "op tag"
    RUN_TAG = "run tag"
    EXECUTOR = "executor"
    ARGUMENT = "argument"
    DEFAULT = "default"


_REPLACED_WHOLE = frozenset({"command", "args"})


class MergeBehavior(str, Enum):
    """How a layer is put over the one below it."""

    DEEP = "DEEP"
    """Mappings key by key, lists one after the other without duplicates, all else replaced."""
    SHALLOW = "SHALLOW"
    """Each key of a section replaced whole."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that is replaced as one: a scalar, or an entry of a list, whatever is in it."""

    value: Any
    who: str


@dataclass(frozen=True, slots=True)
class Entries:
    """A list. What users give is made of leaves."""

    items: tuple[Tree, ...]
    who: str


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping."""

    items: Mapping[str, Tree]
    who: str


Tree = Union[Leaf, Entries, Fields]  # noqa: UP007 - it names itself, so it has to be a runtime Union


def tree(value: Any, who: str) -> Tree:
    """`value`, all of it set by `who`."""
    if isinstance(value, Mapping):
        return Fields({key: tree(item, who) for key, item in value.items()}, who)
    if isinstance(value, (list, tuple)):
        return Entries(tuple(Leaf(item, who) for item in value), who)
    return Leaf(value, who)


def fields(value: Mapping[str, Any], who: str) -> Fields:
    """A mapping, all of it set by `who`."""
    return Fields({key: tree(item, who) for key, item in value.items()}, who)


def plain(found: Tree) -> Any:
    """The value alone. A key that was set to null is left out: null takes back what a lower layer said."""
    if isinstance(found, Fields):
        values = {key: plain(item) for key, item in found.items.items()}
        return {key: value for key, value in values.items() if value is not None}
    if isinstance(found, Entries):
        return [plain(item) for item in found.items]
    return _without_nulls(found.value)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_nulls(item) for item in value]
    return value


def sources(found: Tree, path: str) -> Iterator[tuple[str, str]]:
    """Each place that holds a value (or an empty mapping or list) -> who set it. Places are written `a.b[0].c`."""
    if isinstance(found, Fields):
        if not found.items:
            yield path, found.who
        for key, item in found.items.items():
            yield from sources(item, joined(path, key))
    elif isinstance(found, Entries):
        if not found.items:
            yield path, found.who
        for n, entry in enumerate(found.items):
            yield from sources(entry, f"{path}[{n}]")
    else:
        yield from _inside(found.value, found.who, path)


def _inside(value: Any, who: str, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _inside(item, who, joined(path, key))
    elif isinstance(value, (list, tuple)) and value:
        for n, item in enumerate(value):
            yield from _inside(item, who, f"{path}[{n}]")
    elif value is not None:
        yield path, who


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each place of a manifest that holds a value (or an empty mapping or list), written as in ``sources``, and the value."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, joined(path, key))
    elif isinstance(value, (list, tuple)) and value:
        for n, item in enumerate(value):
            yield from leaves(item, f"{path}[{n}]")
    else:
        yield path, value


def joined(path: str, key: str) -> str:
    """`path`, one key deeper; a key that itself has dots stands in brackets."""
    if "." in key or "[" in key:
        return f"{path}[{json.dumps(key)}]"
    return f"{path}.{key}" if path else key


@dataclass(frozen=True, slots=True)
class UserConfig:
    """One layer, or several merged.

    Attributes:
        sections: section -> its fields under camelCase names; every section is there.
        merge_behavior: how it is put over what is below it.
    """

    sections: Mapping[str, Fields] = field(default_factory=lambda: {name: Fields({}, Who.DEFAULT) for name in SECTIONS})
    merge_behavior: MergeBehavior = MergeBehavior.DEEP

    def merged(self, above: UserConfig) -> UserConfig:
        """This layer with `above` put over it, in the way that `above` asks for; the result asks for the same."""
        put = _deep if above.merge_behavior is MergeBehavior.DEEP else _shallow
        both = {name: put(self.sections[name], above.sections[name]) for name in SECTIONS}
        return UserConfig(both, above.merge_behavior)

    def section(self, name: str) -> dict[str, Tree]:
        """The fields of a section."""
        return dict(self.sections[name].items)

    def with_field(self, section: str, key: str, value: Tree) -> UserConfig:
        """A copy with one field set."""
        old = self.sections[section]
        new = Fields({**old.items, key: value}, old.who)
        return UserConfig({**self.sections, section: new}, self.merge_behavior)


def _shallow(below: Fields, above: Fields) -> Fields:
    return Fields({**below.items, **above.items}, above.who if above.items else below.who)


def _deep(below: Fields, above: Fields) -> Fields:
    merged = dict(below.items)
    for key, item in above.items.items():
        merged[key] = _put(merged[key], item, key) if key in merged else item
    return Fields(merged, above.who if above.items else below.who)


def _put(below: Tree, above: Tree, key: str) -> Tree:
    if isinstance(below, Fields) and isinstance(above, Fields):
        return _deep(below, above)
    if isinstance(below, Entries) and isinstance(above, Entries) and key not in _REPLACED_WHOLE:
        return Entries(_once(below.items + above.items), above.who)
    return above


def _once(entries: tuple[Tree, ...]) -> tuple[Tree, ...]:
    seen: dict[str, Tree] = {}
    for entry in entries:
        seen.setdefault(json.dumps(plain(entry), sort_keys=True), entry)
    return tuple(seen.values())


def of_sections(sections: Mapping[str, Mapping[str, Any]], who: str) -> UserConfig:
    """A layer of fields that are in camelCase already."""
    return UserConfig({name: fields(sections.get(name, {}), who) for name in SECTIONS})


def read(value: Any, who: str, problems: Problems, *, merge_behavior: bool = True) -> UserConfig:
    """A layer as a user wrote it.

    Args:
        value: the sections, fields in either spelling.
        who: the layer's name.
        problems: gets every unknown section and field, both spellings of one field at once, and every wrong type.
        merge_behavior: whether the key `merge_behavior` may stand there.
    """
    if not isinstance(value, Mapping):
        problems.add("wrong type", got=type_name(value), expected="a mapping")
        return UserConfig()
    found: dict[str, Any] = {}
    behavior = MergeBehavior.DEEP
    for key, item in value.items():
        if key == "merge_behavior" and merge_behavior:
            behavior = _behavior(item, problems.at(key))
        elif key not in SECTIONS:
            problems.unknown_key(str(key), [*SECTIONS, *(["merge_behavior"] if merge_behavior else [])])
        else:
            found[key] = section(key, item, problems.at(key))
    return UserConfig(of_sections(found, who).sections, behavior)


def section(name: str, value: Any, problems: Problems) -> Mapping[str, Any]:
    """A section's fields under camelCase names. A field that would have no effect is a problem."""
    if not isinstance(value, Mapping):
        problems.add("wrong type", got=type_name(value), expected="a mapping")
        return {}
    found: Mapping[str, Any] = to_camel(SECTIONS[name], value, problems)
    for key, instead in _WITHOUT_EFFECT.get(name, {}).items():
        if key in found:
            problems.at(key).add("has no effect here", expected=instead)
    return found


_WITHOUT_EFFECT: Mapping[str, Mapping[str, str]] = {
    "container_config": {"args": "no arguments: those of a worker are fixed"},
    "pod_template_spec_metadata": {"name": "no name: a pod is named after its Job"},
    "job_config": {
        "metadata": "the section job_metadata",
        "spec": "the section job_spec_config",
        "apiVersion": "nothing: a Job is batch/v1",
        "kind": "nothing: a Job is a Job",
    },
    "job_metadata": {"name": "no name: a Job is named after its run or step"},
    "job_spec_config": {"template": "the sections pod_spec_config and pod_template_spec_metadata"},
}


def _behavior(value: Any, problems: Problems) -> MergeBehavior:
    names = [behavior.value for behavior in MergeBehavior]
    if value in names:
        return MergeBehavior(value)
    text = value if isinstance(value, str) else ""
    problems.add("unknown value", got=type_name(value), expected=" or ".join(names), suggestion=nearest(text, names))
    return MergeBehavior.DEEP
