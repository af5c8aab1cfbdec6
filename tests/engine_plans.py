"""Plans and facts in a few characters, for the tests of the engine.

``step("b", "a", fan_in("c", "d.maybe"), out=["result", "maybe?", "many*"])``: takes from a, c and d; makes a required, an optional
and a dynamic output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runplane.engine.snapshot import InputPlan, OutputPlan, OutputRef, PlanSnapshot, RetryPlan, StepPlan, StoredOutput


def ref(text: str) -> OutputRef:
    """``a`` or ``a.result``, ``work[?].result``."""
    step, _, output = text.partition(".")
    return OutputRef(step, output or "result")


def fan_in(*sources: str) -> InputPlan:
    return InputPlan("list", tuple(ref(s) for s in sources), fan_in=True)


def collect(source: str) -> InputPlan:
    return InputPlan("collected", (ref(source),), collect=True)


def output(text: str) -> OutputPlan:
    """``name``, ``name?`` (optional), ``name*`` (dynamic), ``name*?`` (both)."""
    return OutputPlan(text.rstrip("*?"), required="?" not in text, dynamic="*" in text)


def step(
    key: str,
    *inputs: str | InputPlan,
    out: Sequence[str] = ("result",),
    over: str | None = None,
    retry: RetryPlan | int | None = None,
    **more: Any,
) -> StepPlan:
    """A step; with `over`, the template of those mapped over that dynamic output, which is its first input too."""
    plans = [InputPlan(f"in{i}", (ref(i_),)) if isinstance(i_, str) else i_ for i, i_ in enumerate(inputs)]
    names: dict[str, int] = {}
    unique = []
    for plan in plans:
        count = names[plan.name] = names.get(plan.name, 0) + 1
        name = plan.name if count == 1 else f"{plan.name}{count}"
        unique.append(InputPlan(name, plan.sources, plan.fan_in, plan.collect))
    return StepPlan(
        key=key,
        node=key,
        op_name=key,
        inputs=tuple(unique),
        outputs=tuple(output(o) for o in out),
        mapped_over=ref(over) if over else None,
        retry=RetryPlan(retry) if isinstance(retry, int) else retry,
        **more,
    )


def plan_of(*steps: StepPlan, known: Sequence[StoredOutput] = ()) -> PlanSnapshot:
    return PlanSnapshot("j", steps, known_outputs=tuple(known))


def mapped_plan(*, mapper_out: str = "many*", work_out: str = "result") -> PlanSnapshot:
    """make -> work[?] -> gather."""
    return plan_of(
        step("make", out=[mapper_out]),
        step("work[?]", "make.many", over="make.many", out=[work_out]),
        step("gather", collect("work[?]." + work_out.rstrip("?*"))),
    )


def known(step_key: str, output_name: str = "result", mapping_key: str | None = None) -> StoredOutput:
    """An output that an earlier run of the group made."""
    return StoredOutput("parent", step_key, output_name, mapping_key, None)
