"""How many steps at a time, when nobody said it: as many as there are CPUs *for this process*.

In a container of two CPUs on a machine of 64, ``os.cpu_count()`` is 64, and 64 steps at a time exhaust the container's memory. So
the smaller of the CPUs this process may run on and its control group's quota counts, rounded up (half a CPU runs one step).
Memory is no part of the rule: what a step needs is not known before it ran.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping

from ..errors import ConfigErrors, Problem
from .cgroup import Cgroups

MAX_CONCURRENT_ENV = "DAGSTER_MULTIPROCESS_EXECUTOR_MAX_CONCURRENT"


def max_concurrent_of(configured: int | None, env: Mapping[str, str], cgroups: Cgroups | None = None) -> int:
    """How many steps a multiprocess run executes at a time.

    Args:
        configured: ``max_concurrent`` of the executor's config; None and 0 mean that nobody said.
        env: ``DAGSTER_MULTIPROCESS_EXECUTOR_MAX_CONCURRENT`` is the next to be asked.
        cgroups: the control groups of the process; None: this one's.

    Raises:
        ConfigErrors: the setting is negative, or the variable is no positive number.
    """
    if configured is not None and configured < 0:
        raise _bad("max_concurrent", str(configured), "0 (as many as CPUs) or more")
    if configured:
        return configured
    said = env.get(MAX_CONCURRENT_ENV)
    if said:
        if not said.strip().isdigit() or int(said) == 0:
            raise _bad(MAX_CONCURRENT_ENV, said, "a number from 1")
        return int(said)
    return available_cpus(cgroups)


def available_cpus(cgroups: Cgroups | None = None) -> int:
    """CPUs for this process: the smaller of its affinity and its control group's quota, at least 1."""
    cpus = float(_affinity())
    quota = (cgroups or Cgroups()).cpu_quota()
    return max(1, math.ceil(cpus if quota is None else min(cpus, quota)))


def _affinity() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _bad(path: str, got: str, expected: str) -> ConfigErrors:
    return ConfigErrors([Problem(path, "can not be used", got=got, expected=expected)], where="multiprocess executor")
