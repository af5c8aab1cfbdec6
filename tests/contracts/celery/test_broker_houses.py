"""A Redis whose certificate is checked, and one that Sentinel fails over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.celery_app.broker import Broker, BrokerUnavailableError
from runplane.celery_app.hint import Hint, read
from runplane.celery_app.settings import CelerySettings, celery_settings
from runplane.errors import ConfigErrors
from services import redis_server
from services.fixtures import not_to_be_had
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


def test_a_certificate_is_checked_against_the_authority_that_is_given(tls_redis: TlsRedis) -> None:
    ours = {"broker_use_ssl": {"ssl_ca_certs": str(tls_redis.authority)}}
    broker = Broker(CelerySettings(f"rediss://localhost:{tls_redis.port}/0", ours))

    goes_and_comes(broker)

    broker.close()


@pytest.mark.parametrize(("host", "authority"), [("localhost", False), ("127.0.0.1", True)])
def test_a_server_that_nobody_vouches_for_is_not_spoken_to(tls_redis: TlsRedis, host: str, authority: bool) -> None:
    ours = {"broker_use_ssl": {"ssl_ca_certs": str(tls_redis.authority)}} if authority else {}
    broker = Broker(CelerySettings(f"rediss://{host}:{tls_redis.port}/0", ours))

    with pytest.raises(BrokerUnavailableError, match="(?i)certificate"):
        broker.publish(HINT, 5)


def test_the_check_is_left_out_when_somebody_says_so(tls_redis: TlsRedis) -> None:
    broker = Broker(
        CelerySettings(f"rediss://127.0.0.1:{tls_redis.port}/0", {"broker_use_ssl": {"ssl_cert_reqs": "none"}})
    )

    goes_and_comes(broker)

    broker.close()


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
