"""The executor that a run's plan names, made once; and with it where the run's outputs go."""

from __future__ import annotations

from dataclasses import replace

from ..config.pointer import ClassPointer, load_class
from ..events.run import Run
from ..executors.settings import Executor, ExecutorContext, MakesPods
from ..executors.user_function import executor_of_function
from ..instance.instance import Instance
from .outputs_place import placed


def made_executor(instance: Instance, context: ExecutorContext) -> tuple[Run, Executor]:
    """The run, which says now where its outputs go, and its executor: a class, or what a user's function makes.

    Raises:
        ConfigErrors: the run's tag for outputs, or the executor's config, is not right. Whatever else an executor raises while it is made.
    """
    spec = context.plan.executor
    if spec.get("function"):
        context = _placed(instance, context)
        return context.run, executor_of_function(spec, context)
    pointer = ClassPointer(spec["module"], spec["class"], spec.get("config") or {})
    cls = load_class(pointer, where=f"executor {spec.get('name')!r} of job {context.plan.job_name!r}")
    steps_are_pods = issubclass(cls, MakesPods)
    if not steps_are_pods:
        context = _placed(instance, context)
    executor = cls.from_config(pointer.config, context)
    # Pods of steps read the run themselves, and what it says of outputs: their executor is made before that is decided.
    run = placed(instance, context.run, executor.pods_share_storage) if steps_are_pods else context.run
    return run, executor


def _placed(instance: Instance, context: ExecutorContext) -> ExecutorContext:
    run = context.run
    shares = lambda: instance.runs_pod_shares(run) if context.owns_process else None
    return replace(context, run=placed(instance, run, shares))
