"""A real Postgres for tests, and the power to take it away in the middle of one.

Asked in this order: a server that the environment names, a container, the server programs of this machine. All answer to the
same few methods, and all want a password with characters that a URL has to escape.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

from services.ports import free_port

PASSWORD = "p@ss/wo:rd#1%"
START_SECONDS = 60


class PostgresServer(Protocol):
    """A server with a superuser `postgres`.

    `stop` ends it as an administrator would, `crash` as a power cut would, `pause` freezes it with its connections open (what
    a client sees when the network is cut). `start` undoes any of them and returns once it answers again.
    """

    def url(self, database: str = "postgres") -> str: ...
    def stop(self) -> None: ...
    def crash(self) -> None: ...
    def pause(self) -> None: ...
    def start(self) -> None: ...
    def close(self) -> None: ...


def url_of(host: str, port: int, database: str) -> str:
    return f"postgresql://postgres:{quote(PASSWORD, safe='')}@{host}:{port}/{database}"


def wait_until_it_answers(url: str, what: str) -> None:
    """Return once a query is answered.

    Raises:
        TimeoutError: none was within `START_SECONDS`.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with psycopg.connect(url, connect_timeout=2, autocommit=True) as connection:
                connection.execute("SELECT 1")
                return
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} does not answer at {url} after {START_SECONDS} s") from error
        time.sleep(0.05)


class ContainerPostgres:
    """Postgres in a container, through testcontainers, on a port of the host that stays the same over stop and start."""

    def __init__(self, image: str, network: Any) -> None:
        from testcontainers.core.container import DockerContainer

        self.port = free_port()
        self.alias = f"postgres-{self.port}"
        self._container = (
            DockerContainer(image)
            .with_bind_ports(5432, self.port)
            .with_env("POSTGRES_PASSWORD", PASSWORD)
            .with_network(network)
            .with_network_aliases(self.alias)
            .with_command(["start-postgres"])
        )
        self._container.start()
        self._docker = self._container.get_wrapped_container()
        self._wait()

    @property
    def container_id(self) -> str:
        """Its container."""
        return str(self._docker.id)

    def log(self) -> str:
        """What the server has logged so far."""
        return str(self._docker.logs().decode(errors="replace"))

    def url(self, database: str = "postgres") -> str:
        return url_of("127.0.0.1", self.port, database)

    def stop(self) -> None:
        self._docker.stop(timeout=10)

    def crash(self) -> None:
        self._docker.kill("SIGKILL")
        self._docker.wait()

    def pause(self) -> None:
        self._docker.pause()

    def start(self) -> None:
        self._docker.reload()
        if self._docker.status == "paused":
            self._docker.unpause()
        elif self._docker.status != "running":
            self._docker.start()
        self._wait()

    def close(self) -> None:
        self._container.stop()

    def _wait(self) -> None:
        wait_until_it_answers(self.url(), "Postgres in its container")


class LocalPostgres:
    """Postgres from the server programs of this machine, in a folder of its own, as the user `postgres` when we are root."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.port = free_port()
        self._programs = programs
        self._folder = folder
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run(
            "initdb", f"--pgdata={folder}/data", "--username=postgres", f"--pwfile={password}", "--auth=scram-sha-256",
            "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip
        self.start()

    def url(self, database: str = "postgres") -> str:
        return url_of("127.0.0.1", self.port, database)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-D", f"{self._folder}/data", "-m", "fast", "-w")

    def crash(self) -> None:
        self._run("pg_ctl", "stop", "-D", f"{self._folder}/data", "-m", "immediate", "-w")

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def start(self) -> None:
        if self._is_up():
            self._signal(signal.SIGCONT)
        else:
            options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
            options += " -c max_connections=200"
            log = f"{self._folder}/log"
            self._run("pg_ctl", "start", "-D", f"{self._folder}/data", "-l", log, "-o", options, "-w")
        wait_until_it_answers(self.url(), "the local Postgres")

    def close(self) -> None:
        if self._is_up():
            self._signal(signal.SIGCONT)
            self.crash()

    def _is_up(self) -> bool:
        return (self._folder / "data" / "postmaster.pid").exists()

    def _signal(self, number: signal.Signals) -> None:
        main = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(main)], check=False, capture_output=True, text=True)
        for pid in [main, *map(int, listed.stdout.split())]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _run(self, program: str, *arguments: str) -> None:
        log = self._folder / "programs.log"
        with log.open("a") as output:
            done = subprocess.run(
                [str(self._programs / program), *arguments],
                check=False,
                cwd=self._folder,
                user=self._user,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        if done.returncode:
            raise RuntimeError(f"{program} exited with {done.returncode}: {log.read_text()[-2000:]}")


class GivenPostgres:
    """A server that the environment names. It is nobody's to stop."""

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self, database: str = "postgres") -> str:
        return urlsplit(self._url)._replace(path=f"/{database}").geturl()

    def _not_ours(self) -> None:
        raise RuntimeError(
            "the server of RUNPLANE_TEST_POSTGRES_URL is not ours to stop; unset the variable for this test"
        )

    stop = crash = pause = _not_ours

    def start(self) -> None:
        """It was never stopped."""

    def close(self) -> None:
        """It goes on."""


def local_programs() -> Path | None:
    """The newest `initdb` of this machine, where it can be run."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    on_path = shutil.which("initdb")
    candidates: Sequence[Path] = found or ([Path(on_path)] if on_path else [])
    return candidates[-1].resolve().parent if candidates else None


def make_database(server: PostgresServer) -> str:
    """A fresh, empty database on the server: its name."""
    name = f"t_{secrets.token_hex(6)}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return name


def drop_database(server: PostgresServer, name: str) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
