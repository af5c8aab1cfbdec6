"""A real Flower, started as `examples/celery` starts it, on a Redis with a password: what people see of workers, tasks and queues."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from services.ports import free_port
from services.queue_workers import QueueSystem
from services.redis_server import RedisServer

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "celery"
PASSWORD = "a-password-of-the-broker"
PATIENCE_S = 120.0
FIRST_TASKS = {
    "draw": "1", "start": "0", "length": "50", "search[value]": "",
    "order[0][column]": "0", "order[0][dir]": "asc", "columns[0][data]": "name",
}  # fmt: skip


class Flower:
    """A Flower of a broker.

    Args:
        broker: its URL.
        log: a file for what it prints.
    """

    def __init__(self, broker: str, log: Path) -> None:
        self.log = log
        self.seen = ""
        self._port = free_port()
        words = [f"--broker={broker}", "flower", "--address=127.0.0.1", f"--port={self._port}"]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "celery", *words],
                env={**os.environ, "PYTHONPATH": str(EXAMPLE / "flower")},
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def page(self, path: str, **query: str) -> str:
        """What a page says; empty when there is none yet. All that was seen is kept."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/{path}?{urlencode(query)}", timeout=30) as got:
                text: str = got.read().decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return ""
        self.seen += text
        return text

    def tasks(self) -> list[dict[str, Any]]:
        """Rows of its page of tasks."""
        return list(json.loads(self.page("tasks/datatable", **FIRST_TASKS) or '{"data": []}')["data"])

    def workers(self) -> list[str]:
        """Those that live, by name."""
        rows = json.loads(self.page("workers", json="1") or '{"data": []}')["data"]
        return [row["hostname"] for row in rows if row["status"]]

    def waiting(self, queue: str) -> int | None:
        """What its page of the broker says of a queue."""
        found = re.search(rf"<td>{queue}</td>\s*<td[^>]*>\s*(\d+)", self.page("broker"))
        return int(found[1]) if found else None

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(30)


@pytest.fixture
def broker(tmp_path: Path, redis_broker: RedisServer) -> Iterator[RedisServer]:
    """A Redis that wants a password. `redis_broker` says whether there is the program."""
    redis_broker.stop()
    server = RedisServer(tmp_path, PASSWORD)
    yield server
    server.stop()


@pytest.fixture
def flower(broker: RedisServer, tmp_path: Path) -> Iterator[Flower]:
    made = Flower(broker.url, tmp_path / "flower.log")
    yield made
    made.close()


def comes(what: str, is_there: Callable[[], object], flower: Flower) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_there():
        assert time.monotonic() < end, f"{what} did not come: {flower.seen[-3000:]}\n{flower.log.read_text()}"
        time.sleep(0.3)


def test_flower_shows_workers_tasks_and_queues_and_no_secret(
    make_queues: Callable[..., QueueSystem], broker: RedisServer, flower: Flower
) -> None:
    comes("Flower", lambda: flower.page("workers"), flower)
    queues = make_queues(broker.url)
    worker = queues.queue_worker("-q", "work", "-c", "1")
    comes("the worker", flower.workers, flower)
    run_id = queues.create("four_held")
    coordinator = queues.worker(run_id)

    as_they_stand = {"STARTED": 1, "PENDING": 3}
    comes("all tasks", lambda: Counter(t["state"] for t in flower.tasks()) == as_they_stand, flower)
    (name,) = flower.workers()
    comes("the worker's page", lambda: "runplane.run" in flower.page(f"worker/{quote(name)}"), flower)
    # After a while hints are sent again, in case that these messages are somebody else's.
    comes("three that wait", lambda: (flower.waiting("work") or 0) in range(3, 7), flower)
    queues.open_gate()
    comes("their ends", lambda: Counter(t["state"] for t in flower.tasks()) == {"SUCCESS": 4}, flower)
    assert coordinator.wait(PATIENCE_S) == 0

    assert re.fullmatch(rf"runplane\.{worker.pid}@.+", name)
    tasks = flower.tasks()
    assert {task["name"] for task in tasks} == {"runplane.step"}
    told = [ast.literal_eval(task["kwargs"]) for task in tasks]
    assert sorted(one["step"] for one in told) == [f"work_{i}" for i in range(4)]
    assert {(one["run"], one["attempt"], one["queue"]) for one in told} == {(run_id, 1, "work")}
    for task in tasks:
        flower.page(f"task/{quote(task['uuid'])}")
    assert PASSWORD not in flower.seen
    assert PASSWORD not in flower.log.read_text()
