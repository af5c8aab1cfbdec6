"""The files behind stdout and stderr of steps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runplane.errors import NotFoundError
from runplane.storage.compute_logs import LocalComputeLogStore, NoOpComputeLogStore, new_log_key

KEY = ("run", "compute_logs", "abcdefgh")


def write(store: LocalComputeLogStore, out: bytes, err: bytes = b"") -> None:
    fds = store.open(KEY)
    for fd, data in zip(fds, (out, err), strict=True):
        os.write(fd, data)
        os.close(fd)


def test_the_files_lie_where_dagster_has_them(tmp_path: Path) -> None:
    store = LocalComputeLogStore(tmp_path)

    write(store, b"hello\n", b"oh\n")
    store.finish(KEY)

    folder = tmp_path / "run" / "compute_logs"
    assert sorted(p.name for p in folder.iterdir()) == ["abcdefgh.complete", "abcdefgh.err", "abcdefgh.out"]
    assert (folder / "abcdefgh.out").read_bytes() == b"hello\n"
    assert (folder / "abcdefgh.err").read_bytes() == b"oh\n"


def test_a_second_writer_appends(tmp_path: Path) -> None:
    store = LocalComputeLogStore(tmp_path)

    write(store, b"one\n")
    write(store, b"two\n")

    assert store.read(KEY, "out", 0, 100).data == b"one\ntwo\n"


@pytest.mark.parametrize(("length", "name"), [(251, "k" * 251 + ".out"), (252, "063d9ee70d41b9832a793b1d740f4694.out")])
def test_a_name_that_is_too_long_becomes_its_md5(tmp_path: Path, length: int, name: str) -> None:
    store = LocalComputeLogStore(tmp_path)

    assert store.path(("run", "compute_logs", "k" * length), "out") == tmp_path / "run" / "compute_logs" / name


def test_reading_goes_on_from_an_offset_until_all_is_there(tmp_path: Path) -> None:
    store = LocalComputeLogStore(tmp_path)
    write(store, b"0123456789")

    first = store.read(KEY, "out", 0, 4)
    rest = store.read(KEY, "out", first.next, 100)
    store.finish(KEY)
    end = store.read(KEY, "out", rest.next, 100)

    assert (first.data, first.next, first.complete) == (b"0123", 4, False)
    assert (rest.data, rest.next, rest.complete) == (b"456789", 10, False)
    assert (end.data, end.next, end.complete) == (b"", 10, True)


def test_a_finished_log_is_complete_only_at_its_end(tmp_path: Path) -> None:
    store = LocalComputeLogStore(tmp_path)
    write(store, b"0123456789")
    store.finish(KEY)

    assert store.read(KEY, "out", 0, 4).complete is False
    assert store.read(KEY, "out", 4, 6).complete is True


def test_a_log_that_is_not_there_yet_is_empty_and_not_complete(tmp_path: Path) -> None:
    chunk = LocalComputeLogStore(tmp_path).read(KEY, "err", 0, 10)

    assert (chunk.data, chunk.next, chunk.complete) == (b"", 0, False)


@pytest.mark.parametrize("part", ["..", "a/b", "", "."])
def test_a_key_can_not_leave_the_folder(tmp_path: Path, part: str) -> None:
    store = LocalComputeLogStore(tmp_path)

    with pytest.raises(NotFoundError):
        store.read(("run", part, "key"), "out", 0, 10)


def test_log_keys_are_of_dagsters_form_and_differ() -> None:
    keys = {new_log_key("r") for _ in range(100)}

    assert len(keys) == 100
    assert all(k[:2] == ("r", "compute_logs") and len(k[2]) == 8 and k[2].isalpha() and k[2].islower() for k in keys)


def test_no_store_lets_steps_print_where_the_run_prints(capfd: pytest.CaptureFixture[str]) -> None:
    store = NoOpComputeLogStore()

    out, err = store.open(KEY)
    os.write(out, b"seen")
    os.close(out)
    os.close(err)
    store.finish(KEY)

    assert capfd.readouterr().out == "seen"
    assert store.read(KEY, "out", 0, 10).complete is True
