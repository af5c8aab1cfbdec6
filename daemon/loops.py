"""Which loops there are, and which of them an instance's settings ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..errors import NotFoundError, nearest
from ..instance.instance import Instance
from .contract import DaemonLoop
from .launch_loop import THREADS, LaunchLoop
from .leftovers_loop import leftovers_loop_of
from .monitor_loop import monitor_loop_of
from .queue_loop import queue_loop_of
from .reaper_loop import reaper_loop_of
from .retry_loop import retry_loop_of
from .trace_loop import trace_loop_of


def _queue(instance: Instance, ttl_s: float) -> DaemonLoop | None:
    return queue_loop_of(instance, ttl_s=ttl_s) if instance.has_queue else None


def _launch(instance: Instance, ttl_s: float) -> DaemonLoop | None:
    if not instance.has_queue:
        return None
    return LaunchLoop(threads=instance.settings.run_queue.dequeue_num_workers or THREADS, trust_s=ttl_s / 2)


def _monitor(instance: Instance, ttl_s: float) -> DaemonLoop | None:
    return monitor_loop_of(instance)


def _retries(instance: Instance, ttl_s: float) -> DaemonLoop | None:
    return retry_loop_of(instance)


def _reaper(instance: Instance, ttl_s: float) -> DaemonLoop | None:
    return reaper_loop_of(instance)


def _leftovers(instance: Instance, ttl_s: float) -> DaemonLoop | None:
    return leftovers_loop_of(instance)


def _traces(instance: Instance, ttl_s: float) -> DaemonLoop | None:
    return trace_loop_of(instance)


_LOOPS: Mapping[str, Callable[[Instance, float], DaemonLoop | None]] = {
    "queue": _queue,
    "launch": _launch,
    "monitor": _monitor,
    "retries": _retries,
    "traces": _traces,
    "leftovers": _leftovers,
    "reaper": _reaper,
}
LOOP_NAMES = tuple(_LOOPS)
BESIDE_OTHERS = "reaper"
"""Every daemon has it, and a daemon that was not told to runs for no more than this."""


def loops_of(instance: Instance, *, ttl_s: float, only: Sequence[str] = ()) -> list[DaemonLoop]:
    """The loops that the instance's settings ask for.

    Args:
        only: of these names; empty: all.

    Raises:
        NotFoundError: there is no loop of that name, or the settings do not ask for it.
    """
    for name in only:
        if name not in _LOOPS:
            raise NotFoundError(
                f"there is no loop {name!r}", nearest=nearest(name, LOOP_NAMES), expected=", ".join(_LOOPS)
            )
    made = {name: make(instance, ttl_s) for name, make in _LOOPS.items() if not only or name in only}
    off = [name for name, loop in made.items() if loop is None]
    if only and off:
        raise NotFoundError(f"the instance's settings do not ask for the loop {off[0]!r}", where=instance.config.where)
    loops = [loop for loop in made.values() if loop is not None]
    return loops if only or [loop.name for loop in loops] != [BESIDE_OTHERS] else []
