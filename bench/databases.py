"""A Postgres server for the benchmarks, found where the tests find theirs, and fresh databases on it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from services import docker_daemon, images, postgres


class NoPostgresError(Exception):
    """There is no server, and no program or container to start one from."""


class Databases:
    """Makes databases on a server that is started when the first is asked for, and ended on leaving."""

    def __init__(self) -> None:
        self._server: postgres.PostgresServer | None = None
        self._names: list[str] = []
        self._folder = tempfile.TemporaryDirectory(prefix="runplane-bench-postgres-")
        self._network = None

    def __enter__(self) -> Databases:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._server is not None:
            for name in list(self._names):
                postgres.drop_database(self._server, name)
            self._server.close()
        if self._network is not None:
            self._network.remove()
        self._folder.cleanup()

    def make(self) -> str:
        """URL of a new, empty database.

        Raises:
            NoPostgresError: no server is to be had.
        """
        if self._server is None:
            self._server = self._find()
        name = postgres.make_database(self._server)
        self._names.append(name)
        return self._server.url(name)

    def drop(self, url: str) -> None:
        """Drop what ``make`` made."""
        name = urlsplit(url).path.lstrip("/")
        self._names.remove(name)
        postgres.drop_database(self._server, name)

    def version(self) -> str | None:
        """What the server says of itself, if one was needed."""
        if self._server is None:
            return None
        with postgres.psycopg.connect(self._server.url()) as connection:
            return connection.execute("SHOW server_version").fetchone()[0]

    def _find(self) -> postgres.PostgresServer:
        given = os.environ.get("RUNPLANE_TEST_POSTGRES_URL")
        if given:
            return postgres.GivenPostgres(given)
        programs = postgres.local_programs()
        if programs is not None:
            folder = Path(self._folder.name)
            folder.chmod(0o755)
            return postgres.LocalPostgres(programs, folder)
        docker = docker_daemon.running()
        if docker is None:
            raise NoPostgresError("no RUNPLANE_TEST_POSTGRES_URL, no server programs, no Docker daemon")
        os.environ["DOCKER_HOST"] = docker
        os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
        from testcontainers.core.network import Network

        self._network = Network().create()
        return postgres.ContainerPostgres(images.services_image(), self._network)
