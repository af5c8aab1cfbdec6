"""The brokers that are spoken to, each one a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services import rabbitmq, redis_server
from services.fixtures import not_to_be_had
from services.rabbitmq import RabbitServer
from services.redis_server import RedisServer


@pytest.fixture(scope="session")
def rabbit_server(servers_folder: Path) -> Iterator[RabbitServer]:
    if not rabbitmq.is_installed():
        not_to_be_had("no program `rabbitmq-server`")
    folder = servers_folder / "rabbitmq"
    folder.mkdir()
    server = RabbitServer(folder, with_tls=True)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if redis_server.program() is None:
        not_to_be_had("no program `redis-server`")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture(params=["redis", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest) -> str:
    name = {"redis": "redis_server_of_session", "rabbitmq": "rabbit_server"}[request.param]
    url: str = request.getfixturevalue(name).url
    return url
