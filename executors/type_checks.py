"""Values of inputs and outputs against their declared types, and what events say of it."""

from __future__ import annotations

from typing import Any

from ..definitions.errors import (
    DagsterExecutionInterruptedError,
    DagsterTypeCheckDidNotPass,
    DagsterTypeCheckError,
)
from ..definitions.metadata import metadata_body
from ..definitions.results import TypeCheck
from ..definitions.value_type import ValueType
from ..errors import DagsterError
from .step_context import StepContexts


def checked(contexts: StepContexts, expected: ValueType, value: Any, what: str) -> TypeCheck:
    """What the type says of the value of `what` (``step input "x"``).

    Raises:
        DagsterTypeCheckError: a check of the user's raised.
    """
    if expected.is_any:
        return _PASSED
    try:
        return expected.type_check(contexts.for_type(expected), value)
    except (DagsterError, DagsterExecutionInterruptedError):
        raise
    except Exception as error:
        raise DagsterTypeCheckError(
            f"Error occurred while type-checking {what}, with Python type {type(value)} and Dagster type "
            f"{expected.display_name}"
        ) from error


def verdict(check: TypeCheck) -> str:
    """The end of the sentence that an event says of a value."""
    return " (Type check passed)." if check.success else " Warning! Type check failed."


def check_body(label: str, check: TypeCheck) -> dict[str, Any]:
    """The check as an event's body has it."""
    return {
        "success": check.success,
        "label": label,
        "description": check.description,
        "metadata": metadata_body(check.metadata),
    }


def refuse(what: str, expected: ValueType, check: TypeCheck) -> None:
    """Raise DagsterTypeCheckDidNotPass if the value of `what` is not of its type."""
    if not check.success:
        said = f" Description: {check.description}" if check.description else ""
        raise DagsterTypeCheckDidNotPass(
            f'Type check failed for {what} - expected type "{expected.display_name}".{said}',
            description=check.description,
            metadata=check.metadata,
            dagster_type=expected,
        )


_PASSED = TypeCheck(True)
