"""What goes into an op or a graph, and what comes out.

Source: https://docs.dagster.io/api/dagster/ops (In, Out, DynamicOut, GraphIn, GraphOut).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from enum import Enum
from typing import Any

from ..serdes.record import frozen_record
from .value_type import ANY, ValueType, value_type


class Unset(Enum):
    """The mark of an argument that was not given (None is a value)."""

    UNSET = "UNSET"


UNSET = Unset.UNSET
DEFAULT_IO_MANAGER = "io_manager"


@frozen_record
class In:
    """An input of an op.

    Attributes:
        dagster_type: its type; not given: from the parameter's annotation.
        description: for people.
        default_value: used when nothing is connected; not given: from the parameter.
        metadata: for the IO manager that loads it.
        asset_key, asset_partitions: kept for lineage.
        input_manager_key: the resource that loads it in place of the upstream output's IO manager.
    """

    dagster_type: Any = UNSET
    description: str | None = None
    default_value: Any = UNSET
    metadata: Mapping[str, Any] | None = None
    asset_key: Any = None
    asset_partitions: Any = None
    input_manager_key: str | None = None


@frozen_record
class Out:
    """An output of an op.

    Attributes:
        dagster_type: its type; not given: from the return annotation when there is one output.
        description: for people.
        is_required: every success produces it; otherwise steps that need it are skipped when it is not there.
        io_manager_key: the resource that keeps it.
        metadata: for the IO manager.
        code_version: version of the code that makes it.
    """

    dagster_type: Any = UNSET
    description: str | None = None
    is_required: bool = True
    io_manager_key: str | None = None
    metadata: Mapping[str, Any] | None = None
    code_version: str | None = None

    @property
    def is_dynamic(self) -> bool:
        """Whether it yields any number of values, each with a mapping key."""
        return False


@frozen_record
class DynamicOut(Out):
    """An output that yields any number of ``DynamicOutput``; what is mapped over it runs once for each."""

    @property
    def is_dynamic(self) -> bool:
        """True: each value has a mapping key."""
        return True


@frozen_record
class GraphIn:
    """An input of a graph."""

    description: str | None = None


@frozen_record
class GraphOut:
    """An output of a graph."""

    description: str | None = None


@frozen_record
class InputDefinition:
    """An input as it was understood: declared by ``In``, by annotation, or both."""

    name: str
    type: ValueType = ANY
    default_value: Any = UNSET
    description: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    input_manager_key: str | None = None

    @property
    def has_default(self) -> bool:
        """Whether a value is known when nothing is connected."""
        return self.default_value is not UNSET

    @property
    def dagster_type(self) -> ValueType:
        """The declared type."""
        return self.type


@frozen_record
class OutputDefinition:
    """An output as it was understood: declared by ``Out``, by annotation, or both."""

    name: str
    type: ValueType = ANY
    is_required: bool = True
    is_dynamic: bool = False
    io_manager_key: str = DEFAULT_IO_MANAGER
    description: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    code_version: str | None = None

    @property
    def dagster_type(self) -> ValueType:
        """The declared type."""
        return self.type


def input_from(name: str, declared: In, annotation: Any, default: Any) -> InputDefinition:
    """The input `name`: what ``In`` says wins over the parameter's annotation and default."""
    declared_type = annotation if declared.dagster_type is UNSET else declared.dagster_type
    return InputDefinition(
        name=name,
        type=ANY if declared_type is UNSET else value_type(declared_type),
        default_value=default if declared.default_value is UNSET else declared.default_value,
        description=declared.description,
        metadata=dict(declared.metadata or {}),
        input_manager_key=declared.input_manager_key,
    )


def output_from(name: str, declared: Out, annotation: Any) -> OutputDefinition:
    """The output `name`: what ``Out`` says wins over the return annotation."""
    declared_type = annotation if declared.dagster_type is UNSET else declared.dagster_type
    return OutputDefinition(
        name=name,
        type=ANY if declared_type is UNSET else value_type(declared_type),
        is_required=declared.is_required,
        is_dynamic=declared.is_dynamic,
        io_manager_key=declared.io_manager_key or DEFAULT_IO_MANAGER,
        description=declared.description,
        metadata=dict(declared.metadata or {}),
        code_version=declared.code_version,
    )


def renamed(definition: InputDefinition, name: str) -> InputDefinition:
    """The same input under another name (an input of a graph that stands for an op's)."""
    return replace(definition, name=name)
