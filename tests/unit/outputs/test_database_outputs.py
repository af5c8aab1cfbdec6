"""Outputs that the database keeps: how large they may be, what loads them, and that processes of every kind do so."""

import pickle

import pytest

from runplane import (
    FencedError,
    Instance,
    RunplaneError,
    build_input_context,
    build_output_context,
    execute_job,
    in_process_executor,
    job,
    op,
    reconstructable,
)
from runplane.errors import NotFoundError
from runplane.outputs import database
from runplane.outputs.database import DatabaseOutputs
from runplane.outputs.filesystem import PickleFiles

IN_DATABASE = {"runplane/outputs": "database"}


def load(manager, location, value=None):
    upstream = build_output_context(run_id="run", step_key="a", location=location, read_value=lambda: value)
    return manager.load_input(build_input_context(name="x", upstream_output=upstream))


def test_a_value_is_handed_over_as_a_pickle_with_its_place(tmp_path):
    context = build_output_context(run_id="run", step_key="a", attempt=3)

    DatabaseOutputs(PickleFiles(tmp_path)).handle_output(context, {"a": 1})

    assert context.recorded_location == {"database": 3}
    assert pickle.loads(context.kept_value) == {"a": 1}
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_is_too_large_names_the_other_ways(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "MOST_BYTES", 2 * 1024 * 1024)
    context = build_output_context(run_id="run", step_key="a", name="numbers")
    manager = DatabaseOutputs(PickleFiles(tmp_path))

    manager.handle_output(build_output_context(run_id="run", step_key="a"), b"x" * (2 * 1024 * 1024 - 100))
    with pytest.raises(RunplaneError) as caught:
        manager.handle_output(context, b"x" * 2 * 1024 * 1024)

    for words in ("'numbers' of step 'a'", "a bytes of more than 2 MiB", "S3", "volume"):
        assert words in str(caught.value)
    assert context.kept_value is None


def test_an_attempt_that_was_replaced_hands_nothing_over(tmp_path):
    def replaced():
        raise FencedError("another attempt took the step over")

    context = build_output_context(run_id="run", step_key="a", ensure_current=replaced)

    with pytest.raises(FencedError):
        DatabaseOutputs(PickleFiles(tmp_path)).handle_output(context, 1)
    assert context.kept_value is None


def test_what_is_loaded_follows_the_place_that_the_event_tells(tmp_path):
    files = PickleFiles(tmp_path)
    context = build_output_context(run_id="run", step_key="a")
    files.handle_output(context, "from a file")

    for manager in (files, DatabaseOutputs(files)):
        assert load(manager, context.recorded_location) == "from a file"
        assert load(manager, {"database": 1}, pickle.dumps("from the database")) == "from the database"
        with pytest.raises(NotFoundError, match="not in the database of runs"):
            load(manager, {"database": 1})


@op
def numbers():
    return [1, 2, 3]


@op
def add(numbers):
    return sum(numbers)


@job(executor_def=in_process_executor, tags=IN_DATABASE)
def in_one_process():
    add(numbers())


def test_a_run_keeps_and_loads_through_the_database_and_leaves_no_file(tmp_path):
    with Instance.from_home(tmp_path) as instance, execute_job(reconstructable(in_one_process), instance) as result:
        assert result.success
        assert (result.output_for_node("numbers"), result.output_for_node("add")) == ([1, 2, 3], 6)

    assert not list((tmp_path / "storage").rglob("result"))
