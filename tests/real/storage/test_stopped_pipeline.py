"""The product's own client, stopped anywhere while it sends an append: a cancel of the same run is accepted at once."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from storage_runs import StartedRun, log

from runplane.events.status import RunStatus
from runplane.instance.instance import Instance
from runplane.storage.contract import Append, Committed
from runplane.storage.journal import Journal
from runplane.storage.postgres import PostgresDatabase
from services.postgres_proxy import PostgresProxy
from services.system import postgres_yaml

ACCEPTED_WITHIN_S = 0.2
SYNC = b"S"
"""The message that ends a pipeline: with it the server commits."""


class StoppingProxy(PostgresProxy):
    """Passes a pipeline's messages on, and stops after so many, as if the client were frozen there."""

    def __init__(self, url: str) -> None:
        self.kinds: list[bytes] = []
        self._rest = b""
        self._left: int | None = None
        self._stopped, self._awake = threading.Event(), threading.Event()
        super().__init__(url)

    def stop_after(self, messages: int) -> None:
        """Stop when so many more messages were passed on."""
        self._left = messages
        self._stopped.clear()
        self._awake.clear()

    def wait_until_stopped(self) -> None:
        assert self._stopped.wait(30), "the client sent fewer messages"

    def go_on(self) -> None:
        """The client wakes."""
        self._left = None
        self._awake.set()

    def from_client(self, data: bytes) -> Iterator[bytes]:
        if data[:1] == b"\0":  # a connection's first messages have no kind
            yield data
            return
        self._rest += data
        while len(self._rest) > 4 and len(self._rest) > (size := struct.unpack("!I", self._rest[1:5])[0]):
            message, self._rest = self._rest[: size + 1], self._rest[size + 1 :]
            if self._left == 0:
                self._stopped.set()
                self._awake.wait(60)
            self.kinds.append(message[:1])
            if self._left is not None:
                self._left -= 1
            yield message


class Client:
    """A coordinator whose connection leads through the proxy."""

    def __init__(self, url: str) -> None:
        self.proxy = StoppingProxy(url)
        self.journal = Journal(PostgresDatabase(self.proxy.url))
        self.run = StartedRun(self.journal)
        self._thread = ThreadPoolExecutor(1)
        self.append().result()
        self.proxy.kinds.clear()
        self.append().result()
        self.messages = list(self.proxy.kinds)
        """The kinds of messages that an append is sent in."""

    def append(self) -> Future[Committed]:
        """Begin to append one event."""
        self.run.batch += 1
        batch, ops = self.run.batch, [Append([log(f"batch {self.run.batch}")])]
        return self._thread.submit(self.journal.commit, self.run.run_id, self.run.epoch, batch, ops)

    def stopped_after(self, messages: int) -> Future[Committed]:
        """An append that has sent so many messages, and no more."""
        self.proxy.stop_after(messages)
        begun = self.append()
        self.proxy.wait_until_stopped()
        return begun

    def close(self) -> None:
        self.proxy.go_on()
        self._thread.shutdown()
        self.journal.database.close()
        self.proxy.close()


@pytest.fixture
def client(postgres_url: str) -> Iterator[Client]:
    made = Client(postgres_url)
    yield made
    made.close()


@pytest.fixture
def instance(postgres_url: str, tmp_path: Path) -> Iterator[Instance]:
    (tmp_path / "dagster.yaml").write_text(postgres_yaml(postgres_url))
    with Instance.from_home(tmp_path) as made:
        yield made


def test_a_cancel_is_accepted_wherever_the_client_is_stopped(client: Client, instance: Instance) -> None:
    run_id = client.run.run_id
    instance.journal.head(run_id)
    assert client.messages[-1] == SYNC
    assert len(client.messages) > 10

    for messages in range(1, len(client.messages)):
        before = instance.journal.head(run_id).head
        append = client.stopped_after(messages)

        # The shortest of three, so that a busy machine is not mistaken for a lock: that would hold up all of them.
        took = min(seconds_of_a_request(instance, run_id) for _ in range(3))

        assert took < ACCEPTED_WITHIN_S, f"stopped after {messages} of {client.messages}"
        assert instance.journal.head(run_id).head == before, "the client was not stopped before its commit"
        client.proxy.go_on()
        assert append.result(60).head == before + 1
    assert instance.journal.head(run_id).intent == "none"


def test_the_verb_says_that_it_is_accepted_before_the_row_is_free(
    client: Client, instance: Instance, tmp_path: Path
) -> None:
    append = client.stopped_after(len(client.messages) - 1)

    verb = begin_to_cancel(tmp_path, client.run.run_id)
    assert verb.stdout is not None
    first = verb.stdout.readline()
    stored = client.journal.rules.named("SELECT count(*) FROM {request} WHERE run_id = :run")
    requests = instance.database.read(stored, {"run": client.run.run_id})[0][0]
    status = instance.journal.head(client.run.run_id).status
    client.proxy.go_on()
    rest, error = verb.communicate(timeout=60)

    assert first == "Accepted: the request is stored.\n"
    assert requests == 1
    assert status is RunStatus.STARTED, "the client was not stopped any more"
    assert rest == "The run is CANCELING.\n"
    assert verb.returncode == 0, error
    append.result(60)


@pytest.mark.long
def test_the_verb_does_not_wait_for_ever(client: Client, instance: Instance, tmp_path: Path) -> None:
    append = client.stopped_after(len(client.messages) - 1)

    verb = begin_to_cancel(tmp_path, client.run.run_id)
    said, _ = verb.communicate(timeout=45)

    assert said.startswith("Accepted")
    assert verb.returncode == 0
    client.proxy.go_on()
    append.exception(60)


def seconds_of_a_request(instance: Instance, run_id: str) -> float:
    began = time.monotonic()
    instance.request_cancel(run_id)
    return time.monotonic() - began


def begin_to_cancel(home: Path, run_id: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "runplane", "run", "cancel", run_id],
        env={**os.environ, "DAGSTER_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
