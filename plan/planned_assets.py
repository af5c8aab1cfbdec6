"""The events that say, when a run is created, which assets it is to make and which checks it is to evaluate."""

from __future__ import annotations

import time

from ..engine.snapshot import PlanSnapshot
from ..events.asset_key import AssetCheckKey
from ..events.event import NewEvent
from ..events.kinds import EventKind


def planned_events(plan: PlanSnapshot) -> list[NewEvent]:
    """One event for each asset, sorted by key, then one for each check; each of the step that will do it."""
    assets = sorted((key, step.key) for step in plan.steps for key in step.asset_keys)
    checks = sorted((key, step.key) for step in plan.steps for key in step.check_keys)
    at = time.time()
    found = [
        NewEvent(EventKind.ASSET_MATERIALIZATION_PLANNED.value, step, None, {"asset_key": key}, at)
        for key, step in assets
    ]
    for text, step in checks:
        key = AssetCheckKey.from_user_string(text)
        body = {"asset_key": key.asset_key.to_escaped_user_string(), "check_name": key.name}
        found.append(NewEvent(EventKind.ASSET_CHECK_EVALUATION_PLANNED.value, step, None, body, at))
    return found
