"""What a loop of the daemon is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ..instance.instance import Instance
from ..storage.contract import Owner
from ..storage.leases import Lease


@dataclass(frozen=True, slots=True)
class LoopContext:
    """What a loop is given for one pass.

    Attributes:
        instance: the instance, with a connection that is this loop's own.
        me: this process.
        lease: the right to do what only one daemon may do at a time; None for a loop that needs none. Whatever is stored in its name
            checks it.
        stopping: whether the daemon is to end; a long pass asks now and then.
        wake: have this loop called again soon; from any thread.
    """

    instance: Instance
    me: Owner
    lease: Lease | None
    stopping: Callable[[], bool]
    wake: Callable[[], None]

    @property
    def held(self) -> Lease:
        """The lease of a loop that has one."""
        assert self.lease is not None, "a loop that is not leased asked for its lease"
        return self.lease


@dataclass(frozen=True, slots=True)
class LoopReport:
    """What a pass did.

    Attributes:
        done: how many runs it did something for.
        problems: what went wrong with single runs, a sentence each. The loop goes on.
        again: there is more to do at once.
        latencies_s: of each run that it did something for, how long that took altogether: from the queue's entry to its exit, or from
            there to a worker. By the database's clock. Left out where it makes no sense.
    """

    done: int = 0
    problems: tuple[str, ...] = field(default=())
    again: bool = False
    latencies_s: tuple[float, ...] = ()


class PassWatch(Protocol):
    """Told of each pass that ended well."""

    def passed(self, loop: str, took_s: float, report: LoopReport) -> None:
        """A pass of this loop took so long. Called from the loop's thread."""


class DaemonLoop(Protocol):
    """Something that is done again and again. ``run_once`` may raise: the others go on, and it is called again.

    Attributes:
        name: of the loop and of its lease.
        interval_s: it is called so often when nothing is heard of.
        budget_s: how long one pass may take; a longer one is said to hang, and its lease is given up to other daemons.
        is_leased: only one daemon at a time may do this.
        wakes: whether it is called as soon as a run's status changes, too.
    """

    name: str
    interval_s: float
    budget_s: float
    is_leased: bool
    wakes: bool

    def run_once(self, context: LoopContext) -> LoopReport:
        """One pass."""

    def close(self) -> None:
        """Called once when the daemon ends, after the last pass."""
