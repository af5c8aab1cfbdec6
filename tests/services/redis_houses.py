"""Redis as it is run in earnest: behind TLS with a certificate of one's own, and behind Sentinel, which replaces a master that is gone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from services.certificates import made_certificate
from services.ports import free_port

START_S = 30.0


class _Servers:
    """Processes of ``redis-server``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, port: int, *words: str) -> None:
        with (self._folder / f"redis-{port}.log").open("ab") as log:
            self._processes[port] = subprocess.Popen(["redis-server", *words], cwd=self._folder, stdout=log, stderr=log)

    def kill(self, port: int) -> None:
        process = self._processes.pop(port)
        process.kill()
        process.wait()

    def stop(self) -> None:
        for port in list(self._processes):
            self.kill(port)


def until(what: str, true: Callable[[], bool]) -> None:
    """Wait for a server."""
    end = time.monotonic() + START_S
    while True:
        try:
            if true():
                return
        except redis.RedisError:
            pass
        assert time.monotonic() < end, f"{what} did not come within {START_S} s"
        time.sleep(0.05)


class TlsRedis(_Servers):
    """A server that speaks TLS only, with a certificate for ``localhost``.

    Attributes:
        authority: file of the certificate of who vouches for it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()
        made = made_certificate(folder)
        self.authority = made.authority
        files = ["--tls-cert-file", str(made.certificate), "--tls-key-file", str(made.key)]
        trusts = ["--tls-ca-cert-file", str(made.authority), "--tls-auth-clients", "no"]
        self.start(self.port, "--port", "0", "--tls-port", str(self.port), "--save", "", *files, *trusts)
        client = redis.Redis("localhost", self.port, ssl=True, ssl_ca_certs=str(self.authority))
        until("the server's word", lambda: bool(client.ping()))
        client.close()


class SentinelRedis(_Servers):
    """A master, its replica, and a Sentinel that makes the replica master half a second after the master is gone."""

    NAME = "runplane-master"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.master, self._replica, self.port = free_port(), free_port(), free_port()
        address = ["--bind", "127.0.0.1", "--save", ""]
        self.start(self.master, "--port", str(self.master), *address)
        self.start(self._replica, "--port", str(self._replica), *address, "--replicaof", "127.0.0.1", str(self.master))
        until("the replica", lambda: self._asked(self._replica, "replication", "master_link_status") == "up")
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"sentinel monitor {self.NAME} 127.0.0.1 {self.master} 1",
            f"sentinel down-after-milliseconds {self.NAME} 500",
            f"sentinel failover-timeout {self.NAME} 5000",
        ]
        (folder / "sentinel.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.start(self.port, str(folder / "sentinel.conf"), "--sentinel")
        until("Sentinel's word of the replica", lambda: self._asked(self.port, "sentinel", "master0")["slaves"] == 1)

    @property
    def url(self) -> str:
        return f"sentinel://127.0.0.1:{self.port}/0"

    def fail_over(self) -> None:
        """Kill the master, and return when the replica is master."""
        self.kill(self.master)
        until("the new master", lambda: self._asked(self._replica, "replication", "role") == "master")

    def _asked(self, port: int, section: str, name: str) -> Any:
        with redis.Redis(port=port) as client:
            return client.info(section).get(name)
