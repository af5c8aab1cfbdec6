"""The request that a step's own process is started with, wherever that process is."""

from __future__ import annotations

from ..events.requests import ExecuteStepArgs, InstanceRef, IssuedAttempt, RetryMode, request_origin
from .contract import StepOrder


def step_arguments(
    order: StepOrder, epoch: int, *, instance: InstanceRef | None, should_verify_step: bool = False
) -> ExecuteStepArgs:
    """The arguments of ``api execute_step`` for an attempt.

    Args:
        order: the attempt.
        epoch: of the coordinator that issued it.
        instance: None: whoever starts the process knows it.
        should_verify_step: for readers of Dagster's own form; ours goes by the attempt's number.
    """
    run = order.run
    assert run.origin is not None, "the driver takes runs whose code can be found only"
    return ExecuteStepArgs(
        instance,
        request_origin(run.origin),
        run.run_id,
        (order.ref.step,),
        retry_mode=RetryMode.DEFERRED if order.retries_enabled else RetryMode.DISABLED,
        should_verify_step=should_verify_step,
        issued=IssuedAttempt(order.ref.n, epoch),
    )
