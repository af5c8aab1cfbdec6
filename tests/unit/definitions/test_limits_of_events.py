"""What an event keeps has limits, and what is cut says so. Outputs are never cut."""

from __future__ import annotations

import pytest

from runplane import Instance, MetadataValue, Output, job, op
from runplane.definitions.metadata import metadata_body
from runplane.events.event import TEXT_LIMIT, cut_text

LONG = TEXT_LIMIT + 7
SAID = " (TRUNCATED: 7 more characters)"


def test_a_text_of_the_limit_is_whole() -> None:
    assert cut_text("x" * TEXT_LIMIT) == "x" * TEXT_LIMIT


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("x" * LONG, ()),
        (["x" * LONG], (0,)),
        ({"a": {"b": "x" * LONG}}, ("a", "b")),
        (MetadataValue.md("x" * LONG), ("md_str",)),
        (MetadataValue.json({"a": "x" * LONG}), ("a",)),
    ],
)
def test_a_metadata_text_is_cut(value: object, at: tuple[object, ...]) -> None:
    found = metadata_body({"label": value})["label"]
    for key in at:
        found = found[key]

    assert found == "x" * TEXT_LIMIT + SAID


def test_of_a_run_lines_and_metadata_are_cut_and_outputs_are_whole() -> None:
    @op
    def much(context):
        context.log.info("x" * LONG)
        return Output("x" * (3 * LONG), metadata={"m": "x" * LONG})

    @job
    def large():
        much()

    with Instance.ephemeral() as instance:
        result = large.execute_in_process(instance=instance)
        bodies = {str(e.kind): e.body for e in instance.tail(result.run_id)}

        assert result.output_for_node("much") == "x" * (3 * LONG)

    assert bodies["LOG"]["message"].endswith(SAID)
    assert bodies["STEP_OUTPUT"]["metadata"]["m"].endswith(SAID)
