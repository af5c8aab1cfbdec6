"""A job, its run config and a selection -> the plan as data.

Takes time in proportion to the size of the job. Opens nothing: what it needs to know of the environment is asked when a step runs.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..definitions.errors import DagsterInvalidDefinitionError, DagsterUnmetExecutorRequirementsError
from ..definitions.executor_definition import ExecutorPointer, ExecutorRequirement
from ..definitions.ins_outs import DEFAULT_IO_MANAGER
from ..definitions.job import JobDefinition
from ..definitions.run_config import ResolvedRunConfig, resolve_run_config
from ..definitions.tags import tags_to_text
from ..definitions.wiring import WiredInput, WiredOp
from ..engine.snapshot import InputPlan, OutputPlan, PlanSnapshot, StepPlan, StoredOutput, template_key
from ..errors.base import NotFoundError
from ..errors.suggest import nearest
from ..events.asset_key import texts
from ..events.run import Run
from .selection import select_ops

PRIORITY_TAG = "dagster/priority"
POOL_TAG = "dagster/concurrency_key"
TIMEOUT_TAG = "runplane/timeout"
"""Op tag: the step is ended after so many seconds. (Dagster has a time limit for runs only.)"""


def compile_plan(
    job: JobDefinition,
    run_config: Mapping[str, Any] | None = None,
    *,
    selection: Sequence[str] | None = None,
    step_keys: Sequence[str] | None = None,
    known_outputs: Sequence[StoredOutput] = (),
    known_steps: Sequence[str] = (),
) -> PlanSnapshot:
    """The plan of one run.

    Args:
        job: the job.
        run_config: plain config; None: the job's own.
        selection: op selection queries; None: all ops. What a selected op took from one that is not needs a value in run config.
        step_keys: run only these steps; what they take from others is in `known_outputs`. A mapped key (``work[3]``)
            stands for its template; which of the mapped steps run follows from `known_outputs`.
        known_outputs: outputs of earlier runs, taken in place of running their steps.
        known_steps: mapped steps that earlier runs finished, with or without outputs.

    Raises:
        ConfigErrors: the run config is not right; all problems, with paths.
        DagsterInvalidDefinitionError: a resource is missing, a tag can not be read.
        DagsterInvalidSubsetError: a query names nothing.
        DagsterUnmetExecutorRequirementsError: the executor needs outputs that other processes can load, and they can not.
        NotFoundError: no such step key.
    """
    ops = _selected_ops(job, selection)
    resolved = _resolve_config(job, job.run_config if run_config is None else run_config, ops, selection is not None)
    resource_keys = _Resources(job, ops)
    with _collector_paused():
        steps = [_step(op, job, ops, resource_keys) for op in ops.values()]
    _check_requirements(job, resolved.executor, steps)
    if step_keys is not None:
        steps = _only(steps, step_keys, job.name)
    return PlanSnapshot(
        job_name=job.name,
        steps=tuple(steps),
        executor=resolved.executor.to_body(),
        known_outputs=tuple(known_outputs),
        known_steps=tuple(known_steps),
        tags=job.tags,
        local_files=_local_files(job, resolved, steps),
    )


def _local_files(job: JobDefinition, config: ResolvedRunConfig, steps: Sequence[StepPlan]) -> dict[str, str]:
    """The IO managers that keep files of the machine, and their folders: whoever makes pods says so where these share no volume."""
    used = sorted({key for step in steps for key in step.resource_keys if key in job.resource_defs})
    folders = {
        key: str((definition.final_config(config.resources.get(key)) or {}).get("base_dir") or "")
        for key, definition in ((key, job.resource_defs[key]) for key in used)
        if definition.keeps_files
    }
    return {key: folder for key, folder in folders.items() if "://" not in folder}


@contextmanager
def _collector_paused() -> Iterator[None]:
    """All that is made meanwhile stays. The collector would look through it again and again, which takes longer than to make a large plan."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _selected_ops(job: JobDefinition, selection: Sequence[str] | None) -> dict[str, WiredOp]:
    """The ops that run, by step key, in plan order."""
    if selection is None:
        return {op.key: op for op in job.wiring}
    chosen = select_ops(job.wiring, selection)
    return {op.key: op for op in job.wiring if op.path in chosen}


def _resolve_config(
    job: JobDefinition,
    run_config: Mapping[str, Any],
    ops: Mapping[str, WiredOp],
    is_part: bool,
    env: Mapping[str, str] | None = None,
) -> ResolvedRunConfig:
    lost: dict[str, frozenset[str]] = {}
    if is_part:
        lost = {op.path: frozenset(n for n, spec in op.inputs.items() if _is_lost(spec, ops)) for op in ops.values()}
    return resolve_run_config(
        job_name=job.name,
        graph=job.graph,
        resource_defs=job.resource_defs,
        executor_def=job.executor_def,
        run_config=job.mapped_run_config(run_config, env),
        open_inputs={path: names for path, names in lost.items() if names},
        selected=frozenset(op.path for op in ops.values()) if is_part else None,
        known_inputs=frozenset(job.input_values) | job.assets.inputs,
        env=env,
        logger_defs=job.logger_defs,
    )


def config_of_run(job: JobDefinition, run: Run, env: Mapping[str, str]) -> ResolvedRunConfig:
    """The config of a run as its steps see it: checked as for the plan, environment sources replaced by what is in `env`.

    Raises:
        ConfigErrors: the run config is not right, or a variable is not set.
    """
    ops = _selected_ops(job, run.op_selection)
    return _resolve_config(job, run.run_config or job.run_config, ops, run.op_selection is not None, env)


def _is_lost(spec: WiredInput, ops: Mapping[str, WiredOp]) -> bool:
    """Whether everything that the input is made from was left out by the selection."""
    return bool(spec.sources) and not any(ref.step in ops for ref in spec.sources)


def _step(op: WiredOp, job: JobDefinition, ops: Mapping[str, WiredOp], resources: _Resources) -> StepPlan:
    policy = op.retry_policy or job.op_retry_policy
    tags = tags_to_text(op.tags) if op.tags else {}
    # A mapper that was left out gives no mapping keys: the step runs once, with its values from config.
    over = op.mapped_over if op.mapped_over and op.mapped_over.step in ops else None
    assets = job.assets.step(op.path)
    return StepPlan(
        key=op.key if over or not op.mapped_over else op.path,
        node=op.path,
        op_name=op.op.name,
        inputs=(*[_input(name, op.inputs.get(name), ops) for name in op.op.input_dict], *_waits(op, ops)),
        outputs=tuple([OutputPlan(o.name, o.is_required, o.is_dynamic) for o in op.op.output_dict.values()]),
        mapped_over=over,
        tags=tags,
        pools=_pools(op, tags),
        priority=_priority(tags),
        timeout_s=_timeout(op, tags),
        retry=policy.to_plan() if policy else None,
        resource_keys=resources.of(op),
        asset_keys=texts(assets.keys),
        check_keys=tuple(assets.check_keys),
    )


def _input(name: str, spec: WiredInput | None, ops: Mapping[str, WiredOp]) -> InputPlan:
    if spec is None:
        return InputPlan(name)
    sources = tuple([ref for ref in spec.sources if ref.step in ops])
    return InputPlan(name, sources, fan_in=spec.fan_in, collect=spec.collect)


def _waits(op: WiredOp, ops: Mapping[str, WiredOp]) -> list[InputPlan]:
    """Inputs that no parameter takes: what has to be there before the step. Their names are no names of inputs."""
    after = dict.fromkeys(ref for spec in op.inputs.values() for ref in spec.after if ref.step in ops)
    return [InputPlan(f"{ref.step}.{ref.output}", (ref,)) for ref in after]


def _pools(op: WiredOp, tags: Mapping[str, str]) -> tuple[str, ...]:
    pool = op.op.pool or tags.get(POOL_TAG)
    return (pool,) if pool else ()


def _priority(tags: Mapping[str, str]) -> int:
    try:
        return int(tags.get(PRIORITY_TAG, 0))
    except ValueError:
        return 0  # as there: a priority that is no number is none


def _timeout(op: WiredOp, tags: Mapping[str, str]) -> float | None:
    if TIMEOUT_TAG not in tags:
        return None
    try:
        seconds = float(tags[TIMEOUT_TAG])
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise DagsterInvalidDefinitionError(
            f"op '{op.path}': the tag {TIMEOUT_TAG} is not a time limit.",
            got=repr(tags[TIMEOUT_TAG]),
            expected="a number of seconds above 0",
        )
    return seconds


class _Resources:
    """Which resources each step opens: its op's, those that keep its outputs and load its inputs, and what those need."""

    def __init__(self, job: JobDefinition, ops: Mapping[str, WiredOp]) -> None:
        self._job = job
        self._defs = job.resource_defs
        self._ops = ops
        self._all: dict[str, frozenset[str]] = {}

    def of(self, op: WiredOp) -> tuple[str, ...]:
        """Keys of all resources that the step opens, sorted."""
        keys: set[str] = set()
        for key in op.op.required_resource_keys:
            keys |= self._with_needs(key, f"op '{op.op.name}'")
        for out in op.op.output_dict.values():
            if not out.type.is_nothing:
                keys |= self._with_needs(out.io_manager_key, f"output '{out.name}' of op '{op.op.name}'")
        for spec in (*op.op.input_dict.values(), *op.op.output_dict.values()):
            wanted = set(spec.type.required_resource_keys)
            if spec.type.loader is not None:
                wanted |= spec.type.loader.required_resource_keys()
            for key in wanted:
                keys |= self._with_needs(key, f"type '{spec.type.display_name}'")
        for hook in self._job.hooks_of(op):
            for key in hook.required_resource_keys:
                keys |= self._with_needs(key, f"hook '{hook.name}'")
        for name, spec in op.op.input_dict.items():
            if not spec.type.is_nothing and (name in op.inputs or spec.input_manager_key):
                keys |= self._loaders(op, name, spec.input_manager_key)
        return tuple(sorted(keys))

    def _loaders(self, op: WiredOp, name: str, input_manager_key: str | None) -> set[str]:
        where = f"input '{name}' of op '{op.op.name}'"
        if input_manager_key is not None:
            return set(self._with_needs(input_manager_key, where))
        found: set[str] = set()
        for ref in op.inputs[name].sources:
            if ref.step in self._ops:
                out = self._ops[ref.step].op.output_dict[ref.output]
                if not out.type.is_nothing:
                    found |= self._with_needs(out.io_manager_key, where)
        source = self._job.assets.step(op.path).source(name)
        if source is not None:
            found |= self._with_needs(source.io_manager_key, where)
        return found

    def _with_needs(self, key: str, wanted_by: str) -> frozenset[str]:
        """`key` and all resources that it needs, directly or over others."""
        if key not in self._all:
            found = {key}
            edge = [key]
            while edge:
                one = edge.pop()
                for needed in self._definition(one, wanted_by):
                    if needed not in found:
                        found.add(needed)
                        edge.append(needed)
            self._all[key] = frozenset(found)
        return self._all[key]

    def _definition(self, key: str, wanted_by: str) -> frozenset[str]:
        if key in self._defs:
            return self._defs[key].required_resource_keys
        if key == DEFAULT_IO_MANAGER:
            return frozenset()
        known = sorted({*self._defs, DEFAULT_IO_MANAGER})
        raise DagsterInvalidDefinitionError(
            f"resource with key '{key}' required by {wanted_by} was not provided. Please provide a ResourceDefinition to key "
            f"'{key}', or change the required key to one of the following keys which points to an ResourceDefinition: {known}",
            nearest=nearest(key, known),
        )


def _check_requirements(job: JobDefinition, executor: ExecutorPointer, steps: Sequence[StepPlan]) -> None:
    if ExecutorRequirement.PERSISTENT_OUTPUTS not in executor.requirements:
        return
    used = {key for step in steps for key in step.resource_keys}
    in_memory = sorted(k for k in used if k in job.resource_defs and job.resource_defs[k].in_memory_only)
    if in_memory:
        raise DagsterUnmetExecutorRequirementsError(
            f"You have attempted to use the executor {executor.name} that uses multiple processes, but the job "
            f"'{job.name}' keeps outputs in the memory of one process.",
            got=f"resource {in_memory[0]!r}",
            expected="an IO manager that other processes can read, such as fs_io_manager",
        )


def _only(steps: Sequence[StepPlan], step_keys: Sequence[str], job_name: str) -> list[StepPlan]:
    known = {step.key for step in steps}
    wanted = set()
    for key in step_keys:
        found = key if key in known else template_key(key)
        if found not in known:
            raise NotFoundError(
                f"the plan of job '{job_name}' has no step '{key}'.", expected="a step key", nearest=nearest(key, known)
            )
        wanted.add(found)
    _add_templates(wanted, {step.key: step for step in steps})
    return [step for step in steps if step.key in wanted]


def _add_templates(wanted: set[str], by_key: Mapping[str, StepPlan]) -> None:
    """Templates that wanted steps take from: their mapped steps are known one by one, and the engine finds them by the template."""
    edge = list(wanted)
    while edge:
        for spec in by_key[edge.pop()].inputs:
            for ref in spec.sources:
                source = by_key.get(ref.step)
                if source is not None and source.mapped_over is not None and ref.step not in wanted:
                    wanted.add(ref.step)
                    edge.append(ref.step)
