"""Delays of retries."""

import pytest

from runplane import Backoff, DagsterInvalidDefinitionError, Jitter, RetryPolicy


def test_delays_grow_as_dagsters_do():
    assert [RetryPolicy(delay=2).calculate_delay(n) for n in (1, 2, 3)] == [2, 2, 2]
    assert [RetryPolicy(delay=2, backoff=Backoff.LINEAR).calculate_delay(n) for n in (1, 2, 3)] == [2, 4, 6]
    assert [RetryPolicy(delay=2, backoff=Backoff.EXPONENTIAL).calculate_delay(n) for n in (1, 2, 3)] == [2, 6, 14]
    assert RetryPolicy().calculate_delay(1) == 0


def test_jitter_stays_in_its_bounds():
    full = [RetryPolicy(delay=2, jitter=Jitter.FULL).calculate_delay(1) for _ in range(200)]
    assert all(0 <= d <= 2 for d in full)
    assert max(full) > 1 > min(full)
    around = [
        RetryPolicy(delay=2, backoff=Backoff.LINEAR, jitter=Jitter.PLUS_MINUS).calculate_delay(3) for _ in range(200)
    ]
    assert all(4 <= d <= 8 for d in around)
    assert len(set(around)) > 1


def test_backoff_needs_a_delay():
    with pytest.raises(DagsterInvalidDefinitionError, match="without also setting delay"):
        RetryPolicy(backoff=Backoff.LINEAR)
