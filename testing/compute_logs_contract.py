"""What every ``ComputeLogStore`` must do, each rule shown by a test with a real process that writes.

A store's own test derives from ``ComputeLogsContract`` and says how one is made::

    class TestMine(ComputeLogsContract):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda: MyStore(tmp_path)

``open_store()`` makes one more object for the same place, as another process would have it. A store that sends its logs somewhere gives
``arrive``, and sets ``shows_at_once = False`` when they can be read there only once they are finished.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from ..errors import NotFoundError
from ..storage.compute_logs import ComputeLogStore, DeletesLogs, Stream, new_log_key

OpenStore = Callable[[], ComputeLogStore]
RUN = "2b5a9f0e-63c5-4f6e-8f3e-7f4f2f1d9a11"
_WRITES = (
    "import os, sys; data = sys.stdin.buffer.read(); os.write(1, data[:{size}]); os.write(2, data[{size}:]); {then}"
)
_DIES = f"os.kill(os.getpid(), {int(signal.SIGKILL)})"


class ComputeLogsContract:
    """The suite. Derive from it."""

    shows_at_once = True

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """How one more object for the same, empty place is made."""
        raise NotImplementedError

    def arrive(self, store: ComputeLogStore) -> None:
        """Return once another object can read what `store` has finished."""

    @pytest.fixture
    def store(self, open_store: OpenStore) -> ComputeLogStore:
        return open_store()

    @pytest.fixture
    def key(self) -> Sequence[str]:
        return new_log_key(RUN)

    def test_a_process_writes_to_the_two_descriptors(self, store: ComputeLogStore, key: Sequence[str]) -> None:
        capture(store, key, b"to out\n", b"to err\n")
        store.finish(key)

        assert whole(store, key, "out") == b"to out\n"
        assert whole(store, key, "err") == b"to err\n"

    def test_what_was_written_is_there_when_the_process_is_killed(
        self, store: ComputeLogStore, key: Sequence[str]
    ) -> None:
        code = capture(store, key, b"last words", then=_DIES)
        store.finish(key)

        assert code == -signal.SIGKILL
        assert whole(store, key, "out") == b"last words"

    def test_a_process_started_by_the_step_writes_behind_it(self, store: ComputeLogStore, key: Sequence[str]) -> None:
        out, err = store.open(key)
        for word in ("one ", "two ", "three"):
            os.write(out, b"- ")
            subprocess.run([sys.executable, "-c", f"print('{word}')"], stdout=out, stderr=err, check=True)
        close(out, err)
        store.finish(key)

        assert whole(store, key, "out") == b"- one \n- two \n- three\n"

    def test_bytes_come_back_as_they_were(self, store: ComputeLogStore, key: Sequence[str]) -> None:
        odd = bytes(range(256)) + "ü€\N{GRINNING FACE}\r\n".encode() + b"no newline at the end"

        capture(store, key, odd)
        store.finish(key)

        assert whole(store, key, "out") == odd

    @pytest.mark.parametrize("size", [1, 7, 1000])
    def test_pieces_of_any_size_make_the_whole(self, store: ComputeLogStore, key: Sequence[str], size: int) -> None:
        text = b"".join(b"%d\n" % i for i in range(50 * size))
        capture(store, key, text)
        store.finish(key)

        found, offset, complete = [], 0, False
        while not complete:
            chunk = store.read(key, "out", offset, size)
            assert len(chunk.data) <= size
            assert chunk.next == offset + len(chunk.data)
            assert chunk.data or chunk.complete, "a reader would never come to the end"
            found.append(chunk.data)
            offset, complete = chunk.next, chunk.complete

        assert b"".join(found) == text

    def test_a_log_is_complete_at_its_end_and_when_it_is_finished(
        self, store: ComputeLogStore, key: Sequence[str]
    ) -> None:
        capture(store, key, b"0123456789")
        before = store.read(key, "out", 10, 100)
        store.finish(key)

        in_the_middle = store.read(key, "out", 0, 4)
        at_the_end = store.read(key, "out", 4, 100)
        behind = store.read(key, "out", at_the_end.next, 100)

        assert (before.data, before.complete) == (b"", False)
        assert (in_the_middle.data, in_the_middle.complete) == (b"0123", False)
        assert (at_the_end.data, at_the_end.complete) == (b"456789", True)
        assert (behind.data, behind.next, behind.complete) == (b"", 10, True)

    def test_what_is_not_there_yet_is_empty_and_not_complete(self, store: ComputeLogStore, key: Sequence[str]) -> None:
        chunk = store.read(key, "err", 0, 10)

        assert (chunk.data, chunk.next, chunk.complete) == (b"", 0, False)

    def test_a_log_that_nothing_was_written_to_can_be_finished(
        self, store: ComputeLogStore, key: Sequence[str]
    ) -> None:
        close(*store.open(key))
        store.finish(key)

        for stream in STREAMS:
            assert store.read(key, stream, 0, 10).complete
            assert whole(store, key, stream) == b""

    def test_finishing_twice_is_finishing_once(self, open_store: OpenStore, key: Sequence[str]) -> None:
        store, another = open_store(), open_store()
        capture(store, key, b"kept")

        store.finish(key)
        store.finish(key)
        another.finish(key)

        assert whole(store, key, "out") == b"kept"

    def test_another_process_reads_what_is_finished(self, open_store: OpenStore, key: Sequence[str]) -> None:
        store = open_store()
        capture(store, key, b"out", b"err")
        store.finish(key)
        self.arrive(store)

        another = open_store()

        assert whole(another, key, "out") == b"out"
        assert whole(another, key, "err") == b"err"

    def test_another_process_reads_along(self, open_store: OpenStore, key: Sequence[str]) -> None:
        if not self.shows_at_once:
            pytest.skip("this store's logs can be read elsewhere when they are finished")
        store, reader = open_store(), open_store()
        out, err = store.open(key)

        os.write(out, b"first ")
        first = reader.read(key, "out", 0, 100)
        os.write(out, b"second")
        second = reader.read(key, "out", first.next, 100)
        close(out, err)

        assert (first.data, first.complete) == (b"first ", False)
        assert (second.data, second.complete) == (b"second", False)

    def test_captures_are_kept_apart(self, store: ComputeLogStore) -> None:
        keys = [new_log_key(RUN), new_log_key(RUN), new_log_key("another-run")]
        for i, key in enumerate(keys):
            capture(store, key, b"%d" % i)
        for key in keys:
            store.finish(key)

        assert [whole(store, key, "out") for key in keys] == [b"0", b"1", b"2"]

    def test_the_logs_of_one_run_are_deleted(self, open_store: OpenStore) -> None:
        store, another = open_store(), open_store()
        if not isinstance(store, DeletesLogs) or not isinstance(another, DeletesLogs):
            pytest.skip("this store can not delete")
        gone, kept = [new_log_key(RUN), new_log_key(RUN)], new_log_key("another-run")
        for key in [*gone, kept]:
            capture(store, key, b"words")
            store.finish(key)
        self.arrive(store)

        store.delete(RUN)
        another.delete(RUN)

        assert [open_store().read(key, "out", 0, 10).data for key in gone] == [b"", b""]
        assert whole(store, kept, "out") == b"words"

    @pytest.mark.parametrize("part", ["..", ".", "", "a/b", "a\0b"])
    def test_a_key_leads_nowhere_else(self, store: ComputeLogStore, part: str) -> None:
        with pytest.raises(NotFoundError):
            store.read((RUN, part, "abcdefgh"), "out", 0, 10)


STREAMS: tuple[Stream, Stream] = ("out", "err")


def capture(store: ComputeLogStore, key: Sequence[str], out: bytes, err: bytes = b"", then: str = "pass") -> int:
    """Have a process write, as a step would: its descriptors 1 and 2 are the store's. Its exit code."""
    fds = store.open(key)
    try:
        command = [sys.executable, "-c", _WRITES.format(size=len(out), then=then)]
        return subprocess.run(command, input=out + err, stdout=fds[0], stderr=fds[1], check=False).returncode
    finally:
        close(*fds)


def close(*descriptors: int) -> None:
    """Close what ``open`` gave."""
    for fd in descriptors:
        os.close(fd)


def whole(store: ComputeLogStore, key: Sequence[str], stream: Stream) -> bytes:
    """All of a finished log."""
    chunk = store.read(key, stream, 0, 1 << 20)
    assert chunk.complete, "the log is finished, and this is its end"
    return chunk.data
