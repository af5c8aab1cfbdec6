"""Re-execution: what of an earlier run is taken over, and what is run again.

From failure: exactly the complement of what the earlier run finished: what failed, was interrupted, or never ran. What was skipped stays
skipped, since the missing output that caused it would be missing again. Of mapped steps only the unfinished ones run again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ..engine.snapshot import OutputRef, PlanSnapshot, StepPlan, StoredOutput, mapped_key, mapping_key_of, template_key
from ..events.event import Event
from ..events.kinds import EventKind
from ..serdes.record import record
from .selection import select_steps


@record
class Finished:
    """What a run finished.

    Attributes:
        steps: keys of the steps that succeeded or were skipped; mapped ones with their own keys (``work[3]``).
        outputs: what the successes produced.
        skipped: those of `steps` that were skipped.
    """

    steps: frozenset[str]
    outputs: tuple[StoredOutput, ...]
    skipped: frozenset[str] = frozenset()


@record
class Remainder:
    """What is left of a run; empty `step_keys`: nothing.

    Attributes:
        step_keys: the steps to run, in plan order; mapped ones with their own keys where these are known.
        known_outputs: what they may take from earlier runs.
        known_steps: mapped steps that are done, whether they produced something or not.
    """

    step_keys: tuple[str, ...]
    known_outputs: tuple[StoredOutput, ...]
    known_steps: tuple[str, ...] = ()


def finished_by(run_id: str, events: Iterable[Event]) -> Finished:
    """What a run finished, by its events. Outputs of attempts that did not succeed are left out."""
    produced: dict[tuple[str, int], list[StoredOutput]] = {}
    steps: set[str] = set()
    skipped: set[str] = set()
    outputs: list[StoredOutput] = []
    for event in events:
        if event.step is None:
            continue
        if event.kind == EventKind.STEP_OUTPUT:
            body = event.body
            stored = StoredOutput(run_id, event.step, body["output"], body.get("mapping_key"), body.get("location"))
            produced.setdefault((event.step, event.n or 0), []).append(stored)
        elif event.kind == EventKind.STEP_SUCCESS:
            steps.add(event.step)
            outputs += produced.get((event.step, event.n or 0), [])
        elif event.kind == EventKind.STEP_SKIPPED:
            skipped.add(event.step)
    return Finished(frozenset(steps | skipped), tuple(outputs), frozenset(skipped))


def remainder_of(plan: PlanSnapshot, finished: Finished) -> Remainder:
    """What of a run's plan is still to be done, given what the run finished."""
    known = (*plan.known_outputs, *finished.outputs)
    mapping_keys = _mapping_keys(known)
    done = finished.steps | _taken(plan)
    skipped = set(finished.skipped)
    plans = {step.key: step for step in plan.steps}
    steps: list[str] = []
    again: set[str] = set()
    for step in plan.steps:
        if _collects_nothing(step, plans, done - again, skipped, mapping_keys):
            skipped.add(step.key)
            continue
        unfinished = _unfinished(step, done, again, mapping_keys)
        steps += unfinished
        if unfinished:
            again.add(step.key)
    return _with_what_is_known(steps, done, known)


def chosen_of(plan: PlanSnapshot, finished: Finished, queries: Sequence[str]) -> Remainder:
    """The steps that `queries` name, to be run again with what the run produced.

    Args:
        plan, finished: of the earlier run, as it is compiled from the code of now.

    Raises:
        DagsterExecutionStepNotFoundError, DagsterInvalidSubsetError: as ``select_steps``.
    """
    done = finished.steps | _taken(plan)
    mapped = [key for key in done if mapping_key_of(key) is not None]
    chosen = select_steps(plan.steps, mapped, queries)
    order = {step.key: i for i, step in enumerate(plan.steps)}
    steps = sorted(chosen, key=lambda key: (order.get(key, order.get(template_key(key), 0)), key))
    return _with_what_is_known(steps, done, (*plan.known_outputs, *finished.outputs))


def _with_what_is_known(steps: Sequence[str], done: Collection[str], known: Sequence[StoredOutput]) -> Remainder:
    chosen = frozenset(steps)
    kept = [o for o in known if o.step not in chosen and template_key(o.step) not in chosen]
    mapped = sorted(
        key for key in done if mapping_key_of(key) is not None and template_key(key) not in chosen and key not in chosen
    )
    return Remainder(tuple(steps), tuple(kept), tuple(mapped))


def _mapping_keys(known: Sequence[StoredOutput]) -> dict[OutputRef, list[str]]:
    """The mapping keys of each dynamic output, in the order they were produced."""
    found: dict[OutputRef, list[str]] = {}
    for output in known:
        if output.mapping_key is not None:
            found.setdefault(OutputRef(output.step, output.output), []).append(output.mapping_key)
    return found


def _taken(plan: PlanSnapshot) -> frozenset[str]:
    """Mapped steps that the run itself took from an earlier one."""
    return frozenset(o.step for o in plan.known_outputs if mapping_key_of(o.step) is not None) | frozenset(
        plan.known_steps
    )


def _collects_nothing(
    step: StepPlan,
    plans: Mapping[str, StepPlan],
    done: Collection[str],
    skipped: Collection[str],
    mapping_keys: Mapping[OutputRef, Sequence[str]],
) -> bool:
    """Whether it would have been skipped, had the run lived to say so: what it collects was left out, or who makes it was skipped. (Of other
    inputs the new run finds that by itself: they are not there. Nothing to collect may also be an empty list.)"""
    for given in step.inputs:
        for ref in given.sources if given.collect else ():
            source = plans.get(ref.step)
            made = source.mapped_over if source is not None and source.mapped_over is not None else ref
            mapper = plans.get(made.step)
            if ref.step in skipped or made.step in skipped:
                return True
            if mapper is None or made.step not in done or mapping_keys.get(made):
                continue
            if not mapper.output(made.output).required:
                return True
    return False


def _unfinished(
    step: StepPlan, finished: Collection[str], again: Collection[str], mapping_keys: Mapping[OutputRef, Sequence[str]]
) -> list[str]:
    if step.mapped_over is None:
        return [] if step.key in finished else [step.key]
    if step.mapped_over.step in again:
        return [step.key]  # its mapper runs again and may give other keys
    keys = [mapped_key(step.key, key) for key in mapping_keys.get(step.mapped_over, ())]
    return [key for key in keys if key not in finished]
