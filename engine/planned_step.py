"""One step with what of the plan its inputs are made from: all that the process that runs it has to know of the plan.

A plan can have 10,000 steps, and each may have a process of its own: such a process reads one of these, whose size follows the
step's own inputs. A planned step is a stored document (kind ``planned step``, version 1), made once, when the plan is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..serdes.record import record
from .snapshot import (
    OutputRef,
    PlanSnapshot,
    StepPlan,
    StoredOutput,
    mapped_key,
    mapping_key_of,
    starts_early,
    step_from_body,
    step_to_body,
    template_key,
)


@record
class Reading:
    """Whose outputs a step reads first: those of `step`, of its own mapping key only or all of them."""

    step: str
    own_key_only: bool = False


@record
class PlannedStep:
    """A step and its surroundings.

    Attributes:
        step: the step, or the template of the steps that are mapped over a dynamic output.
        sources: the steps of the plan that its inputs are made from, and what each is mapped over (None for a plain step). A source that
            is not here does not run: its outputs are in `known`.
        known: what earlier runs of the group made of its inputs (re-execution).
        starts_early: it may be started before the steps that it takes from have ended.
    """

    step: StepPlan
    sources: Mapping[str, OutputRef | None]
    known: tuple[StoredOutput, ...] = ()
    starts_early: bool = False

    def reads(self) -> list[Reading]:
        """What has to be read of the run before the values of the inputs are known; keys of mapped sources as ``work[?]``.

        For all but collected mapped steps that is all there is to read. What those are follows from the outputs of what they are
        mapped over, and these are here.
        """
        found: dict[str, Reading] = {}
        for plan in self.step.inputs:
            for ref in plan.sources:
                over = self.sources.get(ref.step)
                collected = over is not None and over != self.step.mapped_over
                step = over.step if over is not None and collected else ref.step
                own = not plan.collect and self.step.mapped_over == ref
                found[step] = Reading(step, own and (step not in found or found[step].own_key_only))
        return list(found.values())

    def read_keys(self, step_key: str) -> list[str]:
        """The keys of ``reads`` as they are in the run, for the step called `step_key`."""
        mapping_key = mapping_key_of(step_key) if self.step.mapped_over else None
        keys = (reading.step for reading in self.reads())
        return [mapped_key(k, mapping_key) if mapping_key is not None and "[?]" in k else k for k in keys]


def planned_steps(plan: PlanSnapshot) -> Iterator[PlannedStep]:
    """All steps of a plan. Takes time in proportion to the plan."""
    by_key = {step.key: step for step in plan.steps}
    early = starts_early(plan.executor.get("config") or {})
    known: dict[str, list[tuple[int, StoredOutput]]] = {}
    for place in enumerate(plan.known_outputs):
        known.setdefault(template_key(place[1].step), []).append(place)
    for step in plan.steps:
        yield replace(_planned(step, by_key, known), starts_early=early)


def _planned(
    step: StepPlan, by_key: Mapping[str, StepPlan], known: Mapping[str, list[tuple[int, StoredOutput]]]
) -> PlannedStep:
    refs = {ref.step: None for plan in step.inputs for ref in plan.sources}
    sources = {key: by_key[key].mapped_over for key in refs if key in by_key}
    wanted = dict.fromkeys([*refs, *(over.step for over in sources.values() if over is not None)])
    places = sorted((place for key in wanted for place in known.get(key, ())), key=lambda place: place[0])
    return PlannedStep(step, sources, tuple(output for _, output in places))


def planned_step_to_body(planned: PlannedStep) -> dict[str, Any]:
    """The stored form: JSON values, what is empty left out."""
    body: dict[str, Any] = {"step": step_to_body(planned.step)}
    if planned.sources:
        body["sources"] = {key: list(over) if over else None for key, over in planned.sources.items()}
    if planned.known:
        body["known"] = [list(output) for output in planned.known]
    if planned.starts_early:
        body["starts_early"] = True
    return body


def planned_step_from_body(body: Mapping[str, Any]) -> PlannedStep:
    """The reverse of ``planned_step_to_body``."""
    sources = body.get("sources", {})
    return PlannedStep(
        step=step_from_body(body["step"]),
        sources={key: OutputRef(*over) if over else None for key, over in sources.items()},
        known=tuple(StoredOutput(*output) for output in body.get("known", ())),
        starts_early=bool(body.get("starts_early")),
    )
