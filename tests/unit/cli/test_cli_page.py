"""A run as one page: what is on it, how much of it, and that it needs nothing else."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import pytest

from runplane.cli.page import content as limits
from runplane.cli.page.content import Content, LogText, MetadataRow, Relative
from runplane.cli.page.document import render
from runplane.cli.story import RunStory
from runplane.engine.snapshot import InputPlan, OutputRef, PlanSnapshot, StepPlan
from runplane.events.event import Event
from runplane.events.run import Run
from runplane.events.status import RunStatus

EVIL = '</style></script><script>alert(1)</script>"onload="x'
VOID = {"meta", "br", "hr", "input", "link", "col", "img"}


class Parsed(HTMLParser):
    """The elements of a page; a tag that is not closed in its place is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.elements if t == tag and attributes.items() <= a.items()]


def told(plan: PlanSnapshot, *events: tuple[Any, ...]) -> tuple[RunStory, list[Event]]:
    """Events as (time, kind, step, attempt, body)."""
    story = RunStory(plan)
    stored = [
        Event("r", seq, kind, step, n, body, 1000.0 + at, 1000.0 + at)
        for seq, (at, kind, step, n, body) in enumerate(events, 1)
    ]
    for event in stored:
        story.take(event)
    return story, stored


def attempt(step: str, begun: float, ended: float, outcome: str, **body: Any) -> list[tuple[Any, ...]]:
    return [
        (begun, "STEP_ISSUED", step, 1, {}),
        (begun, "STEP_WORKER_STARTED", step, 1, {}),
        (ended, outcome, step, 1, body),
    ]


def content(plan: PlanSnapshot, *events: tuple[Any, ...], run: Run | None = None, **more: Any) -> Content:
    story, stored = told(plan, *events)
    given: dict[str, Any] = {
        "events": stored,
        "events_left_out": 0,
        "logs": [],
        "logs_left_out": 0,
        "metadata": [],
        "metadata_left_out": 0,
        "relatives": [],
        "relatives_left_out": 0,
        "now": 2000.0,
        "place": "sqlite:/home/runplane.db",
        **more,
    }
    return Content(run=run or Run(run_id="r" * 36, job_name="job"), story=story, plan=plan, **given)


A = StepPlan("a", "a", "a")
B = StepPlan("b", "b", "b", inputs=(InputPlan("x", (OutputRef("a", "result"),)),))
PLAN = PlanSnapshot("job", (A, B))
FAILED = [
    (0, "RUN_START", None, None, {}),
    *attempt("a", 1, 3, "STEP_SUCCESS"),
    *attempt(
        "b",
        4,
        5,
        "STEP_FAILURE",
        cause="OUT_OF_MEMORY",
        evidence="limit of 512 MiB",
        error={"message": "MemoryError: too much\n", "stack": []},
    ),
    (6, "RUN_FAILURE", None, None, {"message": "Steps failed."}),
]


def test_the_cause_of_a_failure_is_on_top_with_its_evidence_and_what_to_do() -> None:
    page = Parsed(render(content(PLAN, *FAILED)))

    assert "Step b: it ran out of memory (limit of 512 MiB)" in page.text
    assert "Cause: OUT_OF_MEMORY . Give it more memory" in page.text.replace("OUT_OF_MEMORY.", "OUT_OF_MEMORY .")
    assert "MemoryError: too much" in page.text
    sections = [a["id"] for a in page.all("section")]
    assert sections == ["failures", "graph", "timeline", "events"]


def test_a_failure_says_what_its_code_said_beside_it() -> None:
    said = {"rows": 3, "where": {"__class__": "PathMetadataEntryData", "path": "/tmp/bad.csv"}, "first": {"a": 1}}
    failure = {"label": "intentional-failure", "description": "bad rows", "metadata": said}
    page = Parsed(render(content(PLAN, *attempt("a", 1, 3, "STEP_FAILURE", cause="USER_CODE", user_failure=failure))))

    for words in ("Step a: bad rows", "rows3", "where/tmp/bad.csv", 'first{ "a": 1 }'):
        assert words in " ".join(page.text.split()), words


def test_a_failure_shows_what_its_pod_printed_last() -> None:
    lines = f"It printed last:\none\n{EVIL}"
    events = [*attempt("a", 1, 2, "STEP_FAILURE", cause="USER_CODE"), (3, "ENGINE_EVENT", "a", 1, {"evidence": lines})]

    page = Parsed(render(content(PlanSnapshot("j", (StepPlan("a", "a", "a"),)), *events)))

    assert f"Printed last It printed last: one {EVIL}" in page.text.replace("lastIt", "last It")


def test_steps_are_drawn_and_timed() -> None:
    page = Parsed(render(content(PLAN, *FAILED)))

    nodes = [a["class"] for a in page.all("g")]
    assert nodes == ["node good", "node bad"]
    assert len(page.all("path", **{"class": "edge"})) == 1
    bars = Counter(a["class"] for a in page.all("rect") if a.get("class") in ("waited", "worked"))
    assert bars == {"waited": 2, "worked": 2}
    assert "1 succeeded" in page.text
    assert "1 failed" in page.text


def test_pods_are_told_with_node_and_phases() -> None:
    pod = {"pod": "step-a-abcde", "node": "node-7", "created_at": 1000.5, "scheduled_at": 1000.6, "started_at": 1000.7}

    page = Parsed(render(content(PLAN, *FAILED, (3, "ENGINE_EVENT", "a", 1, {"pod": pod, "message": "it runs"}))))

    for words in ("step-a-abcde", "node-7", "scheduling", "pulling", "user code"):
        assert words in page.text


def test_it_needs_nothing_else() -> None:
    text = render(content(PLAN, *FAILED, metadata=[MetadataRow("a", "result", "docs", "https://example.org/x")]))
    page = Parsed(text)

    loads = [a for _, a in page.elements if {"src", "srcset", "data", "action", "background", "poster"} & a.keys()]
    assert loads == []
    assert page.all("link") == []
    assert "url(" not in text
    assert "@import" not in text
    assert [a["href"] for a in page.all("a") if not (a["href"] or "").startswith("#")] == ["https://example.org/x"]
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"] or ""
    assert policy.startswith("default-src 'none'; ")
    assert "script-src 'sha256-" in policy


def test_what_users_wrote_is_text() -> None:
    step = StepPlan(EVIL, EVIL, EVIL)
    run = Run(run_id=EVIL, job_name=EVIL, tags={EVIL: EVIL}, run_config={EVIL: EVIL}, op_selection=(EVIL,))
    events = [
        (0, "RUN_START", None, None, {}),
        *attempt(EVIL, 0, 1, "STEP_FAILURE", cause="USER_CODE", error={"message": EVIL, "stack": [EVIL]}),
        (2, "LOG", EVIL, 1, {"message": EVIL}),
        (3, "RUN_FAILURE", None, None, {"message": EVIL}),
    ]
    text = render(
        content(
            PlanSnapshot(EVIL, (step,)),
            *events,
            run=run,
            logs=[LogText(EVIL, EVIL, 0)],
            metadata=[MetadataRow(EVIL, EVIL, EVIL, EVIL), MetadataRow("s", "o", "l", {EVIL: EVIL})],
            relatives=[Relative(run, EVIL)],
            place=EVIL,
        )
    )
    page = Parsed(text)

    assert len(page.all("script")) == 1
    assert not any(name.startswith("on") for _, a in page.elements for name in a)
    assert page.text.count("<script>alert(1)</script>") > 10


def test_an_address_is_a_link_only_where_it_leads_to_the_web() -> None:
    rows = [MetadataRow("a", "o", "l", value) for value in ("https://x.example", "javascript:alert(1)", "file:///etc")]
    rows.append(MetadataRow("a", "o", "l", {"__class__": "UrlMetadataEntryData", "url": "https://y.example"}))

    page = Parsed(render(content(PLAN, *FAILED, metadata=rows)))

    outside = [a["href"] for a in page.all("a") if not (a["href"] or "").startswith("#")]
    assert outside == ["https://x.example", "https://y.example"]


def test_ids_are_unique_and_parts_have_names() -> None:
    page = Parsed(render(content(PLAN, *FAILED)))

    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert page.all("html")[0]["lang"] == "en"
    assert all((a["href"] or "").lstrip("#") in ids for a in page.all("a"))
    assert all(a.get("aria-labelledby") in ids for a in page.all("section"))
    assert all(a.get("aria-label") for a in page.all("div", role="region"))
    assert all(a.get("scope") for a in page.all("th"))


@pytest.mark.parametrize("steps", [1000])
def test_a_large_run_is_told_in_part_and_that_is_said(steps: int) -> None:
    plans = tuple(StepPlan(f"s{i:04}", f"s{i:04}", "s") for i in range(steps))
    events = [(0, "RUN_START", None, None, {})]
    for i, plan in enumerate(plans):
        body = {"cause": "USER_CODE", "error": {"message": "x" * 30_000}}
        bad = i >= steps - 30
        events += attempt(plan.key, i, i + 1, "STEP_FAILURE" if bad else "STEP_SUCCESS", **(body if bad else {}))
    made = content(
        PlanSnapshot("job", plans),
        *events,
        logs=[LogText("s0000: stdout", "end", 12_345)],
        logs_left_out=7,
        metadata=[MetadataRow("a", "o", "l", "y" * 3000)],
        metadata_left_out=8,
    )
    object.__setattr__(made, "events", made.events[-limits.MOST_EVENTS :])
    object.__setattr__(made, "events_left_out", 2001)

    text = render(made)
    page = Parsed(text)

    assert len(text) < 2_000_000
    assert len(page.all("g")) == limits.MOST_NODES
    assert sum(a["class"] == "node bad" for a in page.all("g")) == 30, "what failed is drawn"
    for said in (
        f"{steps - limits.MOST_NODES} more steps of the plan are not drawn",
        "… and 10 more failed steps",
        f"… and {steps - limits.MOST_ROWS} more steps that worked less",
        "… and 2,001 more events before these",
        "… 12,345 bytes before this",
        "… and 7 more logs",
        "… and 8 more entries",
        "... and 10000 more characters",
        "... and 1000 more characters",
    ):
        assert said in page.text, said


def test_a_run_that_never_had_a_plan() -> None:
    story = RunStory(None)
    made = content(PLAN)
    object.__setattr__(made, "plan", None)
    object.__setattr__(made, "story", story)
    run = Run(run_id="r", job_name="job", status=RunStatus.FAILURE, tags={"dagster/failure_reason": "START_TIMEOUT"})
    object.__setattr__(made, "run", run)

    page = Parsed(render(made))

    assert "The run has no plan" in page.text
    assert "Cause: START_TIMEOUT" in page.text
    assert "No step was begun." in page.text


# Contrast -------------------------------------------------------------------------------------------------------------------


def colours(dark: bool) -> dict[str, str]:
    style = resources.files("runplane.cli.page").joinpath("style.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", blocks[1 if dark else 0]))


def luminance(colour: str) -> float:
    """Source: https://www.w3.org/TR/WCAG21/#dfn-relative-luminance"""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("behind", ["bg", "panel"])
@pytest.mark.parametrize("name", ["text", "muted", "good", "bad", "warn", "off", "live", "link"])
def test_text_can_be_read(dark: bool, behind: str, name: str) -> None:
    found = colours(dark)

    assert contrast(found[name], found[behind]) >= 4.5


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_bars_and_lines_can_be_seen(dark: bool) -> None:
    found = colours(dark)

    assert contrast(found["edge"], found["panel"]) >= 3, "the outline of what waits, the lines of the graph"
    assert contrast(found["good"], found["wait"]) >= 3, "working beside waiting"
