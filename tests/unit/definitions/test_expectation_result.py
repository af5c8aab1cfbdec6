"""An op tells what it found when it tested its data; the step goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from runplane import (
    AssetMaterialization,
    DagsterEventType,
    DagsterInvariantViolationError,
    ExpectationResult,
    Output,
    job,
    op,
)
from runplane.events.dagster_view import entries_of, event_from_entry


@op
def looks_at_its_data(context: Any) -> Iterator[Any]:
    context.log_event(ExpectationResult(True))
    yield ExpectationResult(False, label="positive", description="two are negative", metadata={"bad": 2})
    yield Output(1)


@job
def looking() -> None:
    looks_at_its_data()


def test_a_test_that_failed_is_told_and_the_step_goes_on() -> None:
    result = looking.execute_in_process()

    good, bad = result.expectation_results_for_node("looks_at_its_data")
    assert result.success
    assert (good.success, good.label, good.description) == (True, "result", None)
    assert (bad.success, bad.label, bad.metadata["bad"].value) == (False, "positive", 2)


def test_its_event_is_dagsters_and_is_read_back() -> None:
    events = [
        e for e in looking.execute_in_process().all_events if e.event_type is DagsterEventType.STEP_EXPECTATION_RESULT
    ]

    assert [e.message for e in events] == ["Expectation result passed", "two are negative"]
    for event in events:
        (entry,) = entries_of(event.stored, "looking")
        assert event_from_entry(entry, event.stored.seq, 1).body == event.stored.body


@pytest.mark.parametrize("event", [ExpectationResult(True), AssetMaterialization("a")])
def test_an_event_that_is_returned_is_no_value(event: Any) -> None:
    @op
    def gives() -> Any:
        return event

    @job
    def wrong() -> None:
        gives()

    with pytest.raises(DagsterInvariantViolationError, match="was returned, in the place of a value"):
        wrong.execute_in_process()


def test_success_is_a_boolean() -> None:
    with pytest.raises(DagsterInvariantViolationError, match="expected True or False"):
        ExpectationResult("yes")  # type: ignore[arg-type]
