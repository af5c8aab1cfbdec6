"""Metadata values that say what they are: Markdown, a path, a table, ...; each has Dagster's own form in an event.

Source: https://docs.dagster.io/api/dagster/metadata
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, ClassVar

from ..events.dagster_metadata import metadata_value as tree_of_plain
from .errors import DagsterInvalidDefinitionError

Tree = dict[str, Any]


class _Record:
    """What is written as a mapping of its fields under the name that Dagster stores it by."""

    stored: ClassVar[str] = ""

    def to_tree(self) -> Tree:
        """The form in an event."""
        written = {f.name.rstrip("_"): _tree(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]
        return {"__class__": self.stored or type(self).__name__, **written}


def _tree(value: Any) -> Any:
    if hasattr(value, "to_tree"):
        return value.to_tree()
    if isinstance(value, Mapping):
        return {str(k): _tree(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_tree(v) for v in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


# ------------------------------------------------------------------------------------------------------------ tables


@dataclass(frozen=True)
class TableColumnConstraints(_Record):
    """What holds for the values of a column: `other` are sentences for people."""

    nullable: bool = True
    unique: bool = False
    other: Sequence[str] | None = None


@dataclass(frozen=True)
class TableConstraints(_Record):
    """What holds for a table, in sentences for people."""

    other: Sequence[str]


@dataclass(frozen=True)
class TableColumn(_Record):
    """A column of a table: its name, the name of its type, and what holds for it."""

    name: str
    type: str = "string"
    description: str | None = None
    constraints: TableColumnConstraints = field(default_factory=TableColumnConstraints)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TableSchema(_Record):
    """The columns of a table, and what holds for all of it."""

    columns: Sequence[TableColumn]
    constraints: TableConstraints = field(default_factory=lambda: TableConstraints([]))

    @staticmethod
    def from_name_type_dict(name_type_dict: Mapping[str, str]) -> TableSchema:
        """A schema of column names and names of types."""
        return TableSchema([TableColumn(name, kind) for name, kind in name_type_dict.items()])

    def as_metadata(self) -> MetadataValue:
        """The value that stands for it as metadata."""
        return TableSchemaMetadataValue(self)


@dataclass(frozen=True)
class TableRecord(_Record):
    """One row: column name to text, number, boolean or None."""

    data: Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True)
class TableColumnDep(_Record):
    """A column that another is made from: `asset_key` names its table."""

    asset_key: Any
    column_name: str

    def to_tree(self) -> Tree:
        """The form in an event."""
        return {
            "__class__": "TableColumnDep",
            "asset_key": _asset_key_tree(self.asset_key),
            "column_name": self.column_name,
        }


@dataclass(frozen=True)
class TableColumnLineage(_Record):
    """Column name to the columns that it is made from."""

    deps_by_column: Mapping[str, Sequence[TableColumnDep]]

    def as_metadata(self) -> MetadataValue:
        """The value that stands for it as metadata."""
        return TableColumnLineageMetadataValue(self)


@dataclass(frozen=True)
class LocalFileCodeReference(_Record):
    """A place in a file of the machine where the code was loaded."""

    file_path: str
    line_number: int | None = None
    label: str | None = None


@dataclass(frozen=True)
class UrlCodeReference(_Record):
    """A place in code that has an address."""

    url: str
    label: str | None = None


# ------------------------------------------------------------------------------------------------------------ values


class MetadataValue(_Record):
    """A metadata value. Its static methods make one of each kind; ``value`` is the Python value."""

    @staticmethod
    def text(text: str) -> TextMetadataValue:
        """Plain text."""
        return TextMetadataValue(text)

    @staticmethod
    def url(url: str) -> UrlMetadataValue:
        """An address."""
        return UrlMetadataValue(url)

    @staticmethod
    def path(path: str | os.PathLike[str]) -> PathMetadataValue:
        """A path of a file."""
        return PathMetadataValue(path)

    @staticmethod
    def notebook(path: str | os.PathLike[str]) -> NotebookMetadataValue:
        """A path of a notebook."""
        return NotebookMetadataValue(path)

    @staticmethod
    def json(data: Sequence[Any] | Mapping[str, Any]) -> JsonMetadataValue:
        """JSON values."""
        return JsonMetadataValue(data)

    @staticmethod
    def md(data: str) -> MarkdownMetadataValue:
        """Markdown."""
        return MarkdownMetadataValue(data)

    @staticmethod
    def python_artifact(python_artifact: Callable[..., Any]) -> PythonArtifactMetadataValue:
        """A class or function, by module and name."""
        return PythonArtifactMetadataValue(python_artifact.__module__, python_artifact.__name__)

    @staticmethod
    def float(value: float) -> FloatMetadataValue:
        """A number."""
        return FloatMetadataValue(value)

    @staticmethod
    def int(value: int) -> IntMetadataValue:
        """A whole number."""
        return IntMetadataValue(value)

    @staticmethod
    def bool(value: bool) -> BoolMetadataValue:
        """Yes or no."""
        return BoolMetadataValue(value)

    @staticmethod
    def timestamp(value: Any) -> TimestampMetadataValue:
        """A moment: seconds since the epoch, or a ``datetime`` with a time zone."""
        return TimestampMetadataValue(value)

    @staticmethod
    def dagster_run(run_id: str) -> DagsterRunMetadataValue:
        """A run."""
        return DagsterRunMetadataValue(run_id)

    @staticmethod
    def job(job_name: str, location_name: str, *, repository_name: str | None = None) -> DagsterJobMetadataValue:
        """A job of a code location."""
        return DagsterJobMetadataValue(job_name, location_name, repository_name)

    @staticmethod
    def asset(asset_key: Any) -> DagsterAssetMetadataValue:
        """An asset."""
        return DagsterAssetMetadataValue(asset_key)

    @staticmethod
    def table(records: Sequence[TableRecord], schema: TableSchema | None = None) -> TableMetadataValue:
        """Rows of a table."""
        return TableMetadataValue(records, schema)

    @staticmethod
    def table_schema(schema: TableSchema) -> TableSchemaMetadataValue:
        """The columns of a table."""
        return TableSchemaMetadataValue(schema)

    @staticmethod
    def column_lineage(lineage: TableColumnLineage) -> TableColumnLineageMetadataValue:
        """What the columns of a table are made from."""
        return TableColumnLineageMetadataValue(lineage)

    @staticmethod
    def pool(pool: str) -> PoolMetadataValue:
        """A pool of slots."""
        return PoolMetadataValue(pool)

    @staticmethod
    def null() -> NullMetadataValue:
        """Nothing."""
        return NullMetadataValue()


class _OfParts(MetadataValue):
    @property
    def value(self) -> Any:
        """The only part; the object itself where it has several."""
        names = [f.name for f in fields(self)]  # type: ignore[arg-type]
        return getattr(self, names[0]) if len(names) == 1 else (self if names else None)


@dataclass(frozen=True)
class TextMetadataValue(_OfParts):
    """Plain text."""

    stored = "TextMetadataEntryData"
    text: str = ""  # type: ignore[assignment]


@dataclass(frozen=True)
class UrlMetadataValue(_OfParts):
    """An address."""

    stored = "UrlMetadataEntryData"
    url: str = ""  # type: ignore[assignment]


@dataclass(frozen=True)
class PathMetadataValue(_OfParts):
    """A path of a file."""

    stored = "PathMetadataEntryData"
    path: Any = field()

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", os.fspath(self.path))


@dataclass(frozen=True)
class NotebookMetadataValue(PathMetadataValue):
    """A path of a notebook."""

    stored = "NotebookMetadataEntryData"


@dataclass(frozen=True)
class JsonMetadataValue(_OfParts):
    """JSON values."""

    stored = "JsonMetadataEntryData"
    data: Any


@dataclass(frozen=True)
class MarkdownMetadataValue(_OfParts):
    """Markdown."""

    stored = "MarkdownMetadataEntryData"
    md_str: str = ""


@dataclass(frozen=True)
class PythonArtifactMetadataValue(_OfParts):
    """A class or function, by module and name."""

    stored = "PythonArtifactMetadataEntryData"
    module: str
    name: str


@dataclass(frozen=True)
class FloatMetadataValue(MetadataValue):
    """A number."""

    stored = "FloatMetadataEntryData"
    value: Any


@dataclass(frozen=True)
class IntMetadataValue(FloatMetadataValue):
    """A whole number."""

    stored = "IntMetadataEntryData"


@dataclass(frozen=True)
class BoolMetadataValue(FloatMetadataValue):
    """Yes or no."""

    stored = "BoolMetadataEntryData"


@dataclass(frozen=True)
class TimestampMetadataValue(FloatMetadataValue):
    """A moment, in seconds since the epoch."""

    stored = "TimestampMetadataValue"

    def __post_init__(self) -> None:
        if isinstance(self.value, datetime):
            if self.value.tzinfo is None:
                raise DagsterInvalidDefinitionError("a moment needs a time zone.", got=str(self.value))
            object.__setattr__(self, "value", self.value.timestamp())


@dataclass(frozen=True)
class DagsterRunMetadataValue(_OfParts):
    """A run, by its id."""

    stored = "DagsterPipelineRunMetadataEntryData"
    run_id: str


@dataclass(frozen=True)
class DagsterJobMetadataValue(_OfParts):
    """A job of a code location."""

    stored = "DagsterJobMetadataValue"
    job_name: str
    location_name: str
    repository_name: str | None = None


@dataclass(frozen=True)
class DagsterAssetMetadataValue(_OfParts):
    """An asset, by its key."""

    stored = "DagsterAssetMetadataEntryData"
    asset_key: Any

    def to_tree(self) -> Tree:
        """The form in an event."""
        return {"__class__": self.stored, "asset_key": _asset_key_tree(self.asset_key)}


@dataclass(frozen=True)
class TableMetadataValue(_OfParts):
    """Rows of a table. Without a schema, one is made of the types in the first row."""

    stored = "TableMetadataEntryData"
    records: Sequence[TableRecord]
    schema: TableSchema | None = None

    def __post_init__(self) -> None:
        if self.schema is None:
            row = self.records[0].data if self.records else {}
            columns = [TableColumn(name, self.infer_column_type(value)) for name, value in row.items()]
            object.__setattr__(self, "schema", TableSchema(columns))

    @staticmethod
    def infer_column_type(value: Any) -> str:
        """The name of the type of a value."""
        for kind, name in ((bool, "bool"), (int, "int"), (float, "float")):
            if isinstance(value, kind):
                return name
        return "string"


@dataclass(frozen=True)
class TableSchemaMetadataValue(_OfParts):
    """The columns of a table."""

    stored = "TableSchemaMetadataEntryData"
    schema: TableSchema


@dataclass(frozen=True)
class TableColumnLineageMetadataValue(_OfParts):
    """What the columns of a table are made from."""

    stored = "TableColumnLineageMetadataValue"
    column_lineage: TableColumnLineage = field()  # type: ignore[assignment]


@dataclass(frozen=True)
class CodeReferencesMetadataValue(_OfParts):
    """Where the code is that something is made by."""

    stored = "CodeReferencesMetadataValue"
    code_references: Sequence[LocalFileCodeReference | UrlCodeReference]


@dataclass(frozen=True)
class PoolMetadataValue(_OfParts):
    """A pool of slots."""

    stored = "PoolMetadataValue"
    pool: str = field()  # type: ignore[assignment]


@dataclass(frozen=True)
class NullMetadataValue(_OfParts):
    """Nothing."""

    stored = "NullMetadataEntryData"


def _asset_key_tree(key: Any) -> Tree:
    path = getattr(key, "path", key)
    return {"__class__": "AssetKey", "path": [path] if isinstance(path, str) else list(path)}


# ----------------------------------------------------------------------------------------------------------- reading

_CLASSES: dict[str, type[Any]] = {
    (cls.stored or cls.__name__): cls
    for cls in (
        *(TextMetadataValue, UrlMetadataValue, PathMetadataValue, NotebookMetadataValue, JsonMetadataValue),
        *(MarkdownMetadataValue, PythonArtifactMetadataValue, FloatMetadataValue, IntMetadataValue, BoolMetadataValue),
        *(TimestampMetadataValue, DagsterRunMetadataValue, DagsterJobMetadataValue, DagsterAssetMetadataValue),
        *(TableMetadataValue, TableSchemaMetadataValue, TableColumnLineageMetadataValue, CodeReferencesMetadataValue),
        *(PoolMetadataValue, NullMetadataValue, TableSchema, TableColumn, TableColumnConstraints, TableConstraints),
        *(TableRecord, TableColumnDep, TableColumnLineage, LocalFileCodeReference, UrlCodeReference),
    )
}


def value_of(kept: Any) -> Any:
    """The metadata value that a body or an entry of Dagster's has. A class that is not known here stays a mapping."""
    return _of_tree(tree_of_plain(kept))


def values_of(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """The metadata that a body has, by label."""
    return {label: value_of(kept) for label, kept in (metadata or {}).items()}


def _of_tree(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_of_tree(v) for v in tree]
    if not isinstance(tree, Mapping):
        return tree
    cls = _CLASSES.get(tree.get("__class__", ""))
    if cls is None:
        return {k: _of_tree(v) for k, v in tree.items()}
    if cls is JsonMetadataValue:
        return cls(tree["data"])
    known = {f.name for f in fields(cls)}
    return cls(**{k: _of_tree(v) for k, v in tree.items() if k in known})
