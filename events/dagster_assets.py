"""The part of an event that speaks of assets and their checks: body of ours <-> ``event_specific_data`` of Dagster's.

Bodies name an asset as text (``asset_key``: ``a/b``), a check by its asset and ``check_name``. Readers raise as those of ``dagster_data``.
"""

from __future__ import annotations

from typing import Any

from .asset_key import key_of_stored, stored_key
from .dagster_data import FORMS as OTHER_FORMS
from .dagster_data import Body, DataForm, Tree
from .dagster_metadata import metadata_entries, metadata_of, metadata_value, plain_metadata
from .kinds import EventKind


def _said(stored: str, body: Body) -> Tree:
    """The user's object inside the data: a materialization, or an observation."""
    return {
        "__class__": stored,
        "asset_key": stored_key(body["asset_key"]),
        "description": body.get("description"),
        "metadata_entries": metadata_entries(body.get("metadata")),
        "partition": body.get("partition"),
        "tags": dict(body["tags"]) if body.get("tags") else None,
    }


def _said_body(tree: Tree) -> Tree:
    found: Tree = {"asset_key": key_of_stored(tree["asset_key"]), "metadata": metadata_of(tree["metadata_entries"])}
    for name in ("description", "partition", "tags"):
        if tree.get(name):
            found[name] = tree[name]
    return found


def _materialization(body: Body, step: str | None) -> Tree:
    return {"asset_lineage": [], "materialization": _said("AssetMaterialization", body)}


def _materialization_body(data: Tree) -> Tree:
    return _said_body(data["materialization"])


def _observation(body: Body, step: str | None) -> Tree:
    said = _said("AssetObservation", body)
    return {"asset_observation": {**said, "tags": said["tags"] or {}}}


def _observation_body(data: Tree) -> Tree:
    return _said_body(data["asset_observation"])


def _planned(body: Body, step: str | None) -> Tree:
    return {"asset_key": stored_key(body["asset_key"]), "partition": body.get("partition"), "partitions_subset": None}


def _planned_body(data: Tree) -> Tree:
    found: Tree = {"asset_key": key_of_stored(data["asset_key"])}
    return {**found, "partition": data["partition"]} if data.get("partition") else found


def _check_planned(body: Body, step: str | None) -> Tree:
    return {"asset_key": stored_key(body["asset_key"]), "check_name": body["check_name"], "partitions_subset": None}


def _check_planned_body(data: Tree) -> Tree:
    return {"asset_key": key_of_stored(data["asset_key"]), "check_name": data["check_name"]}


def _target(target: Body | None) -> Tree | None:
    """Which materialization was looked at; evaluations that a Dagster wrote say so, ours do not."""
    return {"__class__": "AssetCheckEvaluationTargetMaterializationData", **target} if target else None


def _evaluation(body: Body, step: str | None) -> Tree:
    return {
        "asset_key": stored_key(body["asset_key"]),
        "blocking": bool(body.get("blocking")),
        "check_name": body["check_name"],
        "description": body.get("description"),
        "metadata": {label: metadata_value(value) for label, value in (body.get("metadata") or {}).items()},
        "partition": body.get("partition"),
        "severity": {"__enum__": f"AssetCheckSeverity.{body.get('severity', 'ERROR')}"},
        "success": bool(body["passed"]),
        "target_materialization_data": _target(body.get("target")),
    }


def _evaluation_body(data: Tree) -> Tree:
    found: Tree = {
        "asset_key": key_of_stored(data["asset_key"]),
        "check_name": data["check_name"],
        "passed": data["success"],
        "severity": data["severity"]["__enum__"].rpartition(".")[2],
        "metadata": {label: plain_metadata(value) for label, value in data["metadata"].items()},
    }
    extra: dict[str, Any] = {"description": data.get("description"), "blocking": data.get("blocking")}
    if data.get("target_materialization_data"):
        target = dict(data["target_materialization_data"])
        extra["target"] = {name: target[name] for name in ("run_id", "storage_id", "timestamp")}
    return {**found, **{name: value for name, value in extra.items() if value}}


FORMS: dict[str, DataForm] = {
    **OTHER_FORMS,
    EventKind.ASSET_MATERIALIZATION.value: DataForm("StepMaterializationData", _materialization, _materialization_body),
    EventKind.ASSET_OBSERVATION.value: DataForm("AssetObservationData", _observation, _observation_body),
    EventKind.ASSET_MATERIALIZATION_PLANNED.value: DataForm("AssetMaterializationPlannedData", _planned, _planned_body),
    EventKind.ASSET_CHECK_EVALUATION_PLANNED.value: DataForm(
        "AssetCheckEvaluationPlanned", _check_planned, _check_planned_body
    ),
    EventKind.ASSET_CHECK_EVALUATION.value: DataForm("AssetCheckEvaluation", _evaluation, _evaluation_body),
}
"""Kinds whose data is known, those of assets included."""
