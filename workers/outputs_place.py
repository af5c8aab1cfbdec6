"""Where the outputs of a run go that no IO manager was chosen for: decided once, when its first worker begins, and kept as a tag."""

from __future__ import annotations

from dataclasses import replace

from ..config.pointer import ClassPointer, load_class
from ..engine.snapshot import DATABASE, FILES, OUTPUTS_TAG, PlanSnapshot
from ..errors import ConfigErrors, Problem
from ..events.run import Run
from ..executors.settings import ExecutorContext, MakesPods
from ..instance.instance import Instance


def placed(instance: Instance, run: Run, plan: PlanSnapshot, context: ExecutorContext) -> Run:
    """The run, with the tag if its pods share no folder. A tag that is there (a person's, an earlier worker's) stands.

    Raises:
        ConfigErrors: the tag says something else; the executor's config makes no pod.
    """
    given = run.tags.get(OUTPUTS_TAG)
    if given is not None:
        if given not in (DATABASE, FILES):
            problem = Problem(OUTPUTS_TAG, "no place for outputs", got=repr(given), expected=f"{DATABASE} or {FILES}")
            raise ConfigErrors([problem], where=f"tags of run {run.run_id}")
        return run
    shared = _steps_pods_share(plan, context)
    if shared is None and context.owns_process:
        shared = instance.runs_pod_shares(run)
    if shared is not False:
        return run
    instance.runs.put_tags(run.run_id, {OUTPUTS_TAG: DATABASE})
    return replace(run, tags={**run.tags, OUTPUTS_TAG: DATABASE})


def _steps_pods_share(plan: PlanSnapshot, context: ExecutorContext) -> bool | None:
    """Whether pods of steps share the storage folder; None when steps are no pods of their own."""
    spec = plan.executor
    if spec.get("function"):
        return None
    pointer = ClassPointer(spec["module"], spec["class"])
    found = load_class(pointer, where=f"executor {spec.get('name')!r} of job {plan.job_name!r}")
    return found.pods_share_storage(spec.get("config") or {}, context) if isinstance(found, MakesPods) else None
