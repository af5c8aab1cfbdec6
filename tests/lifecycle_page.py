"""Prints the diagrams and tables of ``docs/learn/lifecycle.md`` from the tables of arcs: ``python tests/lifecycle_page.py`` puts them
into the page, a test compares them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from runplane.engine.arcs import ATTEMPT_ARCS, FINAL_STEP_STATES, RUN_ARCS, STEP_ARCS, AttemptState, StepState
from runplane.events.kinds import EventKind
from runplane.events.status import FINAL, RunStatus

PAGE = Path(__file__).resolve().parents[1] / "docs" / "learn" / "lifecycle.md"
_PART = re.compile(r"(<!-- printed: (?P<name>[a-z ]+) -->\n).*?(<!-- end of what is printed -->)", re.DOTALL)


def printed() -> dict[str, str]:
    """Every part by its name."""
    return {
        "run diagram": run_diagram(),
        "run table": run_table(),
        "step diagram": step_diagram(),
        "step table": step_table(),
        "attempt table": attempt_table(),
    }


def parts_of(page: str) -> dict[str, str]:
    """What stands in the page, by name."""
    return {m["name"]: m[0].removeprefix(m[1]).removesuffix(m[3]) for m in _PART.finditer(page)}


def with_parts(page: str) -> str:
    """The page with every part printed anew."""
    parts = printed()
    return _PART.sub(lambda m: m[1] + parts[m["name"]] + m[3], page)


def run_diagram() -> str:
    arcs: dict[tuple[str, str], list[str]] = {}
    for arc in RUN_ARCS.values():
        for source in arc.sources:
            target = source if arc.kind is EventKind.RUN_RESUMED else arc.target
            arcs.setdefault((source.value, target.value), []).append(arc.kind.value)
    return _diagram(RunStatus.NOT_STARTED.value, arcs, [s.value for s in RunStatus if s in FINAL])


def step_diagram() -> str:
    arcs: dict[tuple[str, str], list[str]] = {}
    for arc in STEP_ARCS:
        arcs.setdefault((arc.source.value, arc.target.value), []).append(arc.stimulus.name.lower().replace("_", " "))
    return _diagram(StepState.WAITING.value, arcs, [s.value for s in StepState if s in FINAL_STEP_STATES])


def _diagram(first: str, arcs: dict[tuple[str, str], list[str]], final: Iterable[str]) -> str:
    lines = [f"    [*] --> {first}"]
    lines += [f"    {source} --> {target}: {' · '.join(labels)}" for (source, target), labels in arcs.items()]
    lines += [f"    {state} --> [*]" for state in final]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```", ""])


def run_table() -> str:
    rows = []
    for arc in RUN_ARCS.values():
        target = "stays as it is" if arc.kind is EventKind.RUN_RESUMED else arc.target.value
        rows.append([f"`{arc.kind}`", ", ".join(s.value for s in arc.sources), target])
    return _table(["event", "from", "to"], rows)


def step_table() -> str:
    rows: dict[tuple[str, str], list[str]] = {}
    for arc in STEP_ARCS:
        rows.setdefault((arc.stimulus.value, arc.target.value), []).append(arc.source.value)
    return _table(["what happens", "from", "to"], [[what, ", ".join(found), to] for (what, to), found in rows.items()])


def attempt_table() -> str:
    rows = []
    for arc in ATTEMPT_ARCS.values():
        absent = "no row for this attempt"
        if arc.target is AttemptState.SKIPPED:
            absent = "the step has no attempt"
        elif arc.target is AttemptState.ABANDONED:
            absent = "no attempt of the step is open or has ended it"
        rows.append([f"`{arc.kind}`", ", ".join(s.value for s in arc.sources) or absent, arc.target.value])
    return _table(["event", "from", "to"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(["", *("| " + " | ".join(line) + " |" for line in lines), "", ""])


if __name__ == "__main__":
    PAGE.write_text(with_parts(PAGE.read_text()))
