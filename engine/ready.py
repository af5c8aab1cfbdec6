"""Which ready step starts next: the highest priority first, then in plan order, as far as limits and pools have room.

Steps that count in the same limits and need the same pools are alike, and wait in one group. A group that something full blocks
waits at that place; when room comes back there, one group is woken, and the next when that one has been dealt with. So what a
turn costs does not grow with the number of steps that wait.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

from .limits import Bucket, Limits, Occupancy
from .step import Step

Pools = tuple[str, ...]
Rank = tuple[int, tuple[int, int]]
"""What comes first: minus the priority, then the position in the plan."""


@dataclass(slots=True)
class _Gate:
    """What is known of a set of pools. Storage decides; this keeps us from asking in vain.

    Attributes:
        is_shut: the last answer was no; open again when the timer says so, or when a step of ours leaves one of its pools.
        is_tight: it was shut before, so that one step at a time asks.
        asking: issues on their way.
        has_timer: a wake-up was asked for.
    """

    is_shut: bool = False
    is_tight: bool = False
    asking: int = 0
    has_timer: bool = False

    def is_full(self) -> bool:
        return self.is_shut or (self.is_tight and self.asking > 0)


_Place = Union[Bucket, Pools, None]  # noqa: UP007 - used at run time
_OPEN: _Place = None
"""Where groups wait that nothing is known to block."""


@dataclass(slots=True)
class _Group:
    """Ready steps that are alike. `waiting` is a heap; `place` is where the group waits, if it has anything that waits."""

    number: int
    buckets: tuple[Bucket, ...]
    pools: Pools
    waiting: list[tuple[Rank, str]] = field(default_factory=list)
    place: _Place = _OPEN


class ReadyQueue:
    """The steps that may start. A step that was pushed stays ready until it is taken.

    Args:
        steps: the run's steps by key.
        limits: how many of them at once.
    """

    def __init__(self, steps: Mapping[str, Step], limits: Limits) -> None:
        self._steps = steps
        self._occupancy = Occupancy(limits)
        self._groups: dict[tuple[tuple[Bucket, ...], Pools], _Group] = {}
        self._numbered: list[_Group] = []
        self._queues: dict[_Place, list[tuple[Rank, int]]] = {}
        self._gates: dict[Pools, _Gate] = {}
        self._sharing: dict[str, list[Pools]] = {}

    def push(self, step: Step) -> None:
        """It is ready."""
        group = self._group_of(step)
        rank = (-step.plan.priority, step.order)
        if not group.waiting:
            group.place = _OPEN
        heapq.heappush(group.waiting, (rank, step.key))
        if group.waiting[0][1] == step.key:
            self._put(group, group.place)

    def take(self) -> Step | None:
        """The next step to issue, counted as in flight; None when nothing may start now."""
        while self._queues.get(_OPEN) and not self._occupancy.is_full():
            group = self._pop(_OPEN)
            if group is None:
                return None
            blocked_at = self._blocked_at(group)
            if blocked_at is not None:
                self._put(group, blocked_at)
                self._wake_behind(group)
                continue
            _, key = heapq.heappop(group.waiting)
            self._enter(self._steps[key], group)
            self._gates[group.pools].asking += 1
            self._put(group, _OPEN)
            self._wake_behind(group)
            return self._steps[key]
        return None

    def issued(self, step: Step) -> None:
        """Its attempt is issued. One that another coordinator issued is counted from now on."""
        group = self._group_of(step)
        if not step.is_counted:
            self._enter(step, group)
            return
        self._gates[group.pools].asking -= 1
        self._wake_behind(group)

    def refused(self, step: Step) -> bool:
        """Its pools had no slot: it is ready again, behind a shut gate. True when a wake-up has to be asked for."""
        gate = self._gates[step.plan.pools]
        gate.asking -= 1
        gate.is_shut = gate.is_tight = True
        self._leave(step)
        self.push(step)
        asks = not gate.has_timer
        gate.has_timer = True
        return asks

    def woke(self, pools: Pools) -> None:
        """The time to ask these pools again has come."""
        self._gates[pools].has_timer = False
        self._open(pools)

    def left(self, step: Step) -> None:
        """Its attempt is over: it makes room."""
        if not step.is_counted:
            return
        self._leave(step)
        for name in step.plan.pools:
            for pools in self._sharing[name]:
                self._open(pools)

    # Inside ---------------------------------------------------------------------------------------------------------------

    def _group_of(self, step: Step) -> _Group:
        pools = step.plan.pools
        alike = (self._occupancy.buckets_of(step.plan.tags), pools)
        group = self._groups.get(alike)
        if group is None:
            group = self._groups[alike] = _Group(len(self._numbered), *alike)
            self._numbered.append(group)
            if pools not in self._gates:
                self._gates[pools] = _Gate()
                for name in pools:
                    self._sharing.setdefault(name, []).append(pools)
        return group

    def _enter(self, step: Step, group: _Group) -> None:
        step.is_counted = True
        self._occupancy.enter(group.buckets)

    def _leave(self, step: Step) -> None:
        group = self._group_of(step)
        step.is_counted = False
        self._occupancy.leave(group.buckets)
        self._wake_behind(group)

    def _blocked_at(self, group: _Group) -> _Place:
        for bucket in group.buckets:
            if self._occupancy.is_bucket_full(bucket):
                return bucket
        return group.pools if self._gates[group.pools].is_full() else None

    def _put(self, group: _Group, place: _Place) -> None:
        """The group waits at `place`, by the rank of its first step. An older entry of its is found out of date by `_pop`."""
        group.place = place
        if group.waiting:
            heapq.heappush(self._queues.setdefault(place, []), (group.waiting[0][0], group.number))

    def _pop(self, place: _Place) -> _Group | None:
        """The first group that waits at `place`."""
        queue = self._queues.get(place)
        while queue:
            rank, number = heapq.heappop(queue)
            group = self._numbered[number]
            if group.place == place and group.waiting and group.waiting[0][0] == rank:
                return group
        return None

    def _wake(self, place: _Place) -> None:
        group = self._pop(place)
        if group is not None:
            self._put(group, _OPEN)

    def _wake_behind(self, group: _Group) -> None:
        """`group` has been dealt with: where it counts and there is room, the next one that waits there has its turn."""
        for bucket in group.buckets:
            if not self._occupancy.is_bucket_full(bucket):
                self._wake(bucket)
        if not self._gates[group.pools].is_full():
            self._wake(group.pools)

    def _open(self, pools: Pools) -> None:
        gate = self._gates[pools]
        gate.is_shut = False
        if not gate.is_full():
            self._wake(pools)
