"""The uploader's work on a bucket in memory: what is put when, and what happens when it is not taken."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runplane.storage.compute_logs import LocalComputeLogStore, new_log_key
from runplane.storage.s3.layout import PIECE_BYTES, Layout
from runplane.storage.s3.settings import S3Settings
from runplane.storage.s3.uploads import Uploads

SETTINGS = S3Settings("bucket", "logs", upload_every_s=0.05)
Key = tuple[str, ...]


class Memory:
    """A bucket that remembers what was done to it, in order."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.done: list[tuple[str, str]] = []
        self.changed = threading.Condition()
        self.refuses: Callable[[str, str], bool] = lambda verb, path: False
        self.holds: dict[str, threading.Event] = {}

    def put(self, path: str, data: bytes) -> None:
        self._do("put", path)
        self.objects[path] = data

    def put_parts(self, path: str, size: int, parts: Iterator[bytes]) -> None:
        self._do("put", path)
        self.objects[path] = b"".join(parts)
        assert len(self.objects[path]) == size

    def get(self, path: str, offset: int, max_bytes: int) -> tuple[bytes, int] | None:
        found = self.objects.get(path)
        return found and (found[offset : offset + max_bytes], len(found))

    def delete(self, paths: list[str]) -> None:
        for path in paths:
            self._do("delete", path)
            self.objects.pop(path, None)

    def until(self, seen: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(seen, 30)

    def _do(self, verb: str, path: str) -> None:
        if path in self.holds:
            assert self.holds[path].wait(30)
        with self.changed:
            self.done.append((verb, path))
            self.changed.notify_all()
        if self.refuses(verb, path):
            raise ConnectionError("away")


class Logs:
    """Local logs, and the uploads that follow them."""

    def __init__(self, folder: Path, bucket: Memory, settings: S3Settings = SETTINGS) -> None:
        self.local = LocalComputeLogStore(folder)
        self.uploads = Uploads(settings, lambda: bucket)

    def open(self, *, in_memory: bool = False) -> tuple[Key, int]:
        key = new_log_key("run")
        out, err = self.local.open(key)
        os.close(err)
        self.follow(key, in_memory=in_memory)
        return key, out

    def follow(self, key: Key, *, in_memory: bool) -> None:
        self.uploads.open(key, {s: str(self.local.path(key, s)) for s in ("out", "err")}, in_memory=in_memory)

    def finish(self, key: Key, out: int) -> None:
        os.close(out)
        self.uploads.finish(key)


@pytest.fixture
def bucket() -> Memory:
    return Memory()


@pytest.fixture
def logs(tmp_path: Path, bucket: Memory) -> Logs:
    return Logs(tmp_path, bucket)


def test_the_whole_log_comes_before_the_mark_and_the_mark_before_pieces_go(logs: Logs, bucket: Memory) -> None:
    key, out = logs.open()
    os.write(out, b"x")
    at = Layout("logs", key)
    bucket.until(lambda: at.piece("out", 0) in bucket.objects or bool(bucket.done))

    logs.finish(key, out)

    assert logs.uploads.end(30) == []
    after = [step for step in bucket.done if step != ("put", at.piece("out", 0))]
    assert after == [
        ("put", at.whole("out")),
        ("put", at.whole("err")),
        ("put", at.mark),
        ("delete", at.piece("out", 0)),
    ], "what a reader saw first stays true: whole, mark, pieces"


def test_a_full_piece_is_put_once(logs: Logs, bucket: Memory) -> None:
    key, out = logs.open()
    at = Layout("logs", key)

    os.write(out, b"x" * (PIECE_BYTES + 1))
    bucket.until(lambda: ("put", at.piece("out", PIECE_BYTES)) in bucket.done)
    os.write(out, b"y")
    bucket.until(lambda: bucket.done.count(("put", at.piece("out", PIECE_BYTES))) == 2)
    logs.finish(key, out)
    logs.uploads.end(30)

    assert bucket.done.count(("put", at.piece("out", 0))) == 1, "a full piece is sent once"


def test_a_log_that_does_not_grow_costs_no_request(logs: Logs, bucket: Memory) -> None:
    still, out = logs.open()
    busy, other = logs.open()
    for _ in range(3):
        sent = bucket.done.count(("put", Layout("logs", busy).piece("out", 0)))
        os.write(other, b"z")
        bucket.until(lambda: bucket.done.count(("put", Layout("logs", busy).piece("out", 0))) > sent)  # noqa: B023

    assert not [path for _, path in bucket.done if still[-1] in path]
    logs.finish(still, out)
    logs.finish(busy, other)
    logs.uploads.end(30)


@pytest.mark.parametrize("step", ["whole", "mark", "pieces"])
def test_each_step_is_done_again_when_it_fails(logs: Logs, bucket: Memory, step: str) -> None:
    key, out = logs.open()
    at = Layout("logs", key)
    target = {"whole": at.whole("out"), "mark": at.mark, "pieces": at.piece("out", 0)}[step]
    os.write(out, b"kept")
    bucket.until(lambda: at.piece("out", 0) in bucket.objects)
    verb = "delete" if step == "pieces" else "put"
    bucket.refuses = lambda v, path: (v, path) == (verb, target) and bucket.done.count((verb, target)) < 3

    logs.finish(key, out)

    assert logs.uploads.end(30) == []
    assert bucket.objects == {at.whole("out"): b"kept", at.whole("err"): b"", at.mark: b""}


def test_what_does_not_get_through_is_missing_and_its_files_stay(logs: Logs, bucket: Memory) -> None:
    bucket.refuses = lambda verb, path: True
    key, out = logs.open()
    os.write(out, b"kept")
    logs.finish(key, out)

    (missing,) = logs.uploads.end(0.2)

    assert (missing.log_key, missing.bytes, missing.why) == (key, 4, "away")
    assert missing.paths == (str(logs.local.path(key, "out")),), "only files that hold something"
    assert logs.local.path(key, "out").read_bytes() == b"kept"


def test_patience_is_counted_from_the_last_thing_that_got_through(logs: Logs, bucket: Memory) -> None:
    opened = [logs.open() for _ in range(4)]
    slow = [Layout("logs", key).whole("out") for key, _ in opened]
    for path in slow:
        bucket.holds[path] = threading.Event()

    def one_after_the_other() -> None:
        for path in slow:
            threading.Event().wait(0.4)
            bucket.holds[path].set()

    for key, out in opened:
        logs.finish(key, out)
    helper = threading.Thread(target=one_after_the_other)
    helper.start()

    assert logs.uploads.end(1.0) == [], "1.6 s in all, never 1 s without anything"
    helper.join()


def test_other_logs_grow_on_while_a_long_one_is_stored(logs: Logs, bucket: Memory) -> None:
    long, out = logs.open()
    second_long, second = logs.open()
    growing, other = logs.open()
    for fd in (out, second):
        os.write(fd, b"x" * (PIECE_BYTES + 1))
    held = Layout("logs", long).whole("out"), Layout("logs", second_long).whole("out")
    for path in held:
        bucket.holds[path] = threading.Event()

    logs.finish(long, out)
    logs.finish(second_long, second)
    os.write(other, b"still seen")
    bucket.until(lambda: bucket.objects.get(Layout("logs", growing).piece("out", 0)) == b"still seen")

    assert not set(held) & set(bucket.objects)
    for path in held:
        bucket.holds[path].set()
    logs.finish(growing, other)
    assert logs.uploads.end(30) == []


def test_a_log_whose_files_are_not_here_is_marked_only(logs: Logs, bucket: Memory, tmp_path: Path) -> None:
    key = new_log_key("run")

    logs.uploads.open(key, {"out": str(tmp_path / "no"), "err": str(tmp_path / "none")})

    assert logs.uploads.end(30) == []
    assert bucket.objects == {Layout("logs", key).mark: b""}


def test_of_a_log_in_memory_what_is_stored_is_freed_and_the_whole_log_is_put_together(
    logs: Logs, bucket: Memory
) -> None:
    key, out = logs.open(in_memory=True)
    at = Layout("logs", key)
    text = os.urandom(PIECE_BYTES) + bytes(PIECE_BYTES) + b"the rest"
    os.write(out, text)
    bucket.until(lambda: at.piece("out", 2 * PIECE_BYTES) in bucket.objects)

    assert os.fstat(out).st_blocks * 512 < PIECE_BYTES, "its full pieces hold no memory any more"
    logs.finish(key, out)

    assert logs.uploads.end(30) == []
    assert bucket.objects == {at.whole("out"): text, at.whole("err"): b"", at.mark: b""}


@pytest.mark.parametrize("rest", [b"", b"the rest"])
def test_an_uploader_in_place_of_a_killed_one_knows_what_was_freed(
    logs: Logs, bucket: Memory, rest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, out = logs.open(in_memory=True)
    at = Layout("logs", key)
    text = b"x" * PIECE_BYTES + bytes(PIECE_BYTES)
    os.write(out, text)
    bucket.until(lambda: at.piece("out", PIECE_BYTES) in bucket.objects)
    monkeypatch.setattr(logs.uploads, "_step", lambda capture: None)
    assert logs.uploads.end(30) == [], "it lets go of the log as it is"
    os.write(out, rest)
    logs.uploads = Uploads(SETTINGS, lambda: bucket)

    logs.follow(key, in_memory=True)
    logs.finish(key, out)

    assert logs.uploads.end(30) == []
    assert bucket.objects[at.whole("out")] == text + rest


def test_a_full_log_in_memory_is_stored_before_its_time(tmp_path: Path, bucket: Memory) -> None:
    logs = Logs(tmp_path, bucket, S3Settings("bucket", "logs", upload_every_s=3600))
    key, out = logs.open(in_memory=True)

    os.write(out, b"x" * (PIECE_BYTES + 1))

    bucket.until(lambda: Layout("logs", key).piece("out", 0) in bucket.objects)
    assert Layout("logs", key).piece("out", PIECE_BYTES) not in bucket.objects, "the rest has time"
    logs.finish(key, out)
    assert logs.uploads.end(30) == []
