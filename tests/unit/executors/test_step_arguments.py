"""What a step's process is told of its attempt."""

from __future__ import annotations

import pytest

from runplane.engine.snapshot import StepPlan
from runplane.events.origin import JobOrigin, ModuleCodePointer, RepositoryOrigin
from runplane.events.requests import IssuedAttempt, RetryMode
from runplane.events.run import Run
from runplane.executors.contract import StepOrder
from runplane.executors.step_arguments import step_arguments
from runplane.storage.contract import AttemptRef


def order(*, retries_enabled: bool = True) -> StepOrder:
    code = RepositoryOrigin("python", ModuleCodePointer("team.jobs", "defs"), container_context={"k8s": {"env": []}})
    run = Run("run", "job", origin=JobOrigin("job", code))
    return StepOrder(run, StepPlan("a", "a", "a"), AttemptRef("a", 2), retries_enabled=retries_enabled)


def test_the_attempt_is_named_and_what_can_be_of_any_size_stays_out() -> None:
    arguments = step_arguments(order(), 7, instance=None)

    assert (arguments.run_id, arguments.step_keys, arguments.issued) == ("run", ("a",), IssuedAttempt(2, 7))
    assert arguments.origin.repository_origin.container_context is None


@pytest.mark.parametrize(("enabled", "mode"), [(True, RetryMode.DEFERRED), (False, RetryMode.DISABLED)])
def test_whether_it_may_ask_for_another_attempt(enabled: bool, mode: RetryMode) -> None:
    assert step_arguments(order(retries_enabled=enabled), 1, instance=None).retry_mode is mode
