"""The assets of one code location: what ``Definitions`` makes of the assets, checks and asset jobs that it is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from types import ModuleType
from typing import Any

from ...errors.suggest import nearest
from ...events.asset_key import AssetCheckKey, AssetKey
from ..definitions_object import IMPLICIT_ASSET_JOB
from ..errors import DagsterInvalidDefinitionError, DagsterInvariantViolationError
from ..executor_definition import ExecutorDefinition
from ..job import JobDefinition
from .asset_job import UnresolvedAssetJobDefinition, build_asset_job
from .assets_definition import AssetsDefinition
from .graph import AssetGraph
from .loading import checks_of_module, objects_of_module
from .read_back import evaluation, said_of_asset
from .spec import AssetSpec, key_of

__all__ = ["AssetLocation", "evaluation", "is_asset_job", "of_module", "said_of_asset"]


class AssetLocation:
    """Assets, checks, and the jobs of them.

    Args:
        assets: definitions, specs, source assets; lists of them are taken apart.
        checks: definitions of checks.

    Raises:
        DagsterInvalidDefinitionError: something that is none of these; one asset or check twice; a circle.
    """

    def __init__(self, assets: Iterable[Any], checks: Iterable[Any]) -> None:
        self.assets: Sequence[Any] = list(_flat(assets))
        self.checks: Sequence[AssetsDefinition] = [_check(one) for one in _flat(checks)]

    @cached_property
    def graph(self) -> AssetGraph:
        """All of them."""
        return AssetGraph([*map(AssetsDefinition.from_anything, self.assets), *self.checks])

    @property
    def has_executable(self) -> bool:
        """Whether there is anything to run."""
        return any(d.is_executable for d in self.graph.definitions)

    def implicit_job(self, resources: Mapping[str, Any], executor: ExecutorDefinition | None) -> JobDefinition:
        """The job of all assets and checks, ``__ASSET_JOB``."""
        return build_asset_job(
            IMPLICIT_ASSET_JOB,
            self.graph,
            self.graph.executable_keys,
            self.graph.check_specs,
            resource_defs=resources,
            executor_def=executor,
        )

    def resolved(
        self, job: UnresolvedAssetJobDefinition, resources: Mapping[str, Any], executor: ExecutorDefinition | None
    ) -> JobDefinition:
        """The job that ``define_asset_job`` described."""
        return job.resolve(asset_graph=self.graph, resource_defs=resources, default_executor_def=executor)

    def assets_def(self, key: Any) -> AssetsDefinition:
        """The definition that makes an asset.

        Raises:
            DagsterInvariantViolationError: there is none.
        """
        wanted = AssetKey.from_coercible(key_of(key))
        if wanted not in self.graph.makers:
            names = [k.to_user_string() for k in self.graph.makers]
            raise DagsterInvariantViolationError(
                f"Could not find asset {wanted!r}", nearest=nearest(wanted.to_user_string(), names)
            )
        return self.graph.makers[wanted]

    def checks_def(self, key: AssetCheckKey) -> AssetsDefinition:
        """The definition that evaluates a check.

        Raises:
            DagsterInvariantViolationError: there is none.
        """
        if key not in self.graph.check_makers:
            raise DagsterInvariantViolationError(f"Could not find asset checks definition for asset check key {key}")
        return self.graph.check_makers[key]

    @property
    def specs(self) -> Sequence[AssetSpec]:
        """What is said of each asset."""
        return list(self.graph.specs.values())


def of_module(module: ModuleType) -> AssetLocation:
    """All assets and checks at the top of a module."""
    return AssetLocation(objects_of_module(module), checks_of_module(module))


def is_asset_job(value: Any) -> bool:
    """Whether it is what ``define_asset_job`` gives."""
    return isinstance(value, UnresolvedAssetJobDefinition)


def _flat(given: Iterable[Any]) -> Iterable[Any]:
    for one in given:
        if isinstance(one, (list, tuple)) and not isinstance(one, AssetKey):
            yield from _flat(one)
        else:
            yield one


def _check(given: Any) -> AssetsDefinition:
    if isinstance(given, AssetsDefinition) and given.check_specs:
        return given
    raise DagsterInvalidDefinitionError(
        "Definitions(asset_checks=...) holds something that is no check.",
        got=type(given).__name__,
        expected="what @asset_check or @multi_asset_check makes",
    )
