"""A run as it is shown: its plan, and of its events those that tell its story."""

from __future__ import annotations

from ..engine.snapshot import PlanSnapshot
from ..events.run import Run
from ..instance.instance import Instance
from ..storage.excerpt import Excerpt
from .story import STORY_KINDS, RunStory, story_of


def plan_of(instance: Instance, run: Run) -> PlanSnapshot | None:
    """Its plan, or None when it never had one."""
    return instance.journal.get_plan(run.plan_id) if run.plan_id else None


def read_story(instance: Instance, run: Run) -> RunStory:
    """The story so far. Log lines and other annotations are not read."""
    events = Excerpt(instance.database).of_kinds(run.run_id, STORY_KINDS)
    return story_of(plan_of(instance, run), events)
