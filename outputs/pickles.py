"""How a value becomes a pickle, and what is said of one that can not."""

from __future__ import annotations

import pickle
from typing import Any

from ..definitions.io_manager import OutputContext
from ..errors.base import RunplaneError

PICKLE_PROTOCOL = 4
NOT_PICKLABLE = (pickle.PicklingError, AttributeError, TypeError, RecursionError)
"""What pickle raises for a value that it can not take."""


def not_picklable(context: OutputContext, obj: Any, error: Exception) -> RunplaneError:
    """The error that names the output and the value's type."""
    return RunplaneError(
        f"the output '{context.name}' of step '{context.step_key}' can not be pickled: {error}.",
        got=type(obj).__name__,
        hint="Return a value that can be, or give the output an IO manager that can keep it.",
    )
