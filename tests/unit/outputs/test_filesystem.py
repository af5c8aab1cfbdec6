"""Outputs as files: where they are, and that a replaced attempt can not publish."""

import os
import pickle
import stat
from pathlib import Path

import pytest

from runplane import (
    FencedError,
    InitResourceContext,
    RunplaneError,
    build_input_context,
    build_output_context,
    fs_io_manager,
)
from runplane.errors import NotFoundError
from runplane.outputs.filesystem import PickleFiles


def _context(**facts):
    return build_output_context(run_id="run", step_key="a", name="result", **facts)


def _load(manager, output, location=None):
    upstream = build_output_context(
        run_id=output.run_id,
        step_key=output.step_key,
        name=output.name,
        mapping_key=output.mapping_key,
        location=location,
    )
    return manager.load_input(build_input_context(name="x", upstream_output=upstream))


def test_a_value_is_a_pickle_where_dagster_has_it(tmp_path):
    manager, context = PickleFiles(tmp_path), _context()
    manager.handle_output(context, {"a": [1, 2]})
    file = tmp_path / "run" / "a" / "result"
    assert pickle.loads(file.read_bytes()) == {"a": [1, 2]}
    assert file.read_bytes()[:2] == b"\x80\x04"
    assert context.recorded_location == {"path": str(file)}
    assert [p.name for p in file.parent.iterdir()] == ["result"]
    assert _load(manager, context) == {"a": [1, 2]}


def test_a_mapping_key_is_a_level_of_its_own(tmp_path):
    manager = PickleFiles(tmp_path)
    for key in ("k1", "k2"):
        manager.handle_output(_context(mapping_key=key), key)
    assert sorted(p.name for p in (tmp_path / "run/a/result").iterdir()) == ["k1", "k2"]
    assert _load(manager, _context(mapping_key="k2")) == "k2"


def test_an_attempt_that_was_replaced_publishes_nothing(tmp_path):
    def replaced():
        raise FencedError("another attempt took the step over")

    with pytest.raises(FencedError):
        PickleFiles(tmp_path).handle_output(_context(ensure_current=replaced), 3)
    assert list((tmp_path / "run/a").iterdir()) == []


def test_an_attempt_that_wakes_up_after_its_check_does_not_replace_the_newer_value(tmp_path):
    manager = PickleFiles(tmp_path)
    newer = _context(attempt=2)

    def the_newer_attempt_publishes():
        manager.handle_output(newer, "newer")

    manager.handle_output(_context(attempt=1, ensure_current=the_newer_attempt_publishes), "older")
    assert _load(manager, newer, newer.recorded_location) == "newer"


def test_the_public_name_is_the_newest_attempts_value(tmp_path):
    manager = PickleFiles(tmp_path)
    manager.handle_output(_context(attempt=1), "older")
    manager.handle_output(_context(attempt=3), "newer")
    assert _load(manager, _context()) == "newer"
    assert sorted(p.name for p in (tmp_path / "run/a").iterdir()) == ["result", "result.attempt-3"]


def test_a_file_system_without_links_gets_a_copy(tmp_path, monkeypatch):
    def no_links(*_args):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    manager = PickleFiles(tmp_path)
    manager.handle_output(_context(attempt=2), "kept")
    assert _load(manager, _context()) == "kept"


def test_a_value_that_can_not_be_pickled_is_named_and_leaves_nothing(tmp_path):
    with pytest.raises(RunplaneError, match=r"the output 'result' of step 'a' can not be pickled.*\(got function\)"):
        PickleFiles(tmp_path).handle_output(_context(), lambda: 1)
    assert list((tmp_path / "run/a").iterdir()) == []


def test_a_value_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"the value of the input 'x' is not there.*several machines"):
        _load(PickleFiles(tmp_path), _context())


def test_files_are_as_readable_as_other_files(tmp_path):
    PickleFiles(tmp_path).handle_output(_context(), 1)
    (tmp_path / "other").write_text("x")
    mode = stat.S_IMODE((tmp_path / "run/a/result").stat().st_mode)
    assert mode == stat.S_IMODE((tmp_path / "other").stat().st_mode)


@pytest.mark.parametrize(("config", "expected"), [({}, "/home/storage"), ({"base_dir": "/elsewhere"}, "/elsewhere")])
def test_the_folder_is_the_homes_unless_configured(config, expected):
    context = InitResourceContext(resource_config=config, storage_dir="/home/storage")
    with fs_io_manager.open(context) as manager:
        assert manager.base == Path(expected)
