"""The configuration of Celery, checked whole: brokers, what may be set, queues, priorities."""

from __future__ import annotations

from typing import Any

import pytest

from runplane.celery_app.settings import celery_settings, checked_queue, priority_of, queue_of, without_password
from runplane.errors import ConfigErrors


def settings_of(**config: Any) -> Any:
    return celery_settings(config, {}, where="here")


@pytest.mark.parametrize(
    "broker",
    [
        "redis://h:6379/0",
        "rediss://h/1",
        "sentinel://a:26379;sentinel://b:26379",
        "amqp://u:p@h//",
        "amqps://h",
        "database",
    ],
)
def test_brokers_that_are_known(broker: str) -> None:
    named = {"broker_transport_options": {"master_name": "m"}}
    assert settings_of(broker=broker, config_source=named).broker == broker


def test_without_a_broker_it_is_dagsters_default() -> None:
    found = celery_settings({}, {"DAGSTER_CELERY_BROKER_HOST": "rabbit"}, where="here")

    assert found.broker == "pyamqp://guest@rabbit:5672//"


@pytest.mark.parametrize("broker", ["sqs://", "redi://h", "localhost:6379", "redis://a;kafka://b"])
def test_an_unknown_kind_of_broker_is_named_without_its_secrets(broker: str) -> None:
    with pytest.raises(ConfigErrors, match="broker: is of a kind that is not known here"):
        settings_of(broker=broker)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"accept_content": ["pickle"]}, "config_source.accept_content: may not be set: messages are JSON"),
        ({"task_serializer": "yaml"}, "config_source.task_serializer: may not be set"),
        ({"TASK_SERIALIZER": "pickle"}, "config_source.TASK_SERIALIZER: may not be set"),
        ({"task_acks_late": True}, "acknowledged when it is received"),
        ({"imports": ["os"]}, "config_source.imports: may not be set"),
        ({"broker_heartbeet": 1}, "did you mean 'broker_heartbeat'"),
        ({"broker_transport_options": {"queue_arguments": {"x-queue-type": "quorum"}}}, "got quorum, expected classic"),
        ({"task_queue_max_priority": 5}, "expected 10"),
    ],
)
def test_what_may_not_be_set(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigErrors) as raised:
        settings_of(broker="redis://h", config_source=options)

    assert said in str(raised.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigErrors) as raised:
        settings_of(broker="x", include=["my.tasks"], config_source={"task_serializer": "pickle"})

    assert [problem.path for problem in raised.value.problems] == ["broker", "include", "config_source.task_serializer"]


@pytest.mark.parametrize("name", ["", "a b", "x" * 101, "-q", "q\x06\x163", "a/b"])
def test_names_that_no_queue_has(name: str) -> None:
    with pytest.raises(ConfigErrors, match="is no name of a queue"):
        checked_queue(name, where="here")


def test_the_queue_of_a_step() -> None:
    assert queue_of({}, where="here") == "dagster"
    assert queue_of({"dagster-celery/queue": "gpu:a100"}, where="here") == "gpu:a100"


@pytest.mark.parametrize(
    ("run", "op", "priority"),
    [({}, {}, 5), ({}, {"x": "9"}, 9), ({"x": "3"}, {"x": "4"}, 7), ({"x": "9"}, {}, 9), ({"x": "-9"}, {}, 0)],
)
def test_run_and_op_priority_are_added_within_what_a_broker_knows(
    run: dict[str, str], op: dict[str, str], priority: int
) -> None:
    run_tags = {"dagster-celery/run_priority": run["x"]} if run else {}
    op_tags = {"dagster-celery/priority": op["x"]} if op else {}

    assert priority_of(run_tags, op_tags, where="here") == priority


def test_a_priority_that_is_no_number() -> None:
    with pytest.raises(ConfigErrors, match="is no whole number"):
        priority_of({}, {"dagster-celery/priority": "high"}, where="here")


def test_a_broker_is_shown_without_its_password() -> None:
    assert without_password("amqp://u:secret@h:1//v") == "amqp://u:***@h:1//v"
    assert "secret" not in without_password("amqp://u:secret@h//;amqp://u:secret@i//")
    assert "secret" not in without_password("redis://:secret@h:1/0?password=secret")
