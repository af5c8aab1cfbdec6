"""Outputs in memory."""

import pytest

from runplane import InMemoryIOManager, build_input_context, build_output_context, mem_io_manager
from runplane.errors import NotFoundError


def test_the_value_itself_is_kept():
    manager, value = InMemoryIOManager(), object()
    output = build_output_context(run_id="r", step_key="s", name="result", mapping_key="k")
    manager.handle_output(output, value)
    assert manager.load_input(build_input_context(name="x", upstream_output=output)) is value


def test_a_value_of_another_process_is_not_there():
    output = build_output_context(run_id="r", step_key="s")
    with pytest.raises(NotFoundError, match="not in the memory of this process"):
        InMemoryIOManager().load_input(build_input_context(name="x", upstream_output=output))


def test_it_is_known_to_last_no_longer_than_the_process():
    assert mem_io_manager.in_memory_only
