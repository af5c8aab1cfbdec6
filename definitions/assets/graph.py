"""All assets and checks of a code location, as a graph of keys: what selections are resolved on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from ...errors.suggest import nearest
from ...events.asset_key import AssetCheckKey, AssetKey
from ..errors import DagsterInvalidDefinitionError, DagsterInvalidSubsetError
from .assets_definition import AssetsDefinition
from .spec import AssetCheckSpec, AssetSpec

Neighbours = Mapping[AssetKey, "set[AssetKey]"]


class AssetGraph:
    """Assets by key, what each is made from, and who makes it.

    Args:
        definitions: executable ones, external ones, and checks.

    Raises:
        DagsterInvalidDefinitionError: two make one asset or one check, or assets depend on each other in a circle.
    """

    def __init__(self, definitions: Iterable[AssetsDefinition]) -> None:
        self.definitions: Sequence[AssetsDefinition] = list(dict.fromkeys(definitions))
        self.makers: dict[AssetKey, AssetsDefinition] = {}
        self.check_makers: dict[AssetCheckKey, AssetsDefinition] = {}
        for definition in self.definitions:
            for key in sorted(definition.keys):
                self._add(key, definition)
            for spec in definition.check_specs:
                if spec.key in self.check_makers:
                    raise DagsterInvalidDefinitionError(f"Duplicate asset check keys: {[spec.key.to_user_string()]}")
                self.check_makers[spec.key] = definition
        _refuse_circles(self.upstream)

    def _add(self, key: AssetKey, definition: AssetsDefinition) -> None:
        known = self.makers.get(key)
        if known is not None and known.is_executable and definition.is_executable:
            raise DagsterInvalidDefinitionError(f"Duplicate asset key: {key!r}")
        if known is None or definition.is_executable:
            self.makers[key] = definition

    @cached_property
    def specs(self) -> Mapping[AssetKey, AssetSpec]:
        """What is said of each asset that somebody described, by key."""
        return {key: self.makers[key].specs_by_key[key] for key in sorted(self.makers)}

    @cached_property
    def check_specs(self) -> Mapping[AssetCheckKey, AssetCheckSpec]:
        """What is said of each check."""
        return {spec.key: spec for definition in self.definitions for spec in definition.check_specs}

    @cached_property
    def upstream(self) -> Neighbours:
        """For each asset those that it is made from. Assets that nobody described are in it too."""
        found = {key: {dep.asset_key for dep in spec.deps} - {key} for key, spec in self.specs.items()}
        for key in {dep for deps in list(found.values()) for dep in deps}:
            found.setdefault(key, set())
        return found

    @cached_property
    def downstream(self) -> Neighbours:
        """For each asset those that are made from it."""
        found: dict[AssetKey, set[AssetKey]] = {key: set() for key in self.upstream}
        for key, deps in self.upstream.items():
            for dep in deps:
                found[dep].add(key)
        return found

    @cached_property
    def executable_keys(self) -> frozenset[AssetKey]:
        """The assets that some code here makes."""
        return frozenset(key for key, maker in self.makers.items() if maker.is_executable)

    def checks_of(self, key: AssetKey) -> Sequence[AssetCheckSpec]:
        """The checks of an asset."""
        return [spec for spec in self.check_specs.values() if spec.asset_key == key]

    def known(self, keys: Iterable[AssetKey]) -> frozenset[AssetKey]:
        """The keys, all of which must be there.

        Raises:
            DagsterInvalidSubsetError: one is not; the nearest name is in the text.
        """
        found = frozenset(keys)
        lost = sorted(found - set(self.upstream))
        if lost:
            names = [key.to_user_string() for key in self.upstream]
            raise DagsterInvalidSubsetError(
                f"AssetKey(s) {{{', '.join(map(repr, lost))}}} were selected, but no AssetsDefinition objects supply these keys. "
                "Make sure all keys are spelled correctly, and all AssetsDefinitions are correctly added to the "
                "`Definitions`.",
                nearest=nearest(lost[0].to_user_string(), names),
            )
        return found


def _refuse_circles(upstream: Neighbours) -> None:
    """Raise if some assets are made from each other."""
    waiting = {key: len(deps) for key, deps in upstream.items()}
    after: dict[AssetKey, list[AssetKey]] = {}
    for key, deps in upstream.items():
        for dep in deps:
            after.setdefault(dep, []).append(key)
    ready = [key for key, count in waiting.items() if count == 0]
    done = 0
    while ready:
        key = ready.pop()
        done += 1
        for following in after.get(key, ()):
            waiting[following] -= 1
            if waiting[following] == 0:
                ready.append(following)
    if done < len(upstream):
        circle = sorted(key.to_user_string() for key, count in waiting.items() if count)
        raise DagsterInvalidDefinitionError(
            "Circular references detected within asset graph: these assets depend on each other.",
            got=", ".join(circle),
        )
