"""What can be said of an instance before a run is lost by it: its database, its daemons, and limits that let nothing start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..errors import RunplaneError
from ..launchers.contract import Resumes
from ..storage.daemons import Daemons
from ..storage.pools import Pools
from .instance import Instance

SILENT_S = 60.0
"""A daemon that was not heard of for so long is taken for gone."""
MOST_NAMED = 10


class Grade(str, Enum):
    """How it stands with one thing."""

    OK = "ok"
    WARNING = "warning"
    """It works, and costs something that a person should know."""
    FAILURE = "failure"
    """It does not work."""
    UNKNOWN = "unknown"
    """It could not be found out from here."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: its name.
        words: what was found.
        advice: what to do; empty: nothing.
    """

    check: str
    grade: Grade
    words: str
    advice: str = ""

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {"check": self.check, "grade": self.grade.value, "words": self.words, "advice": self.advice}


Check = Callable[[Instance], Iterator[Finding]]


def guarded(name: str, check: Check) -> Check:
    """A check that becomes a failure by name when it can not be made."""

    def made(instance: Instance) -> Iterator[Finding]:
        try:
            yield from check(instance)
        except RunplaneError as error:
            yield Finding(name, Grade.FAILURE, str(error))

    return made


def database(instance: Instance) -> Iterator[Finding]:
    """Whether it answers, with a schema that this version serves."""
    yield Finding("database", Grade.OK, f"{instance.database.where} answers; instance {instance.instance_id}")


def launcher(instance: Instance) -> Iterator[Finding]:
    """Whether it can be built, and what the loss of a worker costs."""
    name = type(instance.launcher).__name__
    yield Finding("launcher", Grade.OK, name)
    monitoring = instance.settings.run_monitoring
    if not monitoring.enabled:
        words = "run_monitoring is off: nobody starts another worker for a run whose worker was lost"
        yield Finding("resume", Grade.WARNING, words, "Set run_monitoring.enabled, and run a daemon.")
    elif instance.resumes_allowed == 0:
        words = (
            "max_resume_run_attempts is 0: a run whose worker is lost (a drain, an eviction, a full node) fails as a whole, and what its "
            "steps did since their last stored outcome is done again by a retry"
        )
        yield Finding("resume", Grade.WARNING, words, "Leave it out (3), or set run_retries.")
    elif not isinstance(instance.launcher, Resumes):
        yield Finding("resume", Grade.WARNING, f"{name} can not start a further worker for a run")
    else:
        yield Finding("resume", Grade.OK, f"a lost worker is replaced {instance.resumes_allowed} times")


def daemons(instance: Instance) -> Iterator[Finding]:
    """Whether one lives, where one is needed."""
    alive = [row for row in Daemons(instance.database).all() if row.age_s < SILENT_S]
    needed = [
        what
        for what, is_so in (
            ("the queue", instance.has_queue),
            ("run_monitoring", instance.settings.run_monitoring.enabled),
            ("run_retries", instance.settings.run_retries.enabled),
        )
        if is_so
    ]
    if alive:
        yield Finding("daemon", Grade.OK, f"{len(alive)} alive")
    elif needed:
        yield Finding(
            "daemon",
            Grade.FAILURE,
            f"none is alive, and {', '.join(needed)} needs one",
            "Start one: runplane daemon run",
        )


def limits(instance: Instance) -> Iterator[Finding]:
    """Limits by which something waits for ever."""
    stuck = list(_stuck(instance))
    for words, advice in stuck:
        yield Finding("limits", Grade.FAILURE, words, advice)
    if not stuck:
        yield Finding("limits", Grade.OK, "no limit keeps everything waiting")


def _stuck(instance: Instance) -> Iterator[tuple[str, str]]:
    if instance.has_queue:
        limits = instance.queue_limits
        if limits.max_concurrent_runs == 0:
            yield "max_concurrent_runs is 0: no run is ever started", "Set a limit above 0, or -1 for none."
        for tag in limits.tags:
            if tag.limit == 0:
                yield f"the limit of runs with the tag {tag.key} is 0: they are never started", "Raise it."
    default = instance.settings.pools.default_limit
    if default == 0:
        yield (
            "concurrency.pools.default_limit is 0: a step that needs a pool without a limit of its own never starts",
            "Raise it.",
        )
    empty = [pool.name for pool in Pools(instance.database).usage() if pool.slots == 0 and not pool.is_default]
    if empty:
        named = ", ".join(empty[:MOST_NAMED])
        yield (
            f"pools with no slot: {named}: steps that need one never start",
            "runplane instance concurrency set NAME 1",
        )


CHECKS: Mapping[str, Check] = {"database": database, "launcher": launcher, "daemon": daemons, "limits": limits}
