"""A real pgBouncer, pooling by transaction, in front of the tests' Postgres."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from services.ports import free_port
from services.postgres import PASSWORD, ContainerPostgres, PostgresServer, url_of, wait_until_it_answers

SCRIPT = Path(__file__).resolve().parent / "image" / "start-pgbouncer"


class PgBouncer(Protocol):
    def url(self, database: str = "postgres") -> str: ...
    def close(self) -> None: ...


class ContainerPgBouncer:
    def __init__(self, image: str, network: Any, server: ContainerPostgres) -> None:
        from testcontainers.core.container import DockerContainer

        self.port = free_port()
        self._container = (
            DockerContainer(image)
            .with_bind_ports(6432, self.port)
            .with_envs(DB_HOST=server.alias, DB_PORT="5432", DB_PASSWORD=PASSWORD)
            .with_network(network)
            .with_command(["start-pgbouncer"])
        )
        self._container.start()
        wait_until_it_answers(self.url(), "pgBouncer in its container")

    def url(self, database: str = "postgres") -> str:
        return url_of("127.0.0.1", self.port, database)

    def close(self) -> None:
        self._container.stop()


class LocalPgBouncer:
    """The program of this machine. It refuses to run as root, so root runs it as `postgres`."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self.port = free_port()
        behind = urlsplit(server.url())
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host={behind.hostname} port={behind.port} user=postgres password='{PASSWORD}'\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\nauth_type = any\n"
            "pool_mode = transaction\nmax_client_conn = 500\ndefault_pool_size = 20\nserver_login_retry = 1\n"
        )
        settings.chmod(0o644)
        self._process = subprocess.Popen(
            [str(program()), str(settings)],
            user="postgres" if os.geteuid() == 0 else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until_it_answers(self.url(), "the local pgBouncer")

    def url(self, database: str = "postgres") -> str:
        return url_of("127.0.0.1", self.port, database)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def program() -> str | None:
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
