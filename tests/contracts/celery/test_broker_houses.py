"""Brokers whose certificates are checked, and a Redis that Sentinel fails over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runplane.celery_app.broker import Broker, BrokerUnavailableError
from runplane.celery_app.hint import Hint, read
from runplane.celery_app.settings import CelerySettings, celery_settings
from runplane.errors import ConfigErrors
from services import redis_server
from services.fixtures import not_to_be_had
from services.queue_workers import QueueSystem
from services.rabbitmq import RabbitServer
from services.redis_houses import SentinelRedis, TlsRedis

HINT = Hint("i", "run", "a", 1, "q")
PATIENCE_S = 60.0


@pytest.fixture
def tls_redis(tmp_path: Path) -> Iterator[TlsRedis]:
    if redis_server.program() is None:
        not_to_be_had("no program `redis-server`")
    made = TlsRedis(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def sentinel_redis(tmp_path: Path) -> Iterator[SentinelRedis]:
    if redis_server.program() is None:
        not_to_be_had("no program `redis-server`")
    made = SentinelRedis(tmp_path)
    yield made
    made.stop()


def goes_and_comes(broker: Broker) -> None:
    broker.publish(HINT, 5)
    got = broker.get("q")
    assert got is not None
    broker.acknowledge(got)
    assert read(got.message, "i") == HINT


@dataclass(frozen=True, slots=True)
class TlsBroker:
    """A server whose certificate is for ``localhost``. `url`: with the host left out; `prefix`: of the names of its TLS settings."""

    url: str
    authority: Path
    prefix: str

    def settings(self, host: str, **tls: object) -> CelerySettings:
        options = {"broker_use_ssl": {f"{self.prefix}{name}": value for name, value in tls.items()}} if tls else {}
        return CelerySettings(self.url.replace("HOST", host), options)


@pytest.fixture(params=["redis", "rabbitmq"])
def tls_broker(request: pytest.FixtureRequest) -> TlsBroker:
    if request.param == "redis":
        redis: TlsRedis = request.getfixturevalue("tls_redis")
        return TlsBroker(f"rediss://HOST:{redis.port}/0", redis.authority, "ssl_")
    rabbit: RabbitServer = request.getfixturevalue("rabbit_server")
    return TlsBroker(f"amqps://guest:guest@HOST:{rabbit.tls_port}//", rabbit.authority, "")


def test_a_certificate_is_checked_against_the_authority_that_is_given(tls_broker: TlsBroker) -> None:
    broker = Broker(tls_broker.settings("localhost", ca_certs=str(tls_broker.authority)))

    goes_and_comes(broker)

    broker.close()


@pytest.mark.parametrize(("host", "is_trusted"), [("localhost", False), ("127.0.0.1", True)])
def test_a_server_that_nobody_vouches_for_is_not_spoken_to(tls_broker: TlsBroker, host: str, is_trusted: bool) -> None:
    authority = {"ca_certs": str(tls_broker.authority)} if is_trusted else {}
    broker = Broker(tls_broker.settings(host, **authority))

    with pytest.raises(BrokerUnavailableError, match="certificate verify failed") as raised:
        broker.publish(HINT, 5)

    assert "broker_use_ssl" in str(raised.value)


def test_the_check_is_left_out_when_somebody_says_so(tls_broker: TlsBroker) -> None:
    broker = Broker(tls_broker.settings("127.0.0.1", cert_reqs="none"))

    goes_and_comes(broker)

    broker.close()


def test_the_url_of_redis_may_name_the_authority(tls_redis: TlsRedis) -> None:
    broker = Broker(CelerySettings(f"rediss://localhost:{tls_redis.port}/0?ssl_ca_certs={tls_redis.authority}"))

    goes_and_comes(broker)

    broker.close()


@pytest.fixture
def worked_by(tmp_path: Path) -> Iterator[Callable[[CelerySettings], QueueSystem]]:
    """Makes a system with steps in queues of a broker."""
    made: list[QueueSystem] = []

    def make(settings: CelerySettings) -> QueueSystem:
        folder = tmp_path / "system"
        folder.mkdir()
        made.append(QueueSystem(folder, settings.broker, 0.0, config_source=settings.options))
        return made[-1]

    yield make
    for system in made:
        system.close()


def test_a_worker_says_at_its_start_that_it_does_not_trust_the_broker(
    tls_broker: TlsBroker, worked_by: Callable[[CelerySettings], QueueSystem]
) -> None:
    queues = worked_by(tls_broker.settings("localhost"))

    said = queues.cli("celery", "worker", "start", "-y", str(queues.settings))

    assert said.returncode != 0
    assert "certificate verify failed" in said.stderr
    assert "broker_use_ssl: {" in said.stderr
    assert "Traceback" not in said.stderr


def test_steps_are_run_by_way_of_a_broker_whose_authority_is_named(
    rabbit_server: RabbitServer, worked_by: Callable[[CelerySettings], QueueSystem]
) -> None:
    trusting = {"broker_use_ssl": {"ca_certs": str(rabbit_server.authority)}}
    queues = worked_by(CelerySettings(f"amqps://guest:guest@localhost:{rabbit_server.tls_port}//", trusting))
    queues.queue_worker("-q", "work", "-c", "1")
    run_id = queues.create("one")

    assert queues.run_to_end(run_id) == 0

    assert queues.completed(run_id) == {"takes_no_time": 1}


def test_sentinel_names_the_master_and_the_next_one(sentinel_redis: SentinelRedis) -> None:
    config = {
        "broker": sentinel_redis.url,
        "config_source": {"broker_transport_options": {"master_name": SentinelRedis.NAME}},
    }
    broker = Broker(celery_settings(config, {}, where="test"))
    goes_and_comes(broker)

    sentinel_redis.fail_over()

    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            goes_and_comes(broker)
            break
        except BrokerUnavailableError:
            assert time.monotonic() < end
            time.sleep(0.2)
    broker.close()


def test_sentinel_without_the_masters_name_is_refused_at_load() -> None:
    with pytest.raises(ConfigErrors, match="master_name: Sentinel has to be told which master is meant"):
        celery_settings({"broker": "sentinel://h:26379"}, {}, where="test")
