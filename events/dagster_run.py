"""Runs as Dagster stores them (``PipelineRun``), both ways: for exports, the API, and runs that Dagster wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import DocumentError
from ..serdes.json_text import parse, tree_text
from ..serdes.shapes import set_items
from ..serdes.unknown import Misfit
from .asset_key import AssetCheckKey, AssetKey, check_texts, stored_key, texts
from .origin import JobOrigin
from .run import Run
from .status import RunStatus
from .wire import REGISTRY, REQUEST_BOUNDS, to_text

Tree = dict[str, Any]

_PYTHON_NAMES = {
    "job_name": "pipeline_name",
    "job_snapshot_id": "pipeline_snapshot_id",
    "job_code_origin": "pipeline_code_origin",
    "remote_job_origin": "external_pipeline_origin",
    "op_selection": "solid_selection",
    "resolved_op_selection": "solids_to_execute",
    "environment_dict": "run_config",
    "previous_run_id": "parent_run_id",
}
"""Other names under which a field is read: the Python names, and those of old versions."""

_NOT_OURS: Tree = {
    "execution_plan_snapshot_id": None,
    "external_pipeline_origin": None,
    "has_repository_load_data": False,
    "mode": None,
    "partitions_subset": None,
    "pipeline_snapshot_id": None,
    "run_op_concurrency": None,
    "solids_to_execute": None,
}
"""What a ``PipelineRun`` also has, with the value that a run of ours has there. A plan of ours is no snapshot of Dagster's."""


class DagsterRun(NamedTuple):
    """A run that Dagster wrote, and `extra`: what its document says beyond it, by field."""

    run: Run
    extra: Mapping[str, Any]


def run_to_dagster(run: Run, extra: Mapping[str, Any] | None = None) -> str:
    """A run as a ``PipelineRun`` document; `extra` is written over what it would say. Raises DocumentError."""
    return tree_text({**_tree(run), **(extra or {})})


def run_from_dagster(text: str | bytes) -> DagsterRun:
    """The run of a ``PipelineRun`` document.

    Raises:
        DocumentError: it is another document, or a field has the wrong type.
    """
    tree = parse(text, REQUEST_BOUNDS)
    if type(tree) is not dict or tree.get("__class__") != "PipelineRun":
        got = str(tree.get("__class__"))[:80] if type(tree) is dict else type(tree).__name__
        raise DocumentError("not a run", got=got, expected="PipelineRun")
    fields = _by_stored_name(tree)
    run = Run(
        run_id=_typed(fields, "run_id", str),
        job_name=_typed(fields, "pipeline_name", str),
        origin=_origin(fields.get("pipeline_code_origin")),
        run_config=_typed(fields, "run_config", dict, type(None)) or {},
        tags=_tags(fields),
        status=_status(fields.get("status")),
        op_selection=_names(fields, "solid_selection"),
        step_keys=_names(fields, "step_keys_to_execute"),
        asset_selection=_assets(fields.get("asset_selection")),
        asset_check_selection=_checks(fields.get("asset_check_selection")),
        parent_run_id=_typed(fields, "parent_run_id", str, type(None)),
        root_run_id=_typed(fields, "root_run_id", str, type(None)),
    )
    written = parse(tree_text(_tree(run)), REQUEST_BOUNDS)
    extra = {
        key: value for key, value in fields.items() if key not in written or tree_text(value) != tree_text(written[key])
    }
    return DagsterRun(run, extra)


def _tree(run: Run) -> Tree:
    return {
        "__class__": "PipelineRun",
        **_NOT_OURS,
        "asset_selection": None if run.asset_selection is None else {"__frozenset__": _asset_keys(run.asset_selection)},
        "asset_check_selection": None
        if run.asset_check_selection is None
        else {"__frozenset__": [_check_key(text) for text in sorted(run.asset_check_selection)]},
        "parent_run_id": run.parent_run_id,
        "pipeline_code_origin": parse(to_text(run.origin)) if run.origin else None,
        "pipeline_name": run.job_name,
        "root_run_id": run.root_run_id,
        "run_config": dict(run.run_config),
        "run_id": run.run_id,
        "solid_selection": None if run.op_selection is None else list(run.op_selection),
        "status": {"__enum__": f"PipelineRunStatus.{run.status.value}"},
        "step_keys_to_execute": None if run.step_keys is None else list(run.step_keys),
        "tags": dict(run.tags),
    }


def _asset_keys(names: tuple[str, ...]) -> list[Tree]:
    return [stored_key(name) for name in sorted(names)]


def _check_key(text: str) -> Tree:
    key = AssetCheckKey.from_user_string(text)
    return {
        "__class__": "AssetCheckKey",
        "asset_key": stored_key(key.asset_key.to_escaped_user_string()),
        "name": key.name,
    }


def _by_stored_name(tree: Tree) -> Tree:
    fields: Tree = {}
    for key, value in tree.items():
        stored = _PYTHON_NAMES.get(key, key)
        if stored in tree and stored != key and tree[stored] != value:
            raise DocumentError(f"{key!r} and {stored!r} are the same field and differ", where=stored)
        fields[stored] = value
    return fields


def _origin(node: Any) -> JobOrigin | None:
    if node is None:
        return None
    found = REGISTRY.read_tree(node, REQUEST_BOUNDS)
    if not isinstance(found, JobOrigin):
        raise DocumentError("not the right class", where="pipeline_code_origin", expected="PipelinePythonOrigin")
    return found


def _status(node: Any) -> RunStatus:
    if node is None:
        return RunStatus.NOT_STARTED
    name = node.get("__enum__") if type(node) is dict else None
    prefix, _, member = name.rpartition(".") if type(name) is str else ("", "", "")
    if prefix != "PipelineRunStatus" or member not in RunStatus.__members__:
        raise DocumentError(
            "not a run status", where="status", got=str(name)[:80], expected="PipelineRunStatus.<status>"
        )
    return RunStatus[member]


def _tags(fields: Tree) -> dict[str, str]:
    tags: dict[str, str] = _typed(fields, "tags", dict, type(None)) or {}
    for key, value in tags.items():
        if type(value) is not str:
            raise DocumentError(
                "a tag's value is not text", where=f"tags.{key}", got=type(value).__name__, expected="text"
            )
    return tags


def _names(fields: Tree, key: str) -> tuple[str, ...] | None:
    found = _typed(fields, key, list, type(None))
    if found is not None and not all(type(name) is str for name in found):
        raise DocumentError("not a list of names", where=key, expected="a list of texts, or null")
    return None if found is None else tuple(found)


def _assets(node: Any) -> tuple[str, ...] | None:
    if node is None:
        return None
    try:
        items = set_items(node) if type(node) is dict else None
        paths = [item["path"] for item in items] if items is not None else None
        if paths is not None and all(type(name) is str for path in paths for name in path):
            return texts(AssetKey(path) for path in paths)
    except (Misfit, KeyError, TypeError, ValueError):
        pass  # said below, with what would have been right
    raise DocumentError(
        "not a set of asset keys", where="asset_selection", expected='{"__frozenset__": [AssetKey, ...]}'
    )


def _checks(node: Any) -> tuple[str, ...] | None:
    if node is None:
        return None
    try:
        items = set_items(node) if type(node) is dict else None
        if items is not None:
            return check_texts(AssetCheckKey(AssetKey(item["asset_key"]["path"]), item["name"]) for item in items)
    except (Misfit, KeyError, TypeError, ValueError):
        pass  # said below, with what would have been right
    raise DocumentError(
        "not a set of check keys", where="asset_check_selection", expected='{"__frozenset__": [AssetCheckKey, ...]}'
    )


def _typed(fields: Tree, key: str, *types: type) -> Any:
    value = fields.get(key)
    if type(value) not in types:
        names = " or ".join("null" if t is type(None) else t.__name__ for t in types)
        raise DocumentError("not the right type", where=key, got=type(value).__name__, expected=names)
    return value
