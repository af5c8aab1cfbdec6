"""Outputs in the memory of this process: for runs in one process, and tests.

Source: https://docs.dagster.io/api/dagster/io-managers (mem_io_manager, InMemoryIOManager).
"""

from __future__ import annotations

from typing import Any

from ..definitions.io_manager import InputContext, IOManager, IOManagerDefinition, OutputContext
from ..errors.base import NotFoundError


class InMemoryIOManager(IOManager):
    """Keeps values in a dictionary, by identifier."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], Any] = {}

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Keep the value itself, not a copy."""
        self.values[tuple(context.get_identifier())] = obj

    def load_input(self, context: InputContext) -> Any:
        """The value.

        Raises:
            NotFoundError: another process made it.
        """
        key = tuple(context.get_identifier())
        if key not in self.values:
            raise NotFoundError(
                f"the value of the input '{context.name}' is not in the memory of this process",
                hint="It was made by another process or an earlier run: use an IO manager that keeps files.",
            )
        return self.values[key]


mem_io_manager = IOManagerDefinition(
    InMemoryIOManager, in_memory_only=True, description="Keeps outputs in the memory of the run's process."
)
