"""``execute_job``: run a job that other processes can load, by its own executor.

Source: https://docs.dagster.io/api/dagster/execution (execute_job)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..events.asset_key import AssetKey, texts
from .errors import DagsterInvariantViolationError
from .job import JobDefinition
from .ports import InProcessRequest, ReexecutionOptions, in_process_port
from .reconstruct import ReconstructableJob
from .result import JobExecutionResult
from .run_config import plain_run_config
from .tags import tags_to_text


def execute_job(
    job: ReconstructableJob,
    instance: Any,
    run_config: Any = None,
    tags: Mapping[str, Any] | None = None,
    raise_on_error: bool = False,
    op_selection: Sequence[str] | None = None,
    reexecution_options: ReexecutionOptions | None = None,
    asset_selection: Sequence[Any] | None = None,
) -> JobExecutionResult:
    """Run a job to its end, its steps where its executor puts them.

    Args:
        job: what ``reconstructable`` gives.
        instance: where the run is kept.
        run_config: config of the run; not given: that of the run that is executed again, or the job's own.
        tags: tags of the run, over the job's.
        raise_on_error: raise the exception of the first step that fails.
        op_selection: queries naming the ops to run.
        reexecution_options: which run to execute again, and what of it.
        asset_selection: of a job of assets, which of them: keys, or text (``a/b``).

    Raises:
        DagsterInvariantViolationError: `job` is a job itself, which other processes can not load.
        DagsterInvalidSubsetError: an asset is selected that the job does not make.
        ConfigErrors: the run config is not right.
        DagsterRunNotFoundError: there is no run to execute again.
        DagsterExecutionStepNotFoundError: a step is selected that is not there.
    """
    if not isinstance(job, ReconstructableJob):
        raise DagsterInvariantViolationError(
            "execute_job needs a job that other processes can load.",
            got=type(job).__name__,
            hint="Write execute_job(reconstructable(my_job), ...), or my_job.execute_in_process().",
        )
    keys = None if asset_selection is None else texts(map(AssetKey.from_coercible, asset_selection))
    definition = job.get_definition().for_assets(keys)
    return in_process_port()(
        InProcessRequest(
            job=definition,
            run_config=_run_config(definition, run_config, reexecution_options),
            instance=instance,
            origin=job.get_python_origin(),
            raise_on_error=raise_on_error,
            op_selection=tuple(op_selection) if op_selection else None,
            tags=tags_to_text(tags or {}),
            again=reexecution_options,
            asset_selection=keys,
        )
    )


def _run_config(job: JobDefinition, given: Any, again: ReexecutionOptions | None) -> Mapping[str, Any] | None:
    """None: that of the run that is executed again."""
    if given is None:
        return job.run_config if again is None else None
    return plain_run_config(given)
