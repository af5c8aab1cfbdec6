"""What definitions and user code can be told, with the class names that users catch.

The names are Dagster's, so that an ``except`` clause keeps working when a file changes its import.
Source: https://docs.dagster.io/api/dagster/errors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors.base import DagsterError
from ..errors.exit_codes import ExitCode
from ..events.causes import FailureCause


class DagsterInvalidDefinitionError(DagsterError):
    """A definition that can not work: a bad name, an unknown input, a missing resource."""

    exit_code = ExitCode.BAD_INPUT


class DagsterInvalidConfigDefinitionError(DagsterError):
    """A config schema that is none."""

    exit_code = ExitCode.BAD_INPUT


class DagsterInvalidInvocationError(DagsterError):
    """An op that is called as a function with the wrong arguments."""


class DagsterInvalidSubsetError(DagsterError):
    """A selection that selects nothing, or names what is not there."""

    exit_code = ExitCode.BAD_INPUT


class DagsterExecutionStepNotFoundError(DagsterError):
    """A step is named that is not there."""

    exit_code = ExitCode.BAD_INPUT


class DagsterRunNotFoundError(DagsterError):
    """A run is named that is not stored."""

    exit_code = ExitCode.BAD_INPUT


class DagsterUnmetExecutorRequirementsError(DagsterError):
    """An executor that needs what this run can not give (code that others can load, outputs that others can read)."""

    exit_code = ExitCode.BAD_INPUT


class DagsterInvariantViolationError(DagsterError):
    """Something was used in a way its contract forbids."""


class DagsterTypeCheckDidNotPass(DagsterError):
    """An input or output is not of its declared type.

    Attributes:
        description, metadata: what the type's check said.
        dagster_type: the type.
    """

    def __init__(
        self,
        message: str,
        *,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        dagster_type: Any = None,
    ) -> None:
        self.description = description
        self.metadata = dict(metadata or {})
        self.dagster_type = dagster_type
        super().__init__(message)


class DagsterUnknownResourceError(DagsterError, AttributeError):
    """User code asked for a resource that it did not say it needs."""


class DagsterUserCodeExecutionError(DagsterError):
    """User code raised; the user's exception is the cause."""


class DagsterTypeCheckError(DagsterUserCodeExecutionError):
    """The check of a type raised."""


class DagsterConfigMappingFunctionError(DagsterUserCodeExecutionError):
    """A function that makes config of config raised."""


class DagsterTypeLoadingError(DagsterUserCodeExecutionError):
    """The loader of a type could not make a value of run config."""


class DagsterStepOutputNotFoundError(DagsterError):
    """A step ended without an output that is required."""


class DagsterExecutionStepExecutionError(DagsterUserCodeExecutionError):
    """The body of an op raised."""


class DagsterExecutionLoadInputError(DagsterUserCodeExecutionError):
    """An IO manager could not load an input."""


class DagsterExecutionHandleOutputError(DagsterUserCodeExecutionError):
    """An IO manager could not keep an output."""


class DagsterAssetCheckFailedError(DagsterError):
    """A blocking check of an asset did not pass."""


class DagsterResourceFunctionError(DagsterUserCodeExecutionError):
    """A resource could not be made."""


class RetryRequestedFromPolicy(DagsterError):
    """User code raised and the op's retry policy asks for another attempt; the user's exception is the cause."""


class DagsterMaxRetriesExceededError(DagsterError):
    """A step asked for more retries than it may have; what it was raised from is the cause."""


class DagsterSubprocessError(DagsterError):
    """A process that runs a part of a run failed."""


class DagsterInvalidPropertyError(DagsterError):
    """A context was asked for something that it does not have where it is."""


class DagsterExecutionInterruptedError(BaseException):
    """The step was told to stop: by a cancel request, a time limit, or its run being taken over.

    Attributes:
        why: what the attempt ends with.
    """

    def __init__(self, why: FailureCause = FailureCause.CANCELED) -> None:
        super().__init__(f"the step was interrupted: {why.value}")
        self.why = why
