"""``validate_run_config``: what a run config means for a job, without a run.

Source: https://docs.dagster.io/api/dagster/execution (validate_run_config)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .job import JobDefinition
from .run_config import OpRunConfig, plain_run_config, resolve_run_config


def validate_run_config(job_def: JobDefinition, run_config: Any = None) -> Mapping[str, Any]:
    """The run config with defaults filled in.

    Args:
        job_def: the job.
        run_config: a mapping, a ``RunConfig``, or None for the job's own.

    Raises:
        ConfigErrors: everything that is wrong with it, each with its path.
    """
    given = job_def.run_config if run_config is None else plain_run_config(run_config)
    resolved = resolve_run_config(
        job_name=job_def.name,
        graph=job_def.graph,
        resource_defs=job_def.resource_defs,
        executor_def=job_def.executor_def,
        run_config=job_def.mapped_run_config(given, None),
        known_inputs=frozenset(job_def.input_values),
        logger_defs=job_def.logger_defs,
    )
    ops: dict[str, Any] = {}
    for op in job_def.wiring:
        found = resolved.for_op(op.path)
        _put(ops, op.path.split("."), found)
    return {
        "ops": ops,
        "resources": {key: {"config": config} for key, config in resolved.resources.items()},
        "loggers": {key: {"config": config} for key, config in resolved.loggers.items()},
        "execution": {"config": dict(resolved.executor.config)},
        **({"inputs": dict(resolved.inputs)} if resolved.inputs else {}),
    }


def _put(ops: dict[str, Any], path: list[str], found: OpRunConfig) -> None:
    *graphs, name = path
    for graph in graphs:
        ops = ops.setdefault(graph, {}).setdefault("ops", {})
    ops[name] = {"config": found.config, **({"inputs": dict(found.inputs)} if found.inputs else {})}
