"""``@input_manager``: loads inputs that no step of the run makes, or otherwise than the IO manager of the upstream output does.

Source: https://docs.dagster.io/api/dagster/io-managers (input_manager)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any

from .errors import DagsterInvariantViolationError
from .ins_outs import UNSET
from .io_manager import InputContext, InputManager
from .resources import InitResourceContext, ResourceDefinition


class InputManagerDefinition(ResourceDefinition):
    """How an input manager is made."""

    @contextmanager
    def open(self, context: InitResourceContext) -> Iterator[Any]:
        """The input manager, closed at the end.

        Raises:
            DagsterInvariantViolationError: the function gave something that is none.
        """
        with super().open(context) as made:
            if not hasattr(made, "load_input"):
                raise DagsterInvariantViolationError(
                    "the function of an input manager gave something that is none.", got=type(made).__name__
                )
            yield made


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
    if callable(config_schema) and not isinstance(config_schema, type):
        return InputManagerDefinition(_maker(config_schema), description=config_schema.__doc__)
    return lambda fn: InputManagerDefinition(
        _maker(fn), config_schema, description or fn.__doc__, required_resource_keys, version
    )


def _maker(fn: Callable[..., Any]) -> Callable[[InitResourceContext], InputManager]:
    takes_context = fn.__code__.co_argcount > 0
    return lambda _context: _OfFunction(fn, takes_context)
