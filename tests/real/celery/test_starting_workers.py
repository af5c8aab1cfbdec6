"""A worker that can not do its work says so when it is started, with the way out, and touches nothing."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runplane.celery_app.app import make_app
from runplane.celery_app.settings import CelerySettings
from services.queue_workers import QueueSystem
from services.redis_server import RedisServer

MakeQueues = Callable[..., QueueSystem]
START_S = 90.0


@pytest.fixture
def their_worker(tmp_path: Path, redis_broker: RedisServer, dagster_python: Path) -> Iterator[str]:
    """A worker of a real Dagster that listens to its default queue on this Redis; the broker's URL."""
    (tmp_path / "dagster_celery_config.py").write_text(f"broker_url = {redis_broker.url!r}\n", encoding="utf-8")
    log = tmp_path / "their-worker.log"
    with log.open("wb") as out:
        worker = subprocess.Popen(
            [dagster_python, "-m", "celery", "-A", "dagster_celery.app", "worker", "-P", "solo", "-Q", "dagster"],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    inspect = make_app(CelerySettings(redis_broker.url)).control.inspect(timeout=1.0)
    end = time.monotonic() + START_S
    while not inspect.ping():
        assert worker.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < end, "no word of the other worker"
    yield redis_broker.url
    worker.kill()
    worker.wait()


def started(queues: QueueSystem, settings: object) -> subprocess.CompletedProcess[str]:
    """What `worker start` says with this file."""
    file = queues.folder / "given.yaml"
    file.write_text(json.dumps({"execution": {"config": settings}}), encoding="utf-8")
    return queues.cli("celery", "worker", "start", "-y", str(file))


def test_beside_a_live_worker_of_dagsters_it_does_not_start(make_queues: MakeQueues, their_worker: str) -> None:
    queues = make_queues(their_worker)

    said = started(queues, {"broker": their_worker})

    assert said.returncode != 0
    assert "workers of somebody else listen to the same queues" in said.stderr
    assert "execute_plan" in said.stderr
    assert "another vhost (RabbitMQ)" in said.stderr
    elsewhere = their_worker.removesuffix("/0") + "/1"
    worker = make_queues(elsewhere).queue_worker()
    assert worker.poll() is None, "another database number is the way out"


def test_what_is_wrong_is_said_at_the_start_and_all_at_once(make_queues: MakeQueues, tmp_path: Path) -> None:
    queues = make_queues("database")
    away = RedisServer(tmp_path, password="right")

    unknown = started(
        queues, {"broker": "kafka://h", "config_source": {"task_serializer": "pickle", "brokr_heartbeat": 1}}
    )
    refused = started(queues, {"broker": away.url.replace("right", "wrong")})
    away.stop()
    misnamed = queues.cli("celery", "worker", "start", "-q", "no queue")
    key = started(queues, {"brokr": "redis://h"})
    pool = queues.cli("celery", "worker", "start", "-P", "prefork")

    for text in ("kafka", "config_source.task_serializer", "broker_heartbeat"):
        assert text in unknown.stderr
    assert "AuthenticationError" in refused.stderr
    assert "wrong@" not in refused.stderr
    assert "is no name of a queue" in misnamed.stderr
    assert "unknown key" in key.stderr
    assert "Leave --pool out" in pool.stderr
    assert 0 not in [one.returncode for one in (unknown, refused, misnamed, key, pool)]
