"""Where the outputs of a run go that no IO manager was chosen for: decided once, when its first worker begins, and kept as a tag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..engine.snapshot import DATABASE, FILES, OUTPUTS_TAG
from ..errors import ConfigErrors, Problem
from ..events.run import Run
from ..instance.instance import Instance


def placed(instance: Instance, run: Run, shares: Callable[[], bool | None]) -> Run:
    """The run, with the tag if its pods share no folder. A tag that is there (a person's, an earlier worker's) stands.

    Args:
        instance, run: which.
        shares: whether the pods that write outputs share the storage folder; None: no pods do.

    Raises:
        ConfigErrors: the tag says something else.
    """
    given = run.tags.get(OUTPUTS_TAG)
    if given is not None:
        if given not in (DATABASE, FILES):
            problem = Problem(OUTPUTS_TAG, "no place for outputs", got=repr(given), expected=f"{DATABASE} or {FILES}")
            raise ConfigErrors([problem], where=f"tags of run {run.run_id}")
        return run
    if shares() is not False:
        return run
    instance.runs.put_tags(run.run_id, {OUTPUTS_TAG: DATABASE})
    return replace(run, tags={**run.tags, OUTPUTS_TAG: DATABASE})
