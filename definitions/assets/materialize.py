"""``materialize``: make assets in this process and wait. For scripts and tests.

Source: https://docs.dagster.io/api/dagster/execution (materialize, materialize_to_memory)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import DagsterInvariantViolationError
from ..ins_outs import DEFAULT_IO_MANAGER
from ..job import JobDefinition
from ..ports import InProcessRequest, in_process_port
from ..result import ExecuteInProcessResult
from ..run_config import plain_run_config
from ..tags import tags_to_text
from .asset_job import UnresolvedAssetJobDefinition
from .location import AssetLocation
from .refusals import refuse_later
from .selection import AssetSelection

EPHEMERAL_JOB_NAME = "__ephemeral_asset_job__"


def materialize(
    assets: Sequence[Any],
    run_config: Any = None,
    instance: Any = None,
    resources: Mapping[str, Any] | None = None,
    partition_key: None = None,
    raise_on_error: bool = True,
    tags: Mapping[str, str] | None = None,
    selection: Any = None,
) -> ExecuteInProcessResult:
    """Make assets, one after another, in this process.

    Args:
        assets: the assets, their checks, and the source assets and specs that they are made from.
        run_config: config of the run.
        instance: where the run is kept, and below it the values; None: a temporary place, gone afterwards.
        resources: resources, or definitions, by key. Without an ``io_manager`` values are kept in files.
        partition_key: not supported yet; refused unless None.
        raise_on_error: raise the exception of the first step that fails.
        tags: tags of the run.
        selection: which of the assets: an ``AssetSelection``, a query, or a list; not given: all.

    Raises:
        ConfigErrors: the run config is not right.
        DagsterInvalidDefinitionError: the selection means what is not there, or what can not be made alone.
        Exception: what user code raised, with `raise_on_error`.
    """
    refuse_later("materialize", partition_key=partition_key)
    job = _job(assets, resources, selection)
    return _run(job, run_config, instance, raise_on_error, tags)


def materialize_to_memory(
    assets: Sequence[Any],
    run_config: Any = None,
    instance: Any = None,
    resources: Mapping[str, Any] | None = None,
    partition_key: None = None,
    raise_on_error: bool = True,
    tags: Mapping[str, str] | None = None,
    selection: Any = None,
) -> ExecuteInProcessResult:
    """As ``materialize``, with values kept in memory. The arguments are the same.

    Raises:
        DagsterInvariantViolationError: an IO manager was given.
    """
    refuse_later("materialize_to_memory", partition_key=partition_key)
    job = _job(assets, resources, selection)
    for op in job.wiring:
        for out in op.op.output_dict.values():
            if out.io_manager_key in job.given_resources:
                raise DagsterInvariantViolationError(
                    "Attempted to call `materialize_to_memory` with a resource provided for io manager key "
                    f"'{out.io_manager_key}'. All io managers are overridden with an in-memory one.",
                    hint="Use materialize.",
                )
    job.outputs_in_memory = True
    return _run(job, run_config, instance, raise_on_error, tags)


def _job(assets: Sequence[Any], resources: Mapping[str, Any] | None, selection: Any) -> JobDefinition:
    graph = AssetLocation(assets, ()).graph
    everything = AssetSelection.all() | AssetSelection.all_asset_checks()
    chosen = everything if selection is None else AssetSelection.from_coercible(selection)
    return UnresolvedAssetJobDefinition(EPHEMERAL_JOB_NAME, chosen, {}).resolve(
        asset_graph=graph, resource_defs=resources
    )


def _run(
    job: JobDefinition, run_config: Any, instance: Any, raise_on_error: bool, tags: Mapping[str, str] | None
) -> ExecuteInProcessResult:
    in_memory = job.outputs_in_memory
    here = job.for_one_process()
    here.outputs_in_memory = in_memory and DEFAULT_IO_MANAGER not in here.given_resources
    return in_process_port()(
        InProcessRequest(
            job=here,
            run_config=plain_run_config(run_config),
            instance=instance,
            raise_on_error=raise_on_error,
            tags=tags_to_text(tags or {}),
        )
    )
