"""What exists of a step's inputs, from the plan and the stored outputs: for a process that knows one step only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .planned_step import PlannedStep
from .snapshot import InputPlan, OutputRef, StoredOutput, mapped_key, mapping_key_of

ReadOutputs = Callable[[Sequence[str]], Sequence[StoredOutput]]


def gather_inputs(
    planned: PlannedStep, step_key: str, found: Sequence[StoredOutput], read: ReadOutputs
) -> dict[str, list[StoredOutput]]:
    """The values that each input of a step is made from, in the order of its sources; collected ones in mapping order.

    Args:
        planned: the step.
        step_key: its own key (``work[3]``).
        found: the outputs that ``planned.read_keys`` names.
        read: reads the outputs of the successful attempts of some steps; called at most once, for mapped steps that are collected.
    """
    gathering = _Gathering(planned, step_key, found, read)
    return {i.name: gathering.values(i) for i in planned.step.inputs if i.sources}


class _Gathering:
    def __init__(self, planned: PlannedStep, step_key: str, found: Sequence[StoredOutput], read: ReadOutputs) -> None:
        self._step = planned.step
        self._sources = planned.sources
        self._known = planned.known
        self._mapping_key = mapping_key_of(step_key) if self._step.mapped_over else None
        self._stored = list(found)
        had = set(planned.read_keys(step_key))
        rest = [key for key in self._source_keys() if key not in had]
        self._stored += read(rest) if rest else []

    def values(self, plan: InputPlan) -> list[StoredOutput]:
        return [o for ref in plan.sources for key in self._keys_of(ref) for o in self._outputs(plan, key, ref)]

    def _outputs(self, plan: InputPlan, key: str, ref: OutputRef) -> list[StoredOutput]:
        source = self._stored if ref.step in self._sources else self._known
        found = [o for o in source if o.step == key and o.output == ref.output]
        found = found or [o for o in self._known if o.step == key and o.output == ref.output]
        if self._mapping_key is not None and not plan.collect and self._step.mapped_over == ref:
            return [o for o in found if o.mapping_key == self._mapping_key]
        return found

    def _source_keys(self) -> list[str]:
        keys = {key: None for i in self._step.inputs for ref in i.sources for key in self._keys_of(ref)}
        return list(keys)

    def _keys_of(self, ref: OutputRef) -> list[str]:
        mapper = self._sources.get(ref.step)
        if mapper is None:
            return [ref.step]
        if self._mapping_key is not None and mapper == self._step.mapped_over:
            return [mapped_key(ref.step, self._mapping_key)]
        outputs = [*self._stored, *self._known]
        keys = [o.mapping_key for o in outputs if o.step == mapper.step and o.output == mapper.output and o.mapping_key]
        return [mapped_key(ref.step, key) for key in dict.fromkeys(keys)]
