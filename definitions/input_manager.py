"""``@input_manager``: loads inputs that no step of the run makes, or otherwise than the IO manager of the upstream output does.

Source: https://docs.dagster.io/api/dagster/io-managers (input_manager)
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

from .errors import DagsterInvariantViolationError
from .ins_outs import UNSET
from .io_manager import InputContext, InputManager, InputManagerDefinition
from .resources import decorator


class _OfFunction(InputManager):
    def __init__(self, load: Callable[..., Any], takes_context: bool) -> None:
        self._load = load
        self._takes_context = takes_context

    def load_input(self, context: InputContext) -> Any:
        """What the user's function gives."""
        return self._load(context) if self._takes_context else self._load()


def input_manager(
    config_schema: Any = UNSET,
    description: str | None = None,
    input_config_schema: None = None,
    required_resource_keys: AbstractSet[str] | None = None,
    version: str | None = None,
) -> Any:
    """Make an input manager of a function ``fn(context)`` that gives the value of an input.

    Args:
        config_schema: the shape of its config (or the function, when used without parentheses).
        description: for people.
        input_config_schema: not supported; refused unless None.
        required_resource_keys: the resources that it uses by ``context.resources``.
        version: kept.

    Raises:
        DagsterInvariantViolationError: an argument that is not supported.
    """
    if input_config_schema is not None:
        raise DagsterInvariantViolationError(
            "config of single inputs is not supported in this version.", hint="Leave input_config_schema out."
        )
    return decorator(_definition_of, config_schema, description, required_resource_keys, version)


def _definition_of(fn: Callable[..., Any], *arguments: Any) -> InputManagerDefinition:
    takes_context = fn.__code__.co_argcount > 0
    return InputManagerDefinition(lambda _context: _OfFunction(fn, takes_context), *arguments)
