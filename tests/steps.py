"""For tests: performs the steps of a plan one after another, without engine, storage and processes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runplane.definitions.job import JobDefinition
from runplane.engine.snapshot import InputPlan, PlanSnapshot, StepPlan, StoredOutput, mapped_key, mapping_key_of
from runplane.events.event import NewEvent
from runplane.events.run import Run
from runplane.executors.perform import perform_step
from runplane.executors.resource_scope import ResourceScope
from runplane.executors.step_request import StepRequest
from runplane.plan.compile import compile_plan

RUN_ID = "11111111-1111-4111-8111-111111111111"


class Performed:
    """The events of a run, and what its steps produced."""

    def __init__(self) -> None:
        self.events: list[NewEvent] = []
        self.outputs: list[StoredOutput] = []
        self.raised: list[BaseException] = []

    def take(self, event: NewEvent) -> None:
        """Remember an event."""
        self.events.append(event)
        if event.kind == "STEP_OUTPUT":
            body = event.body
            self.outputs.append(
                StoredOutput(RUN_ID, event.step or "", body["output"], body["mapping_key"], body["location"])
            )

    def kinds(self, step: str | None = None) -> list[str]:
        """Kinds of the events, or of one step's."""
        return [e.kind for e in self.events if step is None or e.step == step]

    def one(self, kind: str, step: str | None = None) -> Mapping[str, Any]:
        """The body of the only event of this kind."""
        (found,) = [e.body for e in self.events if e.kind == kind and (step is None or e.step == step)]
        return found

    def ran(self) -> list[str]:
        """Keys of the steps that started, in order."""
        return [e.step or "" for e in self.events if e.kind == "STEP_START"]


def perform(
    job: JobDefinition,
    home: Path,
    run_config: Mapping[str, Any] | None = None,
    *,
    tags: Mapping[str, str] | None = None,
    scope: bool = False,
    **request: Any,
) -> Performed:
    """Perform all steps of a job whose steps all succeed or are the last of their branch."""
    plan = compile_plan(job, run_config)
    run = Run(RUN_ID, job.name, run_config=run_config or {}, tags=tags or {})
    done = Performed()
    shared = ResourceScope(job, run, home) if scope else None
    if shared is not None:
        keys = sorted({k for s in plan.steps for k in s.resource_keys})
        shared.open(keys, done.take, _no_log(), step=None, n=None)
    for step in plan.steps:
        for key in _keys(step, done):
            inputs = {i.name: _stored(plan, key, i, done) for i in step.inputs if i.sources}
            perform_step(
                StepRequest(
                    job,
                    run,
                    step,
                    key,
                    request.get("n", 1),
                    home,
                    inputs=inputs,
                    scope=shared,
                    raised=done.raised.append,
                    **{k: v for k, v in request.items() if k != "n"},
                ),
                done.take,
            )
    if shared is not None:
        shared.close(done.take, step=None, n=None)
    return done


def perform_one(
    job: JobDefinition, home: Path, run_config: Mapping[str, Any] | None = None, **request: Any
) -> Performed:
    """Perform the only step of a job."""
    assert len(job.wiring) == 1
    return perform(job, home, run_config, **request)


def _no_log() -> Any:
    import logging

    return logging.Logger("nobody")


def _keys(step: StepPlan, done: Performed) -> list[str]:
    if step.mapped_over is None:
        return [step.key]
    over = step.mapped_over
    return [mapped_key(step.key, o.mapping_key or "") for o in done.outputs if (o.step, o.output) == over]


def _stored(plan: PlanSnapshot, key: str, spec: InputPlan, done: Performed) -> list[StoredOutput]:
    found: list[StoredOutput] = []
    for ref in spec.sources:
        template = plan.step(ref.step).mapped_over is not None
        own = mapping_key_of(key)
        source = mapped_key(ref.step, own) if template and own is not None else ref.step
        for output in done.outputs:
            same_step = output.step.startswith(ref.step[:-2]) if template and own is None else output.step == source
            of_key = spec.collect or template or output.mapping_key in (None, own)
            if same_step and output.output == ref.output and of_key:
                found.append(output)
    return found
