"""What plug-in authors get: conformance suites, stubs, replay.

Admission test: a stranger's test imports it. Our own backends run the same suites.

The names are looked up when they are asked for: the suites need pytest, the stubs do not.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compute_logs_contract import ComputeLogsContract as ComputeLogsContract
    from .journal_contract import JournalContract as JournalContract
    from .queue_contract import QueueContract as QueueContract
    from .run_launcher_contract import RunLauncherContract as RunLauncherContract
    from .step_queues_contract import StepQueuesContract as StepQueuesContract
    from .step_runner_contract import StepRunnerContract as StepRunnerContract
    from .tier_a import TierA as TierA
    from .tier_a_launchers import TierALauncher as TierALauncher
    from .tier_a_step_workers import TierAStepWorkers as TierAStepWorkers

_NAMES = {
    "ComputeLogsContract": "compute_logs_contract",
    "JournalContract": "journal_contract",
    "QueueContract": "queue_contract",
    "RunLauncherContract": "run_launcher_contract",
    "StepQueuesContract": "step_queues_contract",
    "StepRunnerContract": "step_runner_contract",
    "TierA": "tier_a",
    "TierALauncher": "tier_a_launchers",
    "TierAStepWorkers": "tier_a_step_workers",
}

__all__ = [
    "ComputeLogsContract",
    "JournalContract",
    "QueueContract",
    "RunLauncherContract",
    "StepQueuesContract",
    "StepRunnerContract",
    "TierA",
    "TierALauncher",
    "TierAStepWorkers",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = f"{__name__}.{_NAMES[name]}"
    if module not in sys.modules:
        # A suite's failed assertions say what they compared, as those of a test file do.
        import_module("pytest").register_assert_rewrite(module)
    return getattr(import_module(module), name)
