"""A real Redis for tests, and the power to take it away in the middle of one. The server program of this machine."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import redis

from services.ports import free_port

START_S = 30.0


class RedisServer:
    """A server on a port of its own that keeps nothing on disk: stopped, it forgets everything.

    Args:
        folder: for its log.
        password: wanted of clients, when given.
    """

    def __init__(self, folder: Path, password: str | None = None) -> None:
        self._folder = folder
        self.port = free_port()
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        who = f":{self._password}@" if self._password else ""
        return f"redis://{who}127.0.0.1:{self.port}/0"

    def add_user(self, name: str, *rules: str) -> str:
        """A user with these rules of ACL, whose password is his name; the URL as he uses it."""
        client: Any = self.client()  # what it says of commands by name has no types
        client.execute_command("ACL", "SETUSER", name, "on", f">{name}", "resetchannels", *rules)
        return f"redis://{name}:{name}@127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=self._password)

    def start(self) -> None:
        """Start it, or let it go on, and return when it answers."""
        if self._process is None:
            wanted = ["--requirepass", self._password] if self._password else []
            with (self._folder / f"redis-{self.port}.log").open("ab") as log:
                self._process = subprocess.Popen(
                    ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *wanted],
                    cwd=self._folder,
                    stdout=log,
                    stderr=log,
                )
        self._process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.client().ping()
                return
            except redis.ConnectionError:
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.05)

    def freeze(self) -> None:
        """Have it answer nobody, connections stay; until ``start``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def program() -> str | None:
    return shutil.which("redis-server")
