"""The engine: a run's state is the fold of its facts, and each fact is answered with what is to be done next.

It is told facts (``Happened``) in the order of the run's event numbers, and what the shell saw besides (``Gone``, ``Woke``, ...).
It moves at once where a fact leads, so that one answer holds a whole cascade; what it derived it asks to be recorded, and a
record that comes back as a fact confirms it. Each fact costs O(degree of its step).

Taking over: fold the stored facts with ``fold``, then ask ``resume`` what is to be done. What the log says happened is believed;
what it does not say yet (a sealed attempt's consequence, what a cancel does to each step) is decided in ``resume``, because the
coordinator before this one may have known of a cancel later than the log did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..errors import ConflictError
from ..events.causes import OWN_BUDGETS, WITHOUT_RETRY, FailureCause, RunFailureReason
from ..events.kinds import EventKind
from .arcs import StepState, Stimulus
from .commands import (
    Command,
    FinishRun,
    Gone,
    Happened,
    IntentSet,
    IssueStep,
    LaunchRefused,
    LaunchStep,
    PoolsFull,
    ProbeStep,
    Record,
    SealStep,
    Stimulated,
    StopStep,
    WakeAt,
    Woke,
)
from .limits import Limits
from .ready import ReadyQueue
from .retries import next_delay
from .snapshot import InputPlan, OutputRef, PlanSnapshot, RetryPlan, StoredOutput, mapped_key
from .step import Step

_RUN_INTENTS = {"cancel": EventKind.RUN_CANCELED, "deadline": EventKind.RUN_FAILURE, "lost": EventKind.RUN_FAILURE}
BY_INTENT = "intent"
"""What stands in a STEP_ABANDONED where otherwise the steps stand that failed: the run is to end."""
_OPEN = (StepState.ISSUED, StepState.RUNNING, StepState.SEALING)


class Engine:
    """The state of one run.

    Args:
        plan: what is to be run.
        limits: how much of it at once.
        run_id: put into what the run's own steps produce.
        retries_enabled: whether failed attempts are run again at all.
        eager: a step starts as soon as the outputs it needs exist, not when the steps that make them have ended
            (``require_upstream_step_success: false``).
    """

    def __init__(
        self,
        plan: PlanSnapshot,
        limits: Limits | None = None,
        *,
        run_id: str = "",
        retries_enabled: bool = True,
        eager: bool = False,
    ) -> None:
        self.plan = plan
        self.run_id = run_id
        self.intent = "none"
        self.steps: dict[str, Step] = {}
        self._dependants: dict[str, list[Step]] = {}
        self._queue = ReadyQueue(self.steps, limits or Limits())
        self._retries_enabled = retries_enabled
        self._eager = eager
        self._full_pools: dict[str, tuple[str, ...]] = {}
        self._unfinished = 0
        self._unconfirmed: dict[tuple[str, str, int], Record] = {}
        self._known: dict[tuple[str, str], dict[str | None, StoredOutput]] = {}
        self._known_steps = frozenset(plan.known_steps)
        self._commands: list[Command] = []
        self._folding = True
        self._folded_intent: str | None = None
        self._finishing = False
        self._failed: list[str] = []
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            Happened: self._on_happened,
            PoolsFull: self._on_pools_full,
            Gone: self._on_gone,
            LaunchRefused: self._on_launch_refused,
            Woke: self._on_woke,
            IntentSet: self._on_intent,
        }
        self._build()

    # The doors ------------------------------------------------------------------------------------------------------------

    def start(self) -> list[Command]:
        """What is to be done first in a run that nobody began."""
        return self.resume()

    def handle(self, stimulus: Stimulated) -> list[Command]:
        """Take one stimulus; return what is to be done now.

        Raises:
            ConflictError: it makes no sense in the present state; the text tells the story.
        """
        self._handlers[type(stimulus)](stimulus)
        return self._answer()

    def fold(self, facts: Iterable[Happened]) -> None:
        """Before ``resume``: take the stored facts of a run that another coordinator began."""
        for fact in facts:
            self._on_happened(fact)

    def resume(self) -> list[Command]:
        """After ``fold``: everything that is still to be done."""
        self._folding = False
        self._commands = list(self._unconfirmed.values())
        if self._folded_intent is not None:
            self._on_intent(IntentSet(self._folded_intent))
        steps = [s for s in self.steps.values() if not s.is_template]
        for step in steps:
            if step.state is StepState.READY:
                self._queue.push(step)
        for step in steps:
            if step.sealed is not None:
                self._decide_sealed(step, step.sealed)
        for step in steps:
            if step.state in _OPEN:
                self._say(ProbeStep(step.key, step.n))
            if step.due is not None:
                self._say(WakeAt(step.key, step.due))
        return self._answer()

    @property
    def is_over(self) -> bool:
        """Whether every step is final."""
        return self._unfinished == 0

    @property
    def failed_steps(self) -> list[str]:
        """Keys of the failed steps, in the order they failed."""
        return list(self._failed)

    def inputs_of(self, key: str) -> dict[str, list[StoredOutput]]:
        """What exists of each input of a step, in the order of its sources; a collected input's in mapping order."""
        step = self.steps[key]
        return {i.name: self._values(step, i) for i in step.plan.inputs if i.sources}

    def explain(self, key: str) -> str:
        """The story of a step so far."""
        return self.steps[key].story()

    # Building -------------------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        for output in self.plan.known_outputs:
            self._known.setdefault((output.step, output.output), {})[output.mapping_key] = output
        for i, plan in enumerate(self.plan.steps):
            step = Step(plan, plan.key, (i, 0), is_template=plan.mapped_over is not None)
            self.steps[plan.key] = step
        self._unfinished = len(self.steps)
        for step in list(self.steps.values()):
            self._connect(step)
        for step in [s for s in self.steps.values() if s.open == 0]:
            self._settle(step)

    def _connect(self, step: Step) -> None:
        """Count what the step waits for. A template waits for its mapper only."""
        sources = (
            {step.plan.mapped_over.step} if step.is_template and step.plan.mapped_over else self._source_keys(step)
        )
        for source in sources:
            upstream = self.steps.get(source)
            if upstream is None or upstream.is_final:
                continue
            step.open += 1
            self._dependants.setdefault(source, []).append(step)

    def _source_keys(self, step: Step) -> dict[str, None]:
        """Keys of the steps it takes something from, in order. A mapped step takes from its sibling of the same mapping key."""
        return {self._source_key(step, ref): None for i in step.plan.inputs for ref in i.sources}

    def _source_key(self, step: Step, ref: OutputRef) -> str:
        source = self.steps.get(ref.step)
        mapped = source is not None and source.is_template and step.mapping_key is not None
        if mapped and source is not None and source.plan.mapped_over == step.plan.mapped_over:
            return mapped_key(ref.step, step.mapping_key or "")
        return ref.step

    # Values ---------------------------------------------------------------------------------------------------------------

    def _values(self, step: Step, plan: InputPlan) -> list[StoredOutput]:
        found: list[StoredOutput] = []
        for ref in plan.sources:
            found += self._of_source(step, plan, ref)
        return found

    def _of_source(self, step: Step, plan: InputPlan, ref: OutputRef) -> list[StoredOutput]:
        source = self.steps.get(self._source_key(step, ref))
        if source is not None and source.is_template:
            return [o for s in source.instances or () for o in s.values(ref.output)]
        there = self._known.get((ref.step, ref.output), {}) if source is None else source.outputs.get(ref.output, {})
        if step.mapping_key is not None and not plan.collect and step.plan.mapped_over == ref:
            return [there[step.mapping_key]] if step.mapping_key in there else []
        return list(there.values())

    # Facts ----------------------------------------------------------------------------------------------------------------

    def _on_happened(self, fact: Happened) -> None:
        take = _STEP_FACTS.get(fact.kind)
        if take is None or fact.step is None:
            if fact.kind == EventKind.RUN_CANCELING:
                self._on_canceling(fact)
            return  # any other fact of the run, or an annotation
        step = self.steps.get(fact.step)
        if step is None:
            raise ConflictError(f"{fact.kind} of a step that the plan does not have", where=f"step {fact.step}")
        if self._unconfirmed and self._unconfirmed.pop((fact.kind, fact.step, fact.n or 0), None) is not None:
            self._on_confirmed(step, fact)
        else:
            take(self, step, fact)

    def _on_canceling(self, fact: Happened) -> None:
        intent = str(fact.body.get("intent", "cancel"))
        if self._folding:
            self._folded_intent = intent
        else:
            self._on_intent(IntentSet(intent))

    def _on_confirmed(self, step: Step, fact: Happened) -> None:
        # It is not in BACKOFF any more when an intent came in between.
        if fact.kind == EventKind.STEP_UP_FOR_RETRY and step.state is StepState.BACKOFF:
            self._back_off(step, fact)

    def _on_issued(self, step: Step, fact: Happened) -> None:
        if self._folding and step.state is StepState.BACKOFF:
            step.move(Stimulus.WOKE)  # no event says that a delay is over, but for this one
        step.move(Stimulus.ISSUED)
        step.n = fact.n or 0
        step.is_issuing = step.is_seal_asked = False
        step.stopping = None
        self._drop_outputs(step)
        self._queue.issued(step)
        if self.intent == "none":
            self._say(LaunchStep(step.key, step.n, step.retries))
            return
        step.stopping = FailureCause.CANCELED
        step.move(Stimulus.INTENT)
        self._seal(step, FailureCause.CANCELED, "the run was to end before it was started")

    def _on_claimed(self, step: Step, fact: Happened) -> None:
        self._must_be_current(step, fact)
        step.move(Stimulus.CLAIMED)
        if step.plan.timeout_s is not None and step.state is StepState.RUNNING:
            step.due = fact.at + step.plan.timeout_s
            self._say(WakeAt(step.key, step.due))

    def _on_output(self, step: Step, fact: Happened) -> None:
        self._must_be_current(step, fact)
        step.move(Stimulus.OUTPUT_READY)
        body = fact.body
        step.add_output(
            StoredOutput(self.run_id, step.key, body["output"], body.get("mapping_key"), body.get("location"))
        )
        if self._eager:
            for dependant in self._dependants.get(step.key, ()):
                self._start_eagerly(dependant)

    def _on_success(self, step: Step, fact: Happened) -> None:
        self._must_be_current(step, fact)
        self._end(step, Stimulus.SUCCEEDED)

    def _on_failure(self, step: Step, fact: Happened) -> None:
        self._must_be_current(step, fact)
        self._end(step, Stimulus.FAILED)

    def _on_retry(self, step: Step, fact: Happened) -> None:
        self._must_be_current(step, fact)
        self._use_budget(step, fact.body.get("cause"))
        step.move(Stimulus.RETRY)
        self._queue.left(step)
        self._back_off(step, fact)

    def _on_sealed(self, step: Step, fact: Happened) -> None:
        """The attempt has no outcome and will not have one."""
        self._must_be_current(step, fact)
        if step.state is not StepState.SEALING:
            step.move(Stimulus.GONE)
        if self._folding:
            step.sealed = fact.body
        else:
            self._decide_sealed(step, fact.body)

    def _decide_sealed(self, step: Step, sealed: Mapping[str, Any]) -> None:
        """Run it again or not; ask for the decision to be recorded."""
        cause = FailureCause(sealed["cause"])
        delay = self._delay_after(step, cause)
        body = {"cause": cause.value, "error": _sealed_error(sealed)}
        if delay is None:
            self._record(EventKind.STEP_FAILURE, step, {**body, "message": f'Execution of step "{step.key}" failed.'})
            self._end(step, Stimulus.SEALED_FAIL)
            return
        self._use_budget(step, cause)
        message = f'Execution of step "{step.key}" failed and has requested a retry.'
        jitter = step.plan.retry if cause not in OWN_BUDGETS else None
        retry = {**body, "seconds_to_wait": delay, "message": message}
        self._record(EventKind.STEP_UP_FOR_RETRY, step, retry, jitter)
        step.sealed = None
        step.move(Stimulus.SEALED_RETRY)
        self._queue.left(step)

    # Not derived here (an engine of another version wrote it): the log is right. Heard of twice: nothing new.

    def _on_skipped(self, step: Step, fact: Happened) -> None:
        if step.state is not StepState.SKIPPED:
            self._end(step, Stimulus.INPUT_MISSING)

    def _on_abandoned(self, step: Step, fact: Happened) -> None:
        if step.state is StepState.ABANDONED:
            return
        if self._unconfirmed.pop((EventKind.STEP_SKIPPED, step.key, 0), None) is not None:
            # Who wrote it knew of the cancel before it heard what the skip is derived from.
            step.overrule(StepState.ABANDONED)
            return
        self._end(step, Stimulus.INTENT if fact.body.get("because") == [BY_INTENT] else Stimulus.UPSTREAM_FAILED)

    # What the shell saw -----------------------------------------------------------------------------------------------------

    def _on_pools_full(self, seen: PoolsFull) -> None:
        step = self.steps[seen.step]
        if not step.is_issuing or seen.n != step.n + 1:
            return
        step.is_issuing = False
        step.move(Stimulus.REFUSED)
        asks = self._queue.refused(step)
        if self.intent != "none":
            self._abandon(step)
        elif asks:
            pools = step.plan.pools
            self._full_pools[_pool_key(pools)] = pools
            self._say(WakeAt(_pool_key(pools), seen.retry_at, pools))

    def _on_gone(self, seen: Gone) -> None:
        step = self.steps[seen.step]
        if step.n != seen.n or step.state not in _OPEN or step.is_seal_asked:
            return
        step.move(Stimulus.GONE)
        self._seal(step, step.stopping or seen.cause, seen.evidence)

    def _on_launch_refused(self, seen: LaunchRefused) -> None:
        step = self.steps[seen.step]
        if step.n != seen.n or step.state not in _OPEN or step.is_seal_asked:
            return
        step.move(Stimulus.LAUNCH_REFUSED)
        self._seal(step, step.stopping or FailureCause.LAUNCH_REFUSED, seen.evidence)

    def _seal(self, step: Step, cause: FailureCause, evidence: str) -> None:
        step.is_seal_asked = True
        self._say(SealStep(step.key, step.n, cause, evidence))

    def _on_woke(self, seen: Woke) -> None:
        if seen.key in self._full_pools:
            self._queue.woke(self._full_pools.pop(seen.key))
            return
        step = self.steps.get(seen.key)
        if step is None or step.due is None or seen.at < step.due:
            return
        if step.state is StepState.BACKOFF:
            step.move(Stimulus.WOKE)
            self._queue.push(step)
        else:
            step.move(Stimulus.OVERDUE)
            self._stop(step, FailureCause.TIMED_OUT)

    def _on_intent(self, seen: IntentSet) -> None:
        if self.intent != "none":
            return
        self.intent = seen.intent
        self._finishing = False
        for step in list(self.steps.values()):
            if step.is_template:
                if step.instances is None and not step.is_final:
                    step.move(Stimulus.INTENT)
                    self._unfinished -= 1
            elif step.state in (StepState.WAITING, StepState.READY, StepState.BACKOFF) and not step.is_issuing:
                self._abandon(step)
            elif step.state in (StepState.ISSUED, StepState.RUNNING):
                step.move(Stimulus.INTENT)
                self._stop(step, FailureCause.CANCELED)

    def _abandon(self, step: Step) -> None:
        """It will not run, because the run is to end."""
        self._record_abandoned(step)
        self._spread([step])

    def _record_abandoned(self, step: Step) -> None:
        self._record(EventKind.STEP_ABANDONED, step, {"because": [BY_INTENT]})
        self._finalise(step, Stimulus.INTENT)

    def _stop(self, step: Step, cause: FailureCause) -> None:
        step.stopping = cause
        self._say(StopStep(step.key, step.n, cause))

    # Moving on ----------------------------------------------------------------------------------------------------------------

    def _end(self, step: Step, stimulus: Stimulus) -> None:
        self._finalise(step, stimulus)
        self._spread([step])

    def _spread(self, ended: list[Step]) -> None:
        """Tell the dependants of final steps, and theirs in turn. A loop, since chains are long."""
        while ended:
            step = ended.pop()
            if any(o.dynamic for o in step.plan.outputs) and not step.is_template:
                ended += self._expand(step)
            ended += self._release(step.key)

    def _release(self, key: str) -> list[Step]:
        """One source less for who waits for `key`; return the steps that are final by that."""
        final = []
        for dependant in self._dependants.pop(key, ()):
            if dependant.is_template or dependant.state is not StepState.WAITING:
                continue
            dependant.open -= 1
            if dependant.open == 0:
                if self._decide(dependant):
                    final.append(dependant)
            elif self._eager:
                self._start_eagerly(dependant)
        return final

    def _finalise(self, step: Step, stimulus: Stimulus) -> None:
        step.move(stimulus)
        step.sealed = None
        self._unfinished -= 1
        self._queue.left(step)
        if step.state is not StepState.SUCCEEDED:
            self._drop_outputs(step)
        if step.state is StepState.FAILED:
            self._failed.append(step.key)

    def _settle(self, step: Step) -> None:
        """A step that waits for nothing from the start."""
        if step.is_template:
            # Its mapper is not part of this run: its mapping keys are known from the parent.
            known = self._known.get(step.plan.mapped_over or ("", ""), {})
            self._spread(self._make_instances(step, [key or "" for key in known]))
        elif self._decide(step):
            self._spread([step])

    def _decide(self, step: Step) -> bool:
        """All sources are final: ready, skipped or abandoned? True when the step is final now."""
        if self.intent != "none":
            self._record_abandoned(step)
            return True
        if self._folded_intent is not None and self._folding:
            return False
        missing, bad = self._judge(step)
        if missing:
            because = ", ".join(f"'{m}'" for m in missing)
            message = f"Skipping step {step.key} due to skipped dependencies: [{because}]."
            self._record(EventKind.STEP_SKIPPED, step, {"because": missing, "message": message})
            self._finalise(step, Stimulus.INPUT_MISSING)
            return True
        if bad:
            because = ", ".join(f"'{b}'" for b in bad)
            message = f"Dependencies for step {step.key} failed: [{because}]. Not executing."
            self._record(EventKind.STEP_ABANDONED, step, {"because": bad, "message": message})
            self._finalise(step, Stimulus.UPSTREAM_FAILED)
            return True
        self._make_ready(step)
        return False

    def _make_ready(self, step: Step) -> None:
        step.move(Stimulus.DEPENDENCIES_MET)
        if not self._folding:
            self._queue.push(step)

    def _judge(self, step: Step) -> tuple[list[str], list[str]]:
        """Outputs that a required input misses without anybody having failed, and upstream steps that failed."""
        missing: list[str] = []
        bad: dict[str, None] = {}
        for plan in step.plan.inputs:
            lacking, failed, present = [], [], 0
            for ref in plan.sources:
                verdict = self._source_verdict(step, plan, ref)
                if verdict == "bad":
                    failed.append(self._source_key(step, ref))
                elif verdict == "missing":
                    lacking.append(f"{self._source_key(step, ref)}.{ref.output}")
                else:
                    present += 1
            bad.update(dict.fromkeys(failed))
            if lacking and not (plan.fan_in and (present or failed)):
                missing += lacking
        return missing, list(bad)

    def _source_verdict(self, step: Step, plan: InputPlan, ref: OutputRef) -> str:
        source = self.steps.get(self._source_key(step, ref))
        if source is None:
            return "present" if plan.collect or self._known.get((ref.step, ref.output)) else "missing"
        if source.is_template:
            return self._template_verdict(source, ref)
        if source.state in (StepState.FAILED, StepState.ABANDONED):
            return "bad"
        if source.state is StepState.SKIPPED:
            return "missing"
        if ref.output in source.outputs:
            return "present"
        out = source.plan.output(ref.output)
        return "present" if out.dynamic and out.required and plan.collect else "missing"

    def _template_verdict(self, template: Step, ref: OutputRef) -> str:
        if template.state in (StepState.FAILED, StepState.ABANDONED):
            return "bad"
        if template.state is StepState.SKIPPED:
            return "missing"
        instances = template.instances or []
        if any(s.state in (StepState.FAILED, StepState.ABANDONED) for s in instances):
            return "bad"
        return "present" if not instances or any(ref.output in s.outputs for s in instances) else "missing"

    def _expand(self, mapper: Step) -> list[Step]:
        """The mapper is final: make its mapped steps, or settle their templates. Return the steps that are final by that."""
        final: list[Step] = []
        for template in [d for d in self._dependants.get(mapper.key, ()) if d.is_template and not d.is_final]:
            output = template.plan.mapped_over.output if template.plan.mapped_over else ""
            keys = [key or "" for key in mapper.outputs.get(output, {})]
            if mapper.state in (StepState.FAILED, StepState.ABANDONED):
                final += self._settle_template(template, Stimulus.UPSTREAM_FAILED)
            elif mapper.state is StepState.SKIPPED or (not keys and not mapper.plan.output(output).required):
                final += self._settle_template(template, Stimulus.INPUT_MISSING)
            else:
                final += self._make_instances(template, keys)
        return final

    def _settle_template(self, template: Step, stimulus: Stimulus) -> list[Step]:
        template.move(stimulus)
        self._unfinished -= 1
        return self._release_collectors(template)

    def _make_instances(self, template: Step, keys: Sequence[str]) -> list[Step]:
        template.instances = []
        template.move(Stimulus.DEPENDENCIES_MET)
        for position, key in enumerate(keys):
            step = Step(template.plan, mapped_key(template.key, key), (template.order[0], position), mapping_key=key)
            self.steps[step.key] = step
            template.instances.append(step)
            self._take_from_parent(step)
        self._unfinished += sum(not step.is_final for step in template.instances) - 1
        waiting = [step for step in template.instances if not step.is_final]
        for step in waiting:
            self._connect(step)
        final = [step for step in waiting if step.open == 0 and self._decide(step)]
        return final + self._release_collectors(template)

    def _take_from_parent(self, step: Step) -> None:
        """In a re-execution: a mapped step that an earlier run of the group finished is not run again."""
        known = [o for out in step.plan.outputs for o in self._known.get((step.key, out.name), {}).values()]
        if known or step.key in self._known_steps:
            step.state = StepState.SUCCEEDED
        for output in known:
            step.add_output(output)

    def _release_collectors(self, template: Step) -> list[Step]:
        """Who waits for the template waits for its instances now. Mapped siblings wait for their mapper, not for this."""
        for dependant in self._dependants.get(template.key, ()):
            for step in template.instances or ():
                if not step.is_final and not dependant.is_template:
                    dependant.open += 1
                    self._dependants.setdefault(step.key, []).append(dependant)
        return self._release(template.key)

    def _start_eagerly(self, step: Step) -> None:
        """Make it ready when all it needs exists already. What was found to exist is not looked at again."""
        if step.is_template or step.state is not StepState.WAITING or self.intent != "none":
            return
        if step.awaited is None:
            step.awaited = [(i, ref) for i in reversed(step.plan.inputs) for ref in reversed(i.sources)]
        while step.awaited and self._exists(step, *step.awaited[-1]):
            step.awaited.pop()
        if not step.awaited:
            self._make_ready(step)

    def _drop_outputs(self, step: Step) -> None:
        """What its newest attempt produced does not count. In eager mode a dependant may have started from it, so it stays until
        the next attempt replaces it; dynamic ones do not, since nobody takes them before their step has ended."""
        kept = [o.name for o in step.plan.outputs if not o.dynamic] if self._eager else []
        step.outputs = {name: step.outputs[name] for name in kept if name in step.outputs}

    def _exists(self, step: Step, plan: InputPlan, ref: OutputRef) -> bool:
        source = self.steps.get(self._source_key(step, ref))
        if source is None:
            return True
        dynamic = source.is_template or source.plan.output(ref.output).dynamic
        return (source.is_final or not dynamic) and bool(self._of_source(step, plan, ref))

    # Retries ------------------------------------------------------------------------------------------------------------------

    def _delay_after(self, step: Step, cause: FailureCause) -> float | None:
        """Seconds until the next attempt after a sealed one, or None when there is none."""
        if self.intent != "none" or cause in WITHOUT_RETRY:
            return None
        if cause in OWN_BUDGETS:
            return 0.0 if step.spent.get(cause, 0) < OWN_BUDGETS[cause] else None
        if not self._retries_enabled or step.plan.retry is None or step.retries >= step.plan.retry.max_retries:
            return None
        return next_delay(step.plan.retry, step.retries + 1)

    def _use_budget(self, step: Step, cause: object) -> None:
        own = next((c for c in OWN_BUDGETS if c == cause), None)
        if own is not None:
            step.spent[own] = step.spent.get(own, 0) + 1
        else:
            step.retries += 1

    def _back_off(self, step: Step, fact: Happened) -> None:
        step.sealed = None
        if self.intent != "none":
            self._abandon(step)
            return
        step.due = fact.at + float(fact.body.get("seconds_to_wait") or 0.0)
        self._say(WakeAt(step.key, step.due))

    # Answers --------------------------------------------------------------------------------------------------------------------

    def _say(self, command: Command) -> None:
        if not self._folding:
            self._commands.append(command)

    def _record(self, kind: EventKind, step: Step, body: dict[str, Any], jitter: RetryPlan | None = None) -> None:
        n = step.n if kind in (EventKind.STEP_FAILURE, EventKind.STEP_UP_FOR_RETRY) else None
        record = Record(kind, step.key, n, body, jitter)
        self._unconfirmed[(kind.value, step.key, n or 0)] = record
        self._say(record)

    def _answer(self) -> list[Command]:
        while self.intent == "none" and (step := self._queue.take()) is not None:
            step.is_issuing = True
            self._say(IssueStep(step.key, step.n + 1, step.retries, step.plan.pools, step.plan.priority))
        if self.is_over and not self._finishing:
            self._finishing = True
            self._say(self._verdict())
        commands, self._commands = self._commands, []
        return commands

    def _verdict(self) -> FinishRun:
        if self.intent != "none":
            return FinishRun(_RUN_INTENTS[self.intent], {"failed": self.failed_steps})
        if self._failed:
            names = ", ".join(f"'{k}'" for k in self._failed)
            message = f'Execution of run for "{self.plan.job_name}" failed. Steps failed: [{names}].'
            body = {"reason": RunFailureReason.STEP_FAILURE.value, "failed": self.failed_steps, "message": message}
            return FinishRun(EventKind.RUN_FAILURE, body)
        return FinishRun(EventKind.RUN_SUCCESS, {"message": f'Finished execution of run for "{self.plan.job_name}".'})

    def _must_be_current(self, step: Step, fact: Happened) -> None:
        if fact.n != step.n:
            raise ConflictError(
                f"{fact.kind} of attempt {fact.n}, but attempt {step.n} is the newest",
                where=f"step {step.key}",
                hint=step.story(),
            )


def _pool_key(pools: tuple[str, ...]) -> str:
    return "pools:" + ",".join(pools)


def _sealed_error(sealed: Mapping[str, Any]) -> dict[str, Any]:
    return {"message": f"{sealed.get('evidence') or sealed['cause']}\n", "stack": [], "cls_name": "StepLost"}


_STEP_FACTS: dict[str, Callable[[Engine, Step, Happened], None]] = {
    EventKind.STEP_ISSUED.value: Engine._on_issued,
    EventKind.STEP_WORKER_STARTED.value: Engine._on_claimed,
    EventKind.STEP_OUTPUT.value: Engine._on_output,
    EventKind.STEP_SUCCESS.value: Engine._on_success,
    EventKind.STEP_FAILURE.value: Engine._on_failure,
    EventKind.STEP_UP_FOR_RETRY.value: Engine._on_retry,
    EventKind.STEP_SEALED.value: Engine._on_sealed,
    EventKind.STEP_SKIPPED.value: Engine._on_skipped,
    EventKind.STEP_ABANDONED.value: Engine._on_abandoned,
}
