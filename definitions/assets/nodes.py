"""What lies inside the op or graph that makes assets: its ops, the outputs that are the assets, and what an existing one stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from ...events.asset_key import AssetKey
from ..composition import Source
from ..op import OpDefinition
from ..results import DEFAULT_OUTPUT
from .spec import AssetSpec, key_of


def ops_of(node: Any) -> Iterable[OpDefinition]:
    """The ops inside a node, at any depth."""
    if isinstance(node, OpDefinition):
        yield node
    else:
        for inner in node.node_dict.values():
            yield from ops_of(inner.definition)


def output_of_node(node: Any, output: str, prefix: str = "") -> tuple[str, Any]:
    """The op inside a node whose output an output of the node is: its path below `prefix` (empty for an op), and the output."""
    if isinstance(node, OpDefinition):
        return prefix, node.output_dict[output]
    source: Source = node.output_sources[output]
    inner = node.node_dict[source.node or ""]
    path = f"{prefix}.{inner.name}" if prefix else inner.name
    return output_of_node(inner.definition, source.name, path)


class NodeAssets(NamedTuple):
    """The assets that an op or graph stands for: what is said of each, which of them an output is, which asset an input takes."""

    specs: Mapping[AssetKey, AssetSpec]
    by_output: Mapping[str, AssetKey]
    by_input: Mapping[str, AssetKey]


def assets_of_node(
    node: Any,
    keys_by_input: Mapping[str, Any],
    keys_by_output: Mapping[str, Any],
    *,
    key_prefix: str | Sequence[str] | None,
    internal_asset_deps: Mapping[str, AbstractSet[AssetKey]] | None,
    group_name: str | None,
    metadata: Mapping[str, Mapping[str, Any]] | None,
    tags: Mapping[str, Mapping[str, str]] | None,
    descriptions: Mapping[str, str] | None,
    code_versions: Mapping[str, str] | None,
) -> NodeAssets:
    """The assets of an op or graph that exists already. The arguments are those of ``AssetsDefinition.from_op``."""
    inputs = {name: key_of(keys_by_input.get(name, name)) for name in node.input_dict}
    outputs = {}
    for name in node.output_dict:
        named = keys_by_output.get(name)
        key = key_of(named if named is not None else (node.name if name == DEFAULT_OUTPUT else name))
        outputs[name] = key.with_prefix(key_prefix) if key_prefix is not None else key
    specs = {}
    for name, key in outputs.items():
        deps = (internal_asset_deps or {}).get(name, set(inputs.values()))
        specs[key] = AssetSpec(
            key,
            deps=sorted(deps),
            description=(descriptions or {}).get(name) or (node.description if len(outputs) == 1 else None),
            metadata=(metadata or {}).get(name),
            skippable=not node.output_dict[name].is_required,
            group_name=group_name,
            code_version=(code_versions or {}).get(name),
            tags=(tags or {}).get(name),
        )
    return NodeAssets(specs, outputs, inputs)
