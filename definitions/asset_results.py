"""What a finished run says of assets: values, materializations, observations, checks.

Source: https://docs.dagster.io/api/dagster/execution (ExecuteInProcessResult)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..events.asset_key import AssetKey
from .asset_port import asset_port
from .dagster_event import DagsterEvent, DagsterEventType
from .errors import DagsterInvariantViolationError


class AssetResults:
    """The part of a run's result that speaks of assets."""

    job_def: Any
    all_events: Any
    events_for_node: Any
    output_for_node: Any

    def asset_value(self, asset_key: Any) -> Any:
        """The value of an asset that the run made.

        Raises:
            DagsterInvariantViolationError: the run makes no such asset, or did not come to it.
        """
        key = AssetKey.from_coercible(asset_key)
        place = self.job_def.assets.where(key)
        if place is None:
            raise DagsterInvariantViolationError(
                f"Asset key {key!r} not found in output names of the job '{self.job_def.name}'.",
                expected=", ".join(sorted(k.to_user_string() for k in self.job_def.assets.asset_keys)) or "no asset",
            )
        return self.output_for_node(*place)

    def get_asset_materialization_events(self) -> list[DagsterEvent]:
        """The events of assets that were made."""
        return self._told(DagsterEventType.ASSET_MATERIALIZATION)

    def get_asset_observation_events(self) -> list[DagsterEvent]:
        """The events of assets that were looked at."""
        return self._told(DagsterEventType.ASSET_OBSERVATION)

    def get_asset_materialization_planned_events(self) -> list[DagsterEvent]:
        """None: what was planned is in the instance's log, and no event of the execution."""
        return self._told(DagsterEventType.ASSET_MATERIALIZATION_PLANNED)

    def get_asset_check_evaluations(self) -> list[Any]:
        """The evaluations of checks, as ``AssetCheckEvaluation``."""
        return [asset_port().evaluation(e.stored.body) for e in self._told(DagsterEventType.ASSET_CHECK_EVALUATION)]

    def asset_materializations_for_node(self, node_name: str) -> Sequence[Any]:
        """What the op at path `node_name` made, as ``AssetMaterialization``."""
        return self._said(node_name, DagsterEventType.ASSET_MATERIALIZATION)

    def asset_observations_for_node(self, node_name: str) -> Sequence[Any]:
        """What the op at path `node_name` looked at, as ``AssetObservation``."""
        return self._said(node_name, DagsterEventType.ASSET_OBSERVATION)

    def _told(self, kind: DagsterEventType) -> list[DagsterEvent]:
        return [e for e in self.all_events if e.event_type is kind]

    def _said(self, node_name: str, kind: DagsterEventType) -> list[Any]:
        return [
            asset_port().said_of_asset(kind.value, e.stored.body)
            for e in self.events_for_node(node_name)
            if e.event_type is kind
        ]
