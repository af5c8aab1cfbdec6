"""What an event keeps has limits, and what is cut says so. Outputs are never cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runplane import Instance, MetadataValue, Output, TableRecord, job, op
from runplane.definitions.metadata import ENTRY_LIMIT, ITEM_LIMIT, metadata_body
from runplane.definitions.metadata_values import value_of
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


def test_of_more_entries_than_there_may_be_the_first_are_kept() -> None:
    found = metadata_body({f"e{i}": i for i in range(ENTRY_LIMIT + 3)})

    assert list(found)[:: ENTRY_LIMIT - 1] == ["e0", f"e{ENTRY_LIMIT - 1}"]
    assert found["(TRUNCATED)"] == "3 more entries"
    assert len(found) == ENTRY_LIMIT + 1


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (list(range(ITEM_LIMIT + 7)), lambda found: len(found)),
        ({str(i): i for i in range(ITEM_LIMIT + 7)}, lambda found: len(found)),
        (MetadataValue.json(list(range(ITEM_LIMIT + 7))), lambda found: len(found)),
        ([[0] * (ITEM_LIMIT - 2), [0] * 7], lambda found: 2 + len(found[0]) + len(found[1])),
    ],
)
def test_of_more_items_than_there_may_be_the_first_are_kept(value: object, kept: Callable[[Any], int]) -> None:
    found = metadata_body({"label": value})

    assert kept(found["label"]) == ITEM_LIMIT
    assert found["label (TRUNCATED)"] == "7 more items"


def test_a_long_table_is_cut_and_stays_a_table() -> None:
    table = MetadataValue.table([TableRecord({"n": i}) for i in range(ITEM_LIMIT)])

    found = metadata_body({"rows": table, "whole": 1})

    kept = value_of(found["rows"])
    assert [c.name for c in kept.schema.columns] == ["n"]
    room = ITEM_LIMIT - 1  # the column
    assert [r.data for r in kept.records] == [{"n": i} for i in range(room // 2)] + [{}]
    assert found["rows (TRUNCATED)"] == f"{ITEM_LIMIT - room // 2} more items"
    assert found["whole"] == 1


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
