"""Events of assets as the objects that users made them of: for results, and for reading the instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...events.asset_key import AssetKey
from ...events.kinds import EventKind
from ..metadata_values import values_of
from .results import AssetCheckEvaluation, AssetCheckSeverity, AssetMaterialization, AssetObservation


def said_of_asset(kind: str, body: Mapping[str, Any]) -> AssetMaterialization | AssetObservation:
    """The materialization or observation of an event's body."""
    made = AssetMaterialization if kind == EventKind.ASSET_MATERIALIZATION else AssetObservation
    return made(
        AssetKey.from_user_string(body["asset_key"]),
        description=body.get("description"),
        metadata=values_of(body.get("metadata")),
        partition=body.get("partition"),
        tags=body.get("tags"),
    )


def evaluation(body: Mapping[str, Any]) -> AssetCheckEvaluation:
    """The evaluation of a check of an event's body."""
    return AssetCheckEvaluation(
        AssetKey.from_user_string(body["asset_key"]),
        body["check_name"],
        body["passed"],
        values_of(body.get("metadata")),
        AssetCheckSeverity(body.get("severity", "ERROR")),
        body.get("description"),
        blocking=bool(body.get("blocking")),
    )
