"""The run's plan as a drawing: steps in layers from left to right, each with where it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...engine.snapshot import PlanSnapshot, StepPlan, template_key
from ..report import seconds
from ..story import RunStory, StepStatus, StepStory
from .content import MOST_NODES
from .layers import Edge, Layout, Place, lay_out
from .markup import Markup, element
from .words import kind_of, more, sign_of

LETTER, SMALL_LETTER = 7.3, 6.4
"""Width of a letter of the labels, and of what stands below them."""
MOST_LETTERS = 30
FEWEST_LETTERS = 8
HIGH, ROW = 40, 54
BETWEEN = 56
MARGIN = 10
_WORST_FIRST = (
    StepStatus.FAILED,
    StepStatus.LOST,
    StepStatus.CANCELED,
    StepStatus.RETRYING,
    StepStatus.RUNNING,
    StepStatus.WAITING,
    StepStatus.SUCCEEDED,
    StepStatus.NOT_RUN,
    StepStatus.SKIPPED,
)


def draw(plan: PlanSnapshot | None, story: RunStory) -> Sequence[Markup | None]:
    """The drawing, and what of a large plan was left out."""
    if plan is None or not plan.steps:
        return [element("p", "The run has no plan: it ended before its code was loaded.")]
    of_plan = _by_plan(story)
    shown = _chosen(plan.steps, of_plan)
    keys = {step.key for step in shown}
    layout = lay_out([step.key for step in shown], [e for step in shown for e in _edges(step) if e[0] in keys])
    left_out = len(plan.steps) - len(shown)
    return [
        element(
            "div", _svg(shown, layout, of_plan, story), class_="scroll", tabindex="0", role="region", aria_label="Graph"
        ),
        more(left_out, "steps of the plan are not drawn; those that failed and what stands next to them come first"),
    ]


def _by_plan(story: RunStory) -> dict[str, list[StepStory]]:
    """The steps by their plan's key: mapped ones together under their template."""
    found: dict[str, list[StepStory]] = {}
    for step in story.steps.values():
        found.setdefault(template_key(step.key), []).append(step)
    return found


def _edges(step: StepPlan) -> list[Edge]:
    sources = [ref.step for i in step.inputs for ref in i.sources]
    return [(source, step.key) for source in [*sources, *([step.mapped_over.step] if step.mapped_over else [])]]


def _chosen(steps: Sequence[StepPlan], of_plan: dict[str, list[StepStory]]) -> list[StepPlan]:
    """All steps, or of many those that went wrong, their neighbours, theirs, and so on; then the first of the others."""
    if len(steps) <= MOST_NODES:
        return list(steps)
    beside: dict[str, list[str]] = {step.key: [] for step in steps}
    for a, b in (e for step in steps for e in _edges(step) if e[0] in beside):
        beside[a].append(b)
        beside[b].append(a)
    bad = [s.key for s in steps if any(kind_of(t.status) in ("bad", "warn") for t in of_plan.get(s.key, ()))]
    keys = dict.fromkeys(bad or [steps[0].key])
    queue = list(keys)
    for key in queue:  # grows while it is walked
        for other in beside[key]:
            if other not in keys:
                keys[other] = None
                queue.append(other)
    wanted = set(list(dict.fromkeys([*keys, *beside]))[:MOST_NODES])
    return [step for step in steps if step.key in wanted]


def _svg(steps: Sequence[StepPlan], layout: Layout, of_plan: dict[str, list[StepStory]], story: RunStory) -> Markup:
    below = {step.key: _below(step, of_plan.get(step.key, []), story) for step in steps}
    widths = [0.0] * layout.layers
    for step in steps:
        layer = layout.places[step.key][0]
        widths[layer] = max(widths[layer], _width(step.key, below[step.key]))
    lefts = [MARGIN + sum(widths[:n]) + BETWEEN * n for n in range(layout.layers)]
    right = lefts[-1] + widths[-1] + MARGIN
    height = layout.rows * ROW + 2 * MARGIN
    edges = [_edge(route, lefts, widths) for route in layout.routes.values()]
    nodes = [_node(s, layout.places[s.key], lefts, widths, of_plan.get(s.key, []), below[s.key]) for s in steps]
    return element(
        "svg",
        element("title", f"{len(steps)} steps, from left to right in the order of their data"),
        edges,
        nodes,
        viewbox=f"0 0 {right:.0f} {height:.0f}",
        width=f"{right:.0f}",
        height=f"{height:.0f}",
        role="img",
        class_="graph",
    )


def _width(key: str, below: str) -> float:
    return 38 + max(LETTER * max(FEWEST_LETTERS, min(len(key), MOST_LETTERS)), SMALL_LETTER * len(below))


def _middle(row: float) -> float:
    return MARGIN + row * ROW + HIGH / 2


def _edge(route: Sequence[Place], lefts: Sequence[float], widths: Sequence[float]) -> Markup:
    """A line from the right side of the first node to the left side of the last, through the gaps between what it passes."""
    (layer, row), *rest = route
    x, y = lefts[layer] + widths[layer], _middle(row)
    path = [f"M{x:.0f},{y:.1f}"]
    for at, (layer, row) in enumerate(rest, 1):
        left, middle = lefts[layer], _middle(row)
        half = (left - x) / 2
        path.append(f"C{x + half:.0f},{y:.1f} {left - half:.0f},{middle:.1f} {left:.0f},{middle:.1f}")
        x, y = left, middle
        if at < len(rest):
            x = lefts[layer] + widths[layer]
            path.append(f"H{x:.0f}")
    return element("path", d=" ".join(path), class_="edge")


def _node(
    plan: StepPlan,
    place: Place,
    lefts: Sequence[float],
    widths: Sequence[float],
    steps: Sequence[StepStory],
    below: str,
) -> Markup:
    left, top, wide = lefts[place[0]], MARGIN + place[1] * ROW, widths[place[0]]
    status = min((s.status for s in steps), key=_WORST_FIRST.index, default=StepStatus.NOT_RUN)
    label = plan.key if len(plan.key) <= MOST_LETTERS else plan.key[: MOST_LETTERS - 1] + "…"
    x = f"{left + 30:.0f}"
    return element(
        "g",
        element("title", f"{plan.key}: {below}"),
        element("rect", x=f"{left:.0f}", y=f"{top:.1f}", width=f"{wide:.0f}", height=HIGH, rx=6, class_="box"),
        element("rect", x=f"{left:.0f}", y=f"{top:.1f}", width=22, height=HIGH, rx=6, class_="flag"),
        element("text", sign_of(status), x=f"{left + 11:.0f}", y=f"{top + 25:.1f}", class_="sign"),
        element("text", label, x=x, y=f"{top + 17:.1f}", class_="label"),
        element("text", below, x=x, y=f"{top + 32:.1f}", class_="below"),
        class_=f"node {kind_of(status)}",
    )


def _below(plan: StepPlan, steps: Sequence[StepStory], story: RunStory) -> str:
    if plan.mapped_over is not None:
        counted = Counter(s.status for s in steps)
        return ", ".join(f"{counted[s]} {s}" for s in _WORST_FIRST if counted[s]) or "no mapped step"
    if not steps:
        return str(StepStatus.NOT_RUN)
    step = steps[0]
    worked = sum(s.seconds for s in story.spans(step) if s.works)
    attempts = f", attempt {step.attempts[-1].n}" if len(step.attempts) > 1 else ""
    return f"{step.status}{f' {seconds(worked)}' if worked else ''}{attempts}"
