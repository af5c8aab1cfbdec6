"""Metadata of outputs: every kind comes back with its class and value."""

from pathlib import Path

from dagster import (
    CodeReferencesMetadataValue,
    LocalFileCodeReference,
    MetadataValue,
    Output,
    TableColumn,
    TableColumnConstraints,
    TableConstraints,
    TableRecord,
    TableSchema,
    UrlCodeReference,
    job,
    op,
)

SCHEMA = TableSchema(
    columns=[TableColumn("a", "int", constraints=TableColumnConstraints(nullable=False, unique=True, other=["> 0"]))],
    constraints=TableConstraints(other=["sorted"]),
)


@op
def shown(context):
    context.add_output_metadata({"added": 1})
    return Output(
        1,
        metadata={
            "text": "t",
            "int": 3,
            "float": 1.5,
            "bool": True,
            "none": None,
            "list": [1, "a"],
            "dict": {"a": [1]},
            "path": Path("/tmp/x"),
            "schema": SCHEMA,
            "md": MetadataValue.md("# T"),
            "url": MetadataValue.url("https://example.org"),
            "made path": MetadataValue.path("/tmp/y"),
            "notebook": MetadataValue.notebook("n.ipynb"),
            "json": MetadataValue.json({"a": 1}),
            "artifact": MetadataValue.python_artifact(Path),
            "timestamp": MetadataValue.timestamp(5.0),
            "run": MetadataValue.dagster_run("r"),
            "job": MetadataValue.job("j", "here"),
            "table": MetadataValue.table([TableRecord({"a": 1, "b": "x"})]),
            "made text": MetadataValue.text("t"),
            "null": MetadataValue.null(),
            "code": CodeReferencesMetadataValue(
                code_references=[LocalFileCodeReference(file_path="f.py", line_number=3), UrlCodeReference(url="u")]
            ),
        },
    )


@job
def shows():
    shown()


def scenario():
    result = shows.execute_in_process()
    event = next(e for e in result.all_events if e.event_type_value == "STEP_OUTPUT")
    metadata = event.step_output_data.metadata
    table = metadata["table"]
    return {
        "run": result,
        "kinds": {label: type(value).__name__ for label, value in metadata.items()},
        "values": {
            label: metadata[label].value
            for label in ("text", "int", "list", "path", "md", "json", "timestamp", "run", "null", "added")
        },
        "schema": [(c.name, c.type, c.constraints.unique) for c in metadata["schema"].value.columns],
        "table": [(c.name, c.type) for c in table.schema.columns],
        "rows": [record.data for record in table.records],
        "artifact": (metadata["artifact"].module.split(".")[0], metadata["artifact"].name),
        "code": [type(r).__name__ for r in metadata["code"].code_references],
        "by names": [c.name for c in TableSchema.from_name_type_dict({"x": "int"}).columns],
    }
