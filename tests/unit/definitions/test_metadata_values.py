"""Metadata values: written in Dagster's form, read back as they were given."""

from datetime import datetime, timezone
from pathlib import Path

import pytest

from runplane import DagsterInvalidDefinitionError, MetadataValue, TableColumn, TableRecord, TableSchema
from runplane.definitions.metadata import metadata_body
from runplane.definitions.metadata_values import value_of

VALUES = [
    MetadataValue.text("t"),
    MetadataValue.url("u"),
    MetadataValue.path(Path("/p")),
    MetadataValue.notebook("n"),
    MetadataValue.json({"a": [1]}),
    MetadataValue.md("m"),
    MetadataValue.python_artifact(Path),
    MetadataValue.float(1.5),
    MetadataValue.int(1),
    MetadataValue.bool(True),
    MetadataValue.timestamp(1.5),
    MetadataValue.dagster_run("r"),
    MetadataValue.job("j", "here", repository_name="x"),
    MetadataValue.table([TableRecord({"a": 1})]),
    MetadataValue.table_schema(TableSchema([TableColumn("a", tags={"k": "v"})])),
    MetadataValue.pool("p"),
    MetadataValue.null(),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)
def test_a_value_comes_back_as_it_was_given(value):
    kept = metadata_body({"label": value})["label"]

    assert value_of(kept) == value


def test_plain_values_are_kept_plain():
    body = metadata_body({"a": MetadataValue.text("x"), "b": MetadataValue.json([1]), "c": 2, "d": None})

    assert body == {"a": "x", "b": [1], "c": 2, "d": None}


def test_a_moment_needs_a_time_zone():
    assert MetadataValue.timestamp(datetime(1970, 1, 1, 0, 1, tzinfo=timezone.utc)).value == 60.0
    with pytest.raises(DagsterInvalidDefinitionError, match="time zone"):
        MetadataValue.timestamp(datetime(1970, 1, 1))


def test_a_class_that_is_not_known_stays_a_mapping():
    assert value_of({"__class__": "NewMetadataValue", "x": 1}) == {"__class__": "NewMetadataValue", "x": 1}
