"""The plan as data: what the engine, the storage and every executor know of a job. Made by ``plan``, stored at submit.

A plan snapshot is a stored document (kind ``plan``, version 1). It holds nothing that has to be imported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any, NamedTuple

from ..serdes.record import record


class OutputRef(NamedTuple):
    """An output of a step in the plan. For a step that is mapped, `step` is its template key (``work[?]``)."""

    step: str
    output: str


class RetryPlan(NamedTuple):
    """A retry policy as data (Dagster's ``RetryPolicy``).

    Attributes:
        max_retries: how often the step may be run again.
        delay_s: base delay in seconds.
        backoff: ``LINEAR`` (n * delay), ``EXPONENTIAL`` ((2**n - 1) * delay), or None for a constant delay.
        jitter: ``FULL`` (0 to the delay), ``PLUS_MINUS`` (one base delay either way), or None.
    """

    max_retries: int = 1
    delay_s: float = 0.0
    backoff: str | None = None
    jitter: str | None = None


class InputPlan(NamedTuple):
    """One input of a step.

    Attributes:
        name: the input's name.
        sources: the outputs it is made from. Empty: its value comes from config, a default or an IO manager, and it never waits.
        fan_in: a list of several outputs: runs with those that exist, skipped only when none does.
        collect: its one source is a mapped step or a dynamic output, and it takes all mapped values as a list.
    """

    name: str
    sources: tuple[OutputRef, ...] = ()
    fan_in: bool = False
    collect: bool = False


class OutputPlan(NamedTuple):
    """One output of a step: `required` outputs are produced by every success, `dynamic` ones any number of times, each
    with its own mapping key."""

    name: str
    required: bool = True
    dynamic: bool = False


@record
class StepPlan:
    """One step, or the template of the steps that are mapped over a dynamic output.

    Attributes:
        key: step key as in Dagster: ``a``, ``sub.a``, ``examples__numbers``; a template ends in ``[?]``.
        node: path of the op in the job's graph (``sub.a``).
        op_name: name of the op's definition.
        inputs, outputs: in definition order.
        mapped_over: the dynamic output each of whose mapping keys makes one copy of this step; None for a plain step.
        tags: the op's tags, text to text.
        pools: names of the pools a slot of which it needs, sorted.
        priority: from ``dagster/priority``; higher starts first.
        timeout_s: the op's own time limit in seconds, or None.
        retry: its retry policy, or the job's, or None.
        resource_keys: resources it needs, sorted.
        asset_keys: assets it makes, as text ``a/b``.
        check_keys: checks of assets it evaluates, as text ``a/b:check``.
        executor: class pointer of an executor of its own, or None for the run's.
    """

    key: str
    node: str
    op_name: str
    inputs: tuple[InputPlan, ...] = ()
    outputs: tuple[OutputPlan, ...] = (OutputPlan("result"),)
    mapped_over: OutputRef | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    pools: tuple[str, ...] = ()
    priority: int = 0
    timeout_s: float | None = None
    retry: RetryPlan | None = None
    resource_keys: tuple[str, ...] = ()
    asset_keys: tuple[str, ...] = ()
    check_keys: tuple[str, ...] = ()
    executor: Mapping[str, Any] | None = None

    def output(self, name: str) -> OutputPlan:
        """The output called `name`. Raises KeyError when the step has none."""
        for out in self.outputs:
            if out.name == name:
                return out
        raise KeyError(name)


def starts_early(config: Mapping[str, Any]) -> bool:
    """Whether an executor's config has steps start as soon as what they need exists: ``require_upstream_step_success: false``."""
    return not (config.get("step_dependency_config") or {}).get("require_upstream_step_success", True)


class StoredOutput(NamedTuple):
    """One value that a step produced and an IO manager keeps: by this run, or by an earlier run of its group (re-execution)."""

    run_id: str
    step: str
    output: str
    mapping_key: str | None
    location: Mapping[str, Any] | None
    """Where the IO manager of that run kept it; None when the IO manager finds it by run, step and output alone."""


OUTPUTS_TAG = "runplane/outputs"
"""Tag of a run: where outputs go that no IO manager was chosen for, ``database`` or ``files``."""
DATABASE, FILES = "database", "files"
IN_DATABASE = "database"
"""Field of a location: storage keeps the value itself; the number of the attempt that made it."""


@record
class PlanSnapshot:
    """All steps of a run, in plan order (levels flattened, names sorted inside a level).

    Attributes:
        job_name: name of the job.
        steps: plain steps and templates.
        executor: ``{"name": ..., "module": ..., "class": ..., "config": {...}}`` of the run's executor.
        known_outputs: what a re-execution takes from its parents instead of running the step.
        known_steps: mapped steps that an earlier run of the group finished, whether they produced something or not.
        tags: the job's tags as the run starts with them.
        local_files: IO managers that keep files of the machine: resource key -> folder, empty for the instance's storage folder.
    """

    job_name: str
    steps: tuple[StepPlan, ...]
    executor: Mapping[str, Any] = field(default_factory=dict)
    known_outputs: tuple[StoredOutput, ...] = ()
    known_steps: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    local_files: Mapping[str, str] = field(default_factory=dict)

    def step(self, key: str) -> StepPlan:
        """The step or template called `key`, or the template that the mapped key ``work[3]`` comes from.

        Raises:
            KeyError: the plan has no such step.
        """
        index = {s.key: s for s in self.steps}
        return index[key] if key in index else index[template_key(key)]


PLAN_VERSION = 1


def template_key(step_key: str) -> str:
    """``work[3]`` -> ``work[?]``. A plain key is returned as it is."""
    if step_key.endswith("]") and "[" in step_key:
        return step_key[: step_key.index("[")] + "[?]"
    return step_key


def mapped_key(template: str, mapping_key: str) -> str:
    """``work[?]``, ``3`` -> ``work[3]``."""
    return template[: template.index("[?]")] + f"[{mapping_key}]"


def mapping_key_of(step_key: str) -> str | None:
    """``work[3]`` -> ``3``; None for a plain step."""
    if step_key.endswith("]") and "[" in step_key:
        return step_key[step_key.index("[") + 1 : -1]
    return None


def plan_to_body(plan: PlanSnapshot) -> dict[str, Any]:
    """The stored form: JSON values, defaults left out so that a plan of 10,000 steps stays small."""
    body: dict[str, Any] = {"job": plan.job_name, "steps": [step_to_body(s) for s in plan.steps]}
    if plan.executor:
        body["executor"] = dict(plan.executor)
    if plan.known_outputs:
        body["known"] = [[k.run_id, k.step, k.output, k.mapping_key, k.location] for k in plan.known_outputs]
    if plan.known_steps:
        body["known_steps"] = list(plan.known_steps)
    if plan.tags:
        body["tags"] = dict(plan.tags)
    if plan.local_files:
        body["local_files"] = dict(plan.local_files)
    return body


def plan_from_body(body: Mapping[str, Any]) -> PlanSnapshot:
    """The reverse of ``plan_to_body``."""
    return PlanSnapshot(
        job_name=body["job"],
        steps=tuple(step_from_body(s) for s in body["steps"]),
        executor=body.get("executor", {}),
        known_outputs=tuple(StoredOutput(*k) for k in body.get("known", ())),
        known_steps=tuple(body.get("known_steps", ())),
        tags=body.get("tags", {}),
        local_files=body.get("local_files", {}),
    )


def plan_id(body: Mapping[str, Any]) -> str:
    """SHA-1 hex of the stored form: equal plans are stored once."""
    return hashlib.sha1(json.dumps(body, sort_keys=True).encode(), usedforsecurity=False).hexdigest()


def step_to_body(step: StepPlan) -> dict[str, Any]:
    """The stored form of one step."""
    body: dict[str, Any] = {
        "key": step.key,
        "in": [_input_to_body(i) for i in step.inputs],
        "out": [[o.name, o.required, o.dynamic] for o in step.outputs],
    }
    if step.node != step.key:
        body["node"] = step.node
    if step.op_name != step.node:
        body["op"] = step.op_name
    if step.mapped_over:
        body["mapped_over"] = list(step.mapped_over)
    if step.retry:
        r = step.retry
        body["retry"] = [r.max_retries, r.delay_s, r.backoff, r.jitter]
    for name, value in (("tags", step.tags), ("executor", step.executor)):
        if value:
            body[name] = dict(value)
    for name, names in (
        ("pools", step.pools),
        ("resources", step.resource_keys),
        ("assets", step.asset_keys),
        ("checks", step.check_keys),
    ):
        if names:
            body[name] = list(names)
    if step.priority:
        body["priority"] = step.priority
    if step.timeout_s is not None:
        body["timeout_s"] = step.timeout_s
    return body


def step_from_body(body: Mapping[str, Any]) -> StepPlan:
    """The reverse of ``step_to_body``."""
    retry = body.get("retry")
    mapped = body.get("mapped_over")
    node = body.get("node", body["key"])
    return StepPlan(
        key=body["key"],
        node=node,
        op_name=body.get("op", node),
        inputs=tuple(_input_from_body(i) for i in body["in"]),
        outputs=tuple(OutputPlan(*o) for o in body["out"]),
        mapped_over=OutputRef(*mapped) if mapped else None,
        tags=body.get("tags", {}),
        pools=tuple(body.get("pools", ())),
        priority=body.get("priority", 0),
        timeout_s=body.get("timeout_s"),
        retry=RetryPlan(*retry) if retry else None,
        resource_keys=tuple(body.get("resources", ())),
        asset_keys=tuple(body.get("assets", ())),
        check_keys=tuple(body.get("checks", ())),
        executor=body.get("executor"),
    )


def _input_to_body(plan: InputPlan) -> list[Any]:
    return [plan.name, [list(s) for s in plan.sources], plan.fan_in, plan.collect]


def _input_from_body(body: list[Any]) -> InputPlan:
    name, sources, fan_in, collect = body
    return InputPlan(name, tuple(OutputRef(*s) for s in sources), fan_in, collect)
