"""What user code gives back: outputs, and the exceptions that ask for something.

Source: https://docs.dagster.io/api/dagster/ops (Output, DynamicOutput, Failure, RetryRequested).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from .names import check_key

T = TypeVar("T")

DEFAULT_OUTPUT = "result"


class Output(Generic[T]):
    """A value for one output of an op, with metadata.

    Args:
        value: the value.
        output_name: which output.
        metadata: shown with the output's event; values are text, numbers, booleans, lists, mappings or None.
        data_version: version of the value: a ``DataVersion``, or its text.
        tags: text to text.
    """

    __slots__ = ("data_version", "metadata", "output_name", "tags", "value")

    def __init__(
        self,
        value: T,
        output_name: str = DEFAULT_OUTPUT,
        metadata: Mapping[str, Any] | None = None,
        data_version: Any = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.value = value
        self.output_name = output_name
        self.metadata = dict(metadata or {})
        self.data_version = data_version
        self.tags = dict(tags or {})

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Output)
            and self.value == other.value
            and self.output_name == other.output_name
            and self.metadata == other.metadata
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Output({self.value!r}, output_name={self.output_name!r})"


class Valueless(Output[None]):
    """An output whose value user code kept itself: it is there, and no IO manager is given anything."""

    __slots__ = ()

    @classmethod
    def of(cls, output: Output[Any]) -> Valueless:
        """The same output without its value."""
        return cls(None, output.output_name, output.metadata, output.data_version, tags=output.tags)


class DynamicOutput(Generic[T]):
    """One of the values of a dynamic output; steps downstream run once for each mapping key.

    Args:
        value: the value.
        mapping_key: letters, digits and ``_``; unique within the step's output.
        output_name: which output.
        metadata: as for ``Output``.

    Raises:
        DagsterInvalidDefinitionError: the mapping key has other characters.
    """

    __slots__ = ("mapping_key", "metadata", "output_name", "value")

    def __init__(
        self,
        value: T,
        mapping_key: str,
        output_name: str | None = DEFAULT_OUTPUT,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.value = value
        self.mapping_key = check_key(mapping_key)
        self.output_name = output_name or DEFAULT_OUTPUT
        self.metadata = dict(metadata or {})

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, DynamicOutput)
            and self.value == other.value
            and self.mapping_key == other.mapping_key
            and self.output_name == other.output_name
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"DynamicOutput({self.value!r}, mapping_key={self.mapping_key!r}, output_name={self.output_name!r})"


class TypeCheck:
    """What a check of a type says of one value.

    Args:
        success: whether the value is of the type.
        description: why not, or what was seen.
        metadata: shown with the event of the input or output.
    """

    __slots__ = ("description", "metadata", "success")

    def __init__(
        self, success: bool, description: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> None:
        self.success = success
        self.description = description
        self.metadata: Mapping[str, Any] = dict(metadata or {})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypeCheck) and (self.success, self.description, self.metadata) == (
            other.success,
            other.description,
            other.metadata,
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"TypeCheck(success={self.success!r}, description={self.description!r}, metadata={self.metadata!r})"


class Failure(Exception):
    """Raise it to fail a step with a description and metadata.

    Args:
        description: why, for people.
        metadata: shown with the failure.
        allow_retries: False: the op's retry policy is not used.
    """

    def __init__(
        self,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        allow_retries: bool | None = None,
    ) -> None:
        super().__init__(description or "")
        self.description = description
        self.metadata = dict(metadata or {})
        self.allow_retries = True if allow_retries is None else allow_retries


class RetryRequested(Exception):
    """Raise it to have the step run again.

    Args:
        max_retries: how many retries in all.
        seconds_to_wait: seconds to wait before the next attempt; None: at once.
    """

    def __init__(self, max_retries: int | None = 1, seconds_to_wait: float | None = None) -> None:
        super().__init__()
        self.max_retries = 1 if max_retries is None else max_retries
        self.seconds_to_wait = seconds_to_wait
