"""What exists of a step's inputs, from the plan and the stored outputs: for a process that knows one step only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .snapshot import InputPlan, OutputRef, PlanSnapshot, StepPlan, StoredOutput, mapped_key, mapping_key_of

ReadOutputs = Callable[[Sequence[str]], Sequence[StoredOutput]]


def gather_inputs(plan: PlanSnapshot, step_key: str, read: ReadOutputs) -> dict[str, list[StoredOutput]]:
    """The values that each input of a step is made from, in the order of its sources; collected ones in mapping order.

    Args:
        plan: the run's plan.
        step_key: the step's own key (``work[3]``).
        read: reads the outputs of the successful attempts of some steps; called at most twice.
    """
    found = _Gathering(plan, step_key, read)
    return {i.name: found.values(i) for i in plan.step(step_key).inputs if i.sources}


class _Gathering:
    def __init__(self, plan: PlanSnapshot, step_key: str, read: ReadOutputs) -> None:
        self._steps = {s.key: s for s in plan.steps}
        self._step = plan.step(step_key)
        self._mapping_key = mapping_key_of(step_key) if self._step.mapped_over else None
        self._known = plan.known_outputs
        mappers = sorted({t.mapped_over.step for t in self._collected_templates() if t.mapped_over})
        self._stored = list(read(mappers)) if mappers else []
        rest = [key for key in self._source_keys() if key not in mappers]
        self._stored += read(rest) if rest else []

    def values(self, plan: InputPlan) -> list[StoredOutput]:
        return [o for ref in plan.sources for key in self._keys_of(ref) for o in self._outputs(plan, key, ref)]

    def _outputs(self, plan: InputPlan, key: str, ref: OutputRef) -> list[StoredOutput]:
        source = self._stored if ref.step in self._steps else self._known
        found = [o for o in source if o.step == key and o.output == ref.output]
        found = found or [o for o in self._known if o.step == key and o.output == ref.output]
        if self._mapping_key is not None and not plan.collect and self._step.mapped_over == ref:
            return [o for o in found if o.mapping_key == self._mapping_key]
        return found

    def _source_keys(self) -> list[str]:
        keys = {key: None for i in self._step.inputs for ref in i.sources for key in self._keys_of(ref)}
        return list(keys)

    def _keys_of(self, ref: OutputRef) -> list[str]:
        source = self._steps.get(ref.step)
        if source is None or source.mapped_over is None:
            return [ref.step]
        if self._mapping_key is not None and source.mapped_over == self._step.mapped_over:
            return [mapped_key(ref.step, self._mapping_key)]
        mapper = source.mapped_over
        outputs = [*self._stored, *self._known]
        keys = [o.mapping_key for o in outputs if o.step == mapper.step and o.output == mapper.output and o.mapping_key]
        return [mapped_key(ref.step, key) for key in dict.fromkeys(keys)]

    def _collected_templates(self) -> list[StepPlan]:
        sources = [self._steps.get(ref.step) for i in self._step.inputs for ref in i.sources]
        return [
            s
            for s in sources
            if s is not None and s.mapped_over is not None and s.mapped_over != self._step.mapped_over
        ]
