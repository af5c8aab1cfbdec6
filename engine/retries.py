"""How long to wait before a step is run again, and how often it may be.

Source: https://docs.dagster.io/guides/build/ops/op-retries (``RetryPolicy``, ``Backoff``, ``Jitter``).
"""

from __future__ import annotations

from .snapshot import RetryPlan


def next_delay(policy: RetryPlan, retry_number: int) -> float:
    """Seconds before user retry `retry_number` (from 1), without jitter."""
    if policy.backoff == "LINEAR":
        return policy.delay_s * retry_number
    if policy.backoff == "EXPONENTIAL":
        return float((2**retry_number - 1) * policy.delay_s)
    return policy.delay_s


def with_jitter(policy: RetryPlan, delay_s: float, draw: float) -> float:
    """The delay with the policy's jitter; `draw` is uniform in [0, 1) and comes from the caller, so that it can be recorded."""
    if policy.jitter == "FULL":
        return delay_s * draw
    if policy.jitter == "PLUS_MINUS":
        return max(0.0, delay_s + (2 * draw - 1) * policy.delay_s)
    return delay_s
