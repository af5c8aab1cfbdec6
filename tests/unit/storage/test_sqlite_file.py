"""SQLite as a file: who holds the lock, what a full or read-only disk does, where it may not lie, what waiting costs."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.errors import RunplaneError, StorageUnavailableError, UnsupportedError
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.run import Run
from runplane.storage import sqlite as sqlite_module
from runplane.storage.filesystem import network_file_system
from runplane.storage.journal import Journal
from runplane.storage.sqlite import SqliteDatabase
from runplane.storage.sqlite_locks import describe, lock_holder

HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(600)
"""


def log(text: str) -> NewEvent:
    return NewEvent(EventKind.LOG, None, None, {"message": text}, time.time())


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(tmp_path / "runplane.db", busy_timeout_s=0.2)
    yield database
    database.close()


@pytest.fixture
def journal(database: SqliteDatabase) -> Journal:
    journal = Journal(database)
    journal.create(Run(run_id="r", job_name="job"))
    return journal


@contextlib.contextmanager
def held_by_another_process(path: Path) -> Iterator[int]:
    child = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "held\n"
        yield child.pid
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_the_writer_that_waits_names_the_holder(database: SqliteDatabase, journal: Journal) -> None:
    assert database.path is not None
    with held_by_another_process(database.path) as pid:
        with pytest.raises(StorageUnavailableError) as caught:
            journal.annotate("r", [log("no")])
        assert f"process {pid} (" in str(caught.value)
        assert f"kill {pid}" in str(caught.value)

        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(StorageUnavailableError, match="which is stopped, has held the write lock"):
            journal.annotate("r", [log("no")])

    assert journal.annotate("r", [log("yes")]) == 1


def test_readers_do_not_wait_for_the_writer(database: SqliteDatabase, journal: Journal) -> None:
    assert database.path is not None
    journal.annotate("r", [log("before")])

    with held_by_another_process(database.path):
        assert [e.body["message"] for e in journal.tail("r", 0)] == ["before"]


def test_nobody_holds_a_file_that_nobody_writes(database: SqliteDatabase, tmp_path: Path) -> None:
    assert lock_holder(tmp_path / "runplane.db") is None
    assert lock_holder(tmp_path / "nothing.db") is None
    assert lock_holder(tmp_path / "runplane.db", locks=tmp_path / "no-proc") is None


def test_a_process_that_is_gone_is_a_number() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()

    assert describe(child.pid) == f"process {child.pid}"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_connection_is_not_carried_through_a_fork(database: SqliteDatabase) -> None:
    assert forked(lambda: database.read("SELECT 1", {})) == "RunplaneError"


def forked(call: object) -> str:
    assert callable(call)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            call()
            os.write(write, b"nothing raised")
        except RunplaneError as e:
            os.write(write, type(e).__name__.encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as answer:
        return answer.read()


# Network file systems ---------------------------------------------------------------------------------------------------------

MOUNTS = """\
/dev/sda1 / ext4 rw,relatime 0 0
server:/export /home nfs4 rw 0 0
tmpfs /home/me/local tmpfs rw 0 0
//server/share /mnt/with\\040space cifs rw 0 0
map /net autofs rw 0 0
bucket /data fuse.s3fs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib/runplane", None),
        ("/home/me/runplane", "nfs4"),
        ("/home/me/local/x", None),
        ("/homework", None),
        ("/mnt/with space/x", "cifs"),
        ("/data", "fuse.s3fs"),
    ],
)
def test_the_longest_mount_that_holds_the_folder_decides(tmp_path: Path, folder: str, kind: str | None) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)

    assert network_file_system(Path(folder), mounts) == kind


def test_what_is_mounted_later_lies_on_top(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("server:/x /srv nfs rw 0 0\n/dev/sdb /srv ext4 rw 0 0\n")

    assert network_file_system(Path("/srv/x"), mounts) is None


def test_without_a_mount_table_nothing_is_known(tmp_path: Path) -> None:
    assert network_file_system(tmp_path, tmp_path / "none") is None


def test_a_network_file_system_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_module, "network_file_system", lambda folder: "nfs4")

    with pytest.raises(UnsupportedError, match=r"network file system.*got nfs4.*postgres"):
        SqliteDatabase(tmp_path / "runplane.db")
    assert list(tmp_path.iterdir()) == []


# News -------------------------------------------------------------------------------------------------------------------------


def test_an_event_of_another_process_is_seen_within_100_ms(
    database: SqliteDatabase, journal: Journal, tmp_path: Path
) -> None:
    other = Journal(SqliteDatabase(tmp_path / "runplane.db"))
    while database.wait_for_news(0):
        pass
    delays = []
    for i in range(20):
        written: list[float] = []

        def write(number: int = i, at: list[float] = written) -> None:
            other.annotate("r", [log(str(number))])
            at.append(time.monotonic())

        timer = threading.Timer(0.01 * (i % 7), write)
        timer.start()
        assert database.wait_for_news(10)
        seen = time.monotonic()
        timer.join()
        delays.append(seen - written[0])
    other.database.close()

    # The middle one: a busy machine may delay one of them.
    assert sorted(delays)[10] < 0.1


def test_what_this_process_writes_is_news_to_its_own_readers(database: SqliteDatabase, journal: Journal) -> None:
    while database.wait_for_news(0):
        pass

    journal.annotate("r", [log("mine")])

    assert database.wait_for_news(0) is True
    assert database.wait_for_news(0) is False


def test_who_waits_for_news_can_be_woken_once(database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    while database.wait_for_news(0):
        pass

    database.wake()

    monkeypatch.setattr(sqlite_module, "POLL_S", 60.0)
    began = time.monotonic()
    assert database.wait_for_news(60) is True
    assert time.monotonic() - began < 30
    assert database.wait_for_news(0) is False


def test_waiting_costs_next_to_nothing(database: SqliteDatabase) -> None:
    while database.wait_for_news(0):
        pass

    before = time.process_time()
    assert database.wait_for_news(2) is False

    assert time.process_time() - before < 0.02


def test_sqlites_library_must_be_new_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))

    with pytest.raises(UnsupportedError, match="too old"):
        SqliteDatabase(tmp_path / "runplane.db")
