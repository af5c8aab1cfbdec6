"""Outputs at URLs: where they are, what a replaced attempt can do, and what subclasses say."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from upath import UPath

from runplane import (
    DynamicOut,
    DynamicOutput,
    FencedError,
    FilesystemIOManager,
    MetadataValue,
    RetryPolicy,
    RunplaneError,
    UPathIOManager,
    build_input_context,
    build_output_context,
    job,
    op,
)
from runplane.config import pointer
from runplane.errors import NotFoundError, UnsupportedError
from runplane.outputs.s3_files import S3Files
from runplane.outputs.upath import PickleUPaths


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield f"file://{tmp_path}"
        return
    yield "memory://outputs"
    fsspec.filesystem("memory").store.clear()
    fsspec.filesystem("memory").pseudo_dirs[:] = [""]


def names(url: str) -> list[str]:
    """All files below, without the URL's own folder."""
    root = UPath(url)
    return sorted(f.removeprefix(root.path).lstrip("/") for f in root.fs.find(root.path))


def output(**facts: Any) -> Any:
    return build_output_context(**{"run_id": "run", "step_key": "work[a]", "name": "result", **facts})


def load(manager: UPathIOManager, written: Any, location: Any = None) -> Any:
    upstream = build_output_context(
        run_id=written.run_id,
        step_key=written.step_key,
        name=written.name,
        mapping_key=written.mapping_key,
        location=location,
    )
    return manager.load_input(build_input_context(name="x", upstream_output=upstream))


def test_a_value_is_a_pickle_where_a_path_would_have_it(url: str) -> None:
    manager, context = PickleUPaths(url), output()

    manager.handle_output(context, {"a": [1, 2]})

    assert names(url) == ["run/work[a]/result"]
    assert pickle.loads((UPath(url) / "run/work[a]/result").read_bytes()) == {"a": [1, 2]}
    assert context.recorded_location == {"path": str(UPath(url) / "run/work[a]/result")}
    assert load(manager, context) == {"a": [1, 2]}


def test_a_mapping_key_is_a_level_of_its_own(url: str) -> None:
    manager = PickleUPaths(url)

    for key in ("k1", "k2"):
        manager.handle_output(output(mapping_key=key), key)

    assert names(url) == ["run/work[a]/result/k1", "run/work[a]/result/k2"]
    assert load(manager, output(mapping_key="k2")) == "k2"


def test_an_attempt_that_was_replaced_publishes_nothing(url: str) -> None:
    def replaced() -> None:
        raise FencedError("another attempt took the step over")

    with pytest.raises(FencedError):
        PickleUPaths(url).handle_output(output(ensure_current=replaced), 3)

    assert names(url) == []


def test_an_attempt_that_wakes_up_after_its_check_does_not_replace_the_newer_value(url: str) -> None:
    manager = PickleUPaths(url)
    newer = output(attempt=2)

    manager.handle_output(output(ensure_current=lambda: manager.handle_output(newer, "newer")), "older")

    assert load(manager, newer, newer.recorded_location) == "newer"


def test_the_public_name_is_the_newest_attempts_value(url: str) -> None:
    manager = PickleUPaths(url)

    manager.handle_output(output(), "older")
    manager.handle_output(output(attempt=3), "newer")

    assert names(url) == ["run/work[a]/result", "run/work[a]/result.attempt-3"]
    assert load(manager, output()) == "newer"


def test_a_value_that_can_not_be_pickled_is_named_and_leaves_nothing(url: str) -> None:
    with pytest.raises(RunplaneError, match="the output 'result' of step .* can not be pickled"):
        PickleUPaths(url).handle_output(output(), lambda: 1)

    assert names(url) == []


def test_a_value_that_is_not_there_is_named_with_its_place(url: str) -> None:
    with pytest.raises(NotFoundError, match=r"the value of the input 'x' is not there.*run/work\[a\]/result"):
        load(PickleUPaths(url), output())


class Lines(UPathIOManager):
    """Lists of values, as JSON, one a line."""

    extension = ".jsonl"

    def dump_to_path(self, context: Any, obj: Any, path: UPath) -> None:
        path.write_text("".join(json.dumps(line) + "\n" for line in obj))

    def load_from_path(self, context: Any, path: UPath) -> Any:
        return [json.loads(line) for line in path.read_text().splitlines()]

    def get_metadata(self, context: Any, obj: Any) -> dict[str, Any]:
        return {"lines": len(obj)}


class Folder(UPathIOManager):
    """A value that becomes two files."""

    def dump_to_path(self, context: Any, obj: Any, path: UPath) -> None:
        path.mkdir(parents=True)
        (path / "first").write_text(obj[0])
        (path / "second").write_text(obj[1])

    def load_from_path(self, context: Any, path: UPath) -> Any:
        return (path / "first").read_text(), (path / "second").read_text()


def test_a_subclass_names_its_extension_and_metadata(url: str) -> None:
    manager, first, second = Lines(UPath(url)), output(), output(attempt=2)

    manager.handle_output(first, [1, "two"])
    manager.handle_output(second, [3])

    assert names(url) == ["run/work[a]/result.attempt-2.jsonl", "run/work[a]/result.jsonl"]
    kept = str(UPath(url) / "run/work[a]/result.jsonl")
    assert first.get_logged_metadata() == {"path": MetadataValue.path(kept), "lines": 2}
    assert manager.has_output(first)
    assert load(manager, first) == [3]


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_value_may_be_a_folder(url: str, attempt: int) -> None:
    manager = Folder(UPath(url))

    for value in (("a", "b"), ("c", "d")):
        manager.handle_output(output(attempt=attempt), value)

    assert load(manager, output()) == ("c", "d")
    assert not [n for n in names(url) if n.endswith(".tmp")]


def test_a_plain_path_may_be_the_base(tmp_path: Path) -> None:
    Lines(tmp_path).handle_output(output(), [1])

    assert (tmp_path / "run/work[a]/result.jsonl").read_text() == "1\n"


def test_an_extension_without_a_dot_is_refused() -> None:
    class Wrong(Lines):
        extension = "json"

    with pytest.raises(ValueError, match="Wrong.extension has no dot"):
        Wrong()


@op(out=DynamicOut())
def spread():
    for n in range(3):
        yield DynamicOutput(n, mapping_key=f"n{n}")


@op(retry_policy=RetryPolicy(max_retries=1))
def double(context, n):
    if context.retry_number == 0 and n == 1:
        raise ValueError("once")
    return 2 * n


@op
def total(numbers):
    return sum(numbers)


@job
def doubled():
    total(spread().map(double).collect())


def test_a_run_with_retries_and_collected_outputs(url: str) -> None:
    manager = FilesystemIOManager(base_dir=url)

    result = doubled.execute_in_process(resources={"io_manager": manager})

    assert result.success
    assert result.output_for_node("total") == 6
    assert f"{result.run_id}/double[n1]/result.attempt-2" in names(url)


def test_without_the_library_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(pointer.importlib, "import_module", missing)

    with pytest.raises(UnsupportedError, match=r"universal-pathlib.*pip install 'runplane\[s3\]'"):
        PickleUPaths("s3://bucket")


def test_without_the_file_systems_package_that_one_is_named() -> None:
    with pytest.raises(UnsupportedError, match=r"gs://bucket.*gcsfs"):
        PickleUPaths("gs://bucket/folder")


def test_the_words_of_s3fs_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere")
    given = {
        "key": "id",
        "secret": "s",
        "client_kwargs": {"endpoint_url": "http://minio:9000"},
        "use_listings_cache": False,
    }

    store: Any = S3Files(**given)._construct_store("bucket")

    assert store.config["access_key_id"] == "id"
    assert store.config["endpoint"] == "http://minio:9000"
    assert store.client_options["allow_http"] == "true"
