"""Systems whose steps stand in queues of a real broker; whatever they left running is ended with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services import redis_server
from services.fixtures import not_to_be_had
from services.queue_workers import QueueSystem
from services.redis_server import RedisServer

MakeQueues = Callable[..., QueueSystem]


@pytest.fixture
def redis_broker(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test."""
    if redis_server.program() is None:
        not_to_be_had("no program `redis-server`")
    server = RedisServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def make_queues(tmp_path: Path) -> Iterator[MakeQueues]:
    """Makes a system with steps in queues of this broker."""
    made: list[QueueSystem] = []

    def make(broker: str, nap_s: float = 0.3, yaml: str = "", config_source: Any = None, width: int = 1) -> QueueSystem:
        folder = tmp_path / f"system-{len(made)}"
        folder.mkdir()
        made.append(QueueSystem(folder, broker, nap_s, yaml, config_source, width))
        return made[-1]

    yield make
    for system in made:
        system.close()


@pytest.fixture
def queues(make_queues: MakeQueues, redis_broker: RedisServer) -> QueueSystem:
    """A system on Redis."""
    return make_queues(redis_broker.url)
