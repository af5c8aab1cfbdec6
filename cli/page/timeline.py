"""The run's steps over time: waiting light, working dark, on one axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..report import seconds
from ..story import RunStory, Span, StepStory
from .content import MOST_ROWS
from .markup import Markup, element
from .words import badge, kind_of, more

SCALE = 1000.0
"""Width of the drawing in its own units."""
TICKS = 6
_STEPS = (1.0, 2.0, 5.0, 10.0)
Row = tuple[StepStory, list[Span]]


def timeline(story: RunStory, now: float) -> Sequence[Markup | None]:
    """A table with a bar for each step that was begun; of many steps those that failed and those that worked longest."""
    rows = [(step, story.spans(step, now)) for step in story.steps.values() if step.attempts]
    if not rows:
        return [element("p", "No step was begun.")]
    shown = _chosen(rows)
    start = story.started_at if story.started_at is not None else min(spans[0].start for _, spans in rows)
    end = max(story.ended_at or 0.0, *(spans[-1].end for _, spans in rows))
    length = max(end - start, 1e-3)
    head = [
        element("th", "step", scope="col"),
        element("th", "status", scope="col"),
        element("th", "waited", scope="col", class_="number"),
        element("th", "worked", scope="col", class_="number"),
        element("th", _axis(length), scope="col", class_="bars"),
    ]
    body = [_row(step, spans, start, length) for step, spans in shown]
    return [
        _legend(),
        element(
            "div",
            element("table", element("thead", element("tr", head)), element("tbody", body), class_="timeline"),
            class_="scroll",
            tabindex="0",
            role="region",
            aria_label="Timeline",
        ),
        more(len(rows) - len(shown), "steps that worked less"),
    ]


def _chosen(rows: list[Row]) -> list[Row]:
    if len(rows) > MOST_ROWS:
        bad = [row for row in rows if kind_of(row[0].status) in ("bad", "warn", "live")]
        rest = [row for row in rows if kind_of(row[0].status) not in ("bad", "warn", "live")]
        rest.sort(key=lambda row: -_sum(row[1], works=True))
        rows = [*bad, *rest][:MOST_ROWS]
    return sorted(rows, key=lambda row: row[1][0].start)


def _row(step: StepStory, spans: list[Span], start: float, length: float) -> Markup:
    waited, worked = _sum(spans, works=False), _sum(spans, works=True)
    bars = list(_bars(spans, start, length))
    drawing = element(
        "svg",
        element("title", f"{step.key}: waited {seconds(waited)}, worked {seconds(worked)}"),
        bars,
        viewbox=f"0 0 {SCALE:.0f} 16",
        preserveaspectratio="none",
        role="img",
        class_="bar",
    )
    return element(
        "tr",
        element("th", step.key, scope="row", class_="key"),
        element("td", badge(step.status)),
        element("td", seconds(waited), class_="number"),
        element("td", seconds(worked), class_="number"),
        element("td", drawing, class_="bars"),
        class_=kind_of(step.status),
    )


def _bars(spans: list[Span], start: float, length: float) -> Iterator[Markup]:
    for span in spans:
        left = (span.start - start) / length * SCALE
        wide = span.seconds / length * SCALE
        if not span.works and wide < 0.5:
            continue
        name = "worked" if span.works else "waited"
        title = element("title", f"{name} {seconds(span.seconds)}")
        # What was short is seen all the same.
        yield element(
            "rect",
            title,
            x=f"{min(max(left, 0.0), SCALE - 2):.2f}",
            y=1 if span.works else 5,
            width=f"{max(wide, 2.0):.2f}",
            height=14 if span.works else 6,
            class_=name,
        )


def _axis(length: float) -> list[Markup]:
    step = _round_step(length / TICKS)
    marks: list[Markup] = []
    at = 0.0
    while at <= length:
        style = f"left:{at / length * 100:.2f}%"
        marks.append(
            element("span", seconds(at) if at else "0", style=style, class_="late" if at > 0.92 * length else None)
        )
        at += step
    return [element("div", marks, class_="axis")]


def _round_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, or of sixty seconds for what takes minutes."""
    unit = 1.0
    if rough >= 60:
        unit, rough = 60.0, rough / 60
    power = 1.0
    while power > rough:
        power /= 10
    while power * 10 <= rough:
        power *= 10
    return unit * power * next(s for s in _STEPS if s * power >= rough)


def _legend() -> Markup:
    parts = [
        element("span", class_="swatch waited"),
        " waiting: for a place, a slot of a pool, the delay of a retry  ",
        element("span", class_="swatch worked"),
        " working",
    ]
    return element("p", parts, class_="legend")


def _sum(spans: list[Span], *, works: bool) -> float:
    return sum(s.seconds for s in spans if s.works is works)
