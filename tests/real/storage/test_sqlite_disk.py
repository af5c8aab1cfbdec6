"""A full disk and a read-only home: a clear error, nothing half written, and everything goes on when there is room again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.errors import StorageUnavailableError
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind as K
from runplane.events.run import Run
from runplane.storage.contract import Append, AttemptRef, Issue, Owner, RunClaim
from runplane.storage.journal import Journal
from runplane.storage.sqlite import SqliteDatabase
from services.small_disk import SmallDisk, mounted

A1 = AttemptRef("a", 1)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with mounted(tmp_path / "disk", "1m") as made:
        yield made


@pytest.fixture
def small_disk(disk: SmallDisk) -> Path:
    """A file system of one megabyte."""
    return disk.path


def log(text: str) -> NewEvent:
    return NewEvent(K.LOG, None, None, {"message": text}, time.time())


def claimed(journal: Journal) -> RunClaim:
    journal.create(Run(run_id="r", job_name="job"))
    claim = journal.claim_run("r", Owner("w", "h", "b", 1, 1), [], NewEvent(K.RUN_START, None, None, {}, time.time()))
    assert claim is not None
    return claim


def test_a_full_disk_leaves_nothing_half_written(disk: SmallDisk, small_disk: Path) -> None:
    database = SqliteDatabase(small_disk / "runplane.db")
    journal = Journal(database)
    epoch = claimed(journal).epoch
    batch = 0

    def fill() -> None:
        nonlocal batch
        while batch < 10_000:
            batch += 1
            journal.commit(
                "r", epoch, batch, [Append([log("x" * 1000) for _ in range(20)]), Issue(AttemptRef("a", batch))]
            )

    with pytest.raises(StorageUnavailableError, match=r"full.*Is the disk full"):
        fill()

    events = journal.tail("r", 0, 100_000)
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert journal.head("r").head == len(events)

    disk.resize("8m")
    again = journal.commit("r", epoch, batch, [Append([log("now there is room")])])
    assert again.head == len(events) + 1
    database.close()


def test_a_full_disk_at_the_first_start(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(b"\0" * (1 << 20))

    with pytest.raises(StorageUnavailableError, match="disk"):
        SqliteDatabase(small_disk / "runplane.db")

    (small_disk / "ballast").unlink()
    SqliteDatabase(small_disk / "runplane.db").close()


def test_a_home_that_becomes_read_only(disk: SmallDisk, small_disk: Path) -> None:
    database = SqliteDatabase(small_disk / "runplane.db")
    journal = Journal(database)
    epoch = claimed(journal).epoch
    journal.commit("r", epoch, 1, [Append([log("before")])])
    database.close()
    disk.read_only()

    with pytest.raises(StorageUnavailableError, match="read-?only|unable to open"):
        Journal(SqliteDatabase(small_disk / "runplane.db")).commit("r", epoch, 2, [Append([log("no")])])

    disk.read_only(False)
    journal = Journal(SqliteDatabase(small_disk / "runplane.db"))
    assert [e.kind for e in journal.tail("r", 0)] == ["RUN_START", "LOG"]
    journal.database.close()


def test_an_empty_read_only_home(disk: SmallDisk, small_disk: Path) -> None:
    disk.read_only()

    with pytest.raises(StorageUnavailableError, match="can not be opened"):
        SqliteDatabase(small_disk / "runplane.db")
    assert list(small_disk.iterdir()) == []
