"""What TLS to a broker is made from, and what of it is refused at load."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from runplane.celery_app.settings import celery_settings
from runplane.celery_app.tls import checked_tls
from runplane.errors import ConfigErrors

RABBITMQ, REDIS = "amqps://h:5671//", "rediss://h:6379/0"


@pytest.mark.parametrize(
    ("broker", "given", "said"),
    [
        (REDIS, {"ca_certs": "f"}, "broker_use_ssl.ca_certs: is not known to Redis"),
        (RABBITMQ, {"ssl_ca_certs": "f"}, "broker_use_ssl.ssl_ca_certs: is not known to RabbitMQ"),
        (RABBITMQ, {"cert_reqs": "maybe"}, "broker_use_ssl.cert_reqs: is not known"),
        (REDIS, {"ssl_cert_reqs": 7}, "broker_use_ssl.ssl_cert_reqs: is not known"),
        (REDIS, "yes", "broker_use_ssl: is neither true nor a map"),
        (f"{RABBITMQ}?ca_certs=f", None, "which RabbitMQ's URLs do not know"),
        (f"{RABBITMQ}?ssl_ca_certs=f", None, "config_source.broker_use_ssl: {ca_certs: ...}"),
    ],
)
def test_what_is_refused_at_load(broker: str, given: Any, said: str) -> None:
    with pytest.raises(ConfigErrors) as raised:
        celery_settings({"broker": broker, "config_source": {"broker_use_ssl": given}}, {}, where="here")

    assert said in str(raised.value)


@pytest.mark.parametrize("name", ["cert_reqs", "ssl_cert_reqs"])
@pytest.mark.parametrize(
    ("value", "mode"),
    [
        ("required", ssl.CERT_REQUIRED),
        ("CERT_NONE", ssl.CERT_NONE),
        ("optional", ssl.CERT_OPTIONAL),
        (0, ssl.CERT_NONE),
        (True, ssl.CERT_REQUIRED),
        (None, ssl.CERT_REQUIRED),
    ],
)
def test_how_the_check_is_named(name: str, value: object, mode: ssl.VerifyMode) -> None:
    broker = RABBITMQ if name == "cert_reqs" else REDIS
    celery_settings({"broker": broker, "config_source": {"broker_use_ssl": {name: value}}}, {}, where="here")

    found = checked_tls(broker, {name: value}, is_redis=broker == REDIS)

    assert found[name] is mode


@pytest.mark.parametrize("given", [None, True, {}])
def test_certificate_and_name_are_checked_by_default(given: object) -> None:
    rabbitmq = checked_tls("amqps://first:5671//;amqps://second//", given, is_redis=False)
    redis = checked_tls(REDIS, given, is_redis=True)

    assert (rabbitmq["cert_reqs"], rabbitmq["server_hostname"]) == (ssl.CERT_REQUIRED, "first")
    assert redis == {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    away = str(tmp_path / "ca.pem")

    with pytest.raises(ConfigErrors, match=r"broker_use_ssl\.ca_certs: there is no such file here") as raised:
        checked_tls(RABBITMQ, {"ca_certs": away}, is_redis=False)

    assert away in str(raised.value)
