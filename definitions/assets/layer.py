"""The assets of a job: which outputs of its ops are assets and checks, and which inputs take what no op of it makes.

A job of assets is a job of ops; this is all that is known beyond that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...events.asset_key import AssetCheckKey, AssetKey
from ..step_assets import NO_ASSETS, AssetSource, StepAssets
from ..wiring import WiredOp
from .assets_definition import AssetsDefinition
from .nodes import output_of_node
from .spec import AssetCheckSpec
from .step import AssetStep


@dataclass(frozen=True)
class AssetLayer:
    """What a job knows of assets.

    Attributes:
        definitions: by node at the top of the graph, the definition that it stands for.
        sources: by input of the graph, the asset that is loaded for it.
        wiring: the job's ops by path.
    """

    definitions: Mapping[str, AssetsDefinition]
    sources: Mapping[str, AssetSource]
    wiring: Mapping[str, WiredOp]
    _assets: dict[tuple[str, str], AssetKey] = field(default_factory=dict)
    _outputs: dict[str, dict[str, AssetKey]] = field(default_factory=dict)
    _checks: dict[str, dict[str, AssetCheckSpec]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node, definition in self.definitions.items():
            for output, key in definition.keys_by_output.items():
                path, out = output_of_node(definition.node_def, output, node)
                self._assets[path, out.name] = key
                self._outputs.setdefault(path, {})[out.name] = key
            for output, spec in definition.checks_by_output.items():
                path, out = output_of_node(definition.node_def, output, node)
                self._checks.setdefault(path, {})[out.name] = spec

    def step(self, path: str) -> StepAssets:
        """What the op at `path` makes of assets, and takes."""
        node = path.partition(".")[0]
        definition = self.definitions.get(node)
        if definition is None:
            return NO_ASSETS
        wired = self.wiring[path]
        return AssetStep(
            definition=definition,
            is_whole=path == node,
            outputs=self._outputs.get(path, {}),
            checks=self._checks.get(path, {}),
            inputs=self._inputs(wired, definition if path == node else None),
            sources={
                name: self.sources[spec.graph_input]
                for name, spec in wired.inputs.items()
                if spec.graph_input is not None and spec.graph_input in self.sources
            },
            all_outputs=self._assets,
        )

    def _inputs(self, op: WiredOp, definition: AssetsDefinition | None) -> dict[str, AssetKey]:
        found = dict(definition.keys_by_input) if definition is not None else {}
        for name, spec in op.inputs.items():
            if spec.graph_input is not None and spec.graph_input in self.sources:
                found[name] = self.sources[spec.graph_input].key
            for ref in spec.sources:
                key = self._assets.get((ref.step.removesuffix("[?]"), ref.output))
                if key is not None:
                    found[name] = key
        return found

    @property
    def asset_keys(self) -> set[AssetKey]:
        """The assets that the job makes."""
        return {key for definition in self.definitions.values() for key in definition.keys}

    @property
    def executable_asset_keys(self) -> set[AssetKey]:
        """As ``asset_keys``."""
        return self.asset_keys

    @property
    def asset_check_keys(self) -> set[AssetCheckKey]:
        """The checks that the job evaluates."""
        return {key for definition in self.definitions.values() for key in definition.check_keys}

    def asset_of(self, path: str, output: str) -> AssetKey | None:
        """The asset that an output of an op is."""
        return self._assets.get((path, output))

    def where(self, key: AssetKey) -> tuple[str, str] | None:
        """The path of the op, and the output, that is an asset."""
        return next((place for place, found in self._assets.items() if found == key), None)
