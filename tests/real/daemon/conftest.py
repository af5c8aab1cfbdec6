"""Rooms with daemons; whatever they left running is ended with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.daemons import DaemonRoom, queue_yaml
from services.system import postgres_yaml

MakeRoom = Callable[..., DaemonRoom]


@pytest.fixture
def make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeRoom]:
    """Makes a room: a storage in YAML, and settings of the queue."""
    made: list[DaemonRoom] = []

    def make(storage: str = "", more: str = "", ttl_s: float = 3.0, **queue: object) -> DaemonRoom:
        folder = tmp_path / f"room-{len(made)}"
        folder.mkdir()
        monkeypatch.syspath_prepend(str(folder))
        made.append(DaemonRoom(folder, queue_yaml(storage, queue) + more, ttl_s))
        return made[-1]

    yield make
    for room in made:
        room.close()


@pytest.fixture
def postgres_room(make_room: MakeRoom, postgres_url: str) -> MakeRoom:
    """The same on Postgres."""
    return lambda **given: make_room(postgres_yaml(postgres_url), **given)
