"""Fixtures for real services. `tests/conftest.py` gives them to every test.

=================  ========================================================================================================
`docker`           a client of the Docker daemon that answers
`postgres_server`  the session's server: `url(database)`, `stop`, `crash`, `pause`, `start`
`postgres_url`     a fresh, empty database on it; when the test ends the server is brought back and the database dropped
`pgbouncer_url`    the same database through a real pgBouncer that pools by transaction
`s3_server`        the session's S3 gateway: `endpoint`, `stop`, `pause`, `start`, `keys(bucket)`
`s3_bucket`        a fresh, empty bucket on it; when the test ends the gateway is brought back
`runplane_image`   the image of `deploy/Dockerfile`, built from the clone: its name
`browser`          a browser without a window, to look at pages with
`dagster_python`   the interpreter of an environment with a real Dagster
=================  ========================================================================================================

What is not to be had is a skip on a developer's machine and a failure in CI.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from services import docker_daemon, images, pgbouncer, postgres, s3
from services.browser import Browser
from services.browser import program as browser_program

IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")


def not_to_be_had(reason: str) -> NoReturn:
    if IN_CI:
        pytest.fail(f"{reason} (in CI every service is there)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def docker_host() -> str | None:
    """Address of the daemon that answers (empty: the client's own choice), or none."""
    found = docker_daemon.running()
    if found:
        os.environ["DOCKER_HOST"] = found
    if images.makes_its_own_base():
        # Ryuk, with which testcontainers cleans up after killed tests, is an image of a registry. Our own daemon removes
        # what is left when it is stopped.
        os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    return found


@pytest.fixture(scope="session")
def docker(docker_host: str | None) -> Iterator[Any]:
    if docker_host is None:
        not_to_be_had("no Docker daemon answers; `make test` starts one where it can")
    import docker as client_library

    client = client_library.from_env()
    yield client
    client.close()


@pytest.fixture(scope="session")
def services_image(docker_host: str | None) -> str | None:
    """Name of the image with the services, or none without Docker."""
    if docker_host is None:
        return None
    return os.environ.get("RUNPLANE_TEST_SERVICES_IMAGE") or images.services_image()


@pytest.fixture(scope="session")
def services_network(docker_host: str | None) -> Iterator[Any]:
    if docker_host is None:
        yield None
        return
    from testcontainers.core.network import Network

    with Network() as network:
        yield network


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """Not below pytest's folder, which is closed to the user that the servers run as."""
    with tempfile.TemporaryDirectory(prefix="runplane-servers-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def postgres_server(
    services_image: str | None, services_network: Any, servers_folder: Path
) -> Iterator[postgres.PostgresServer]:
    given = os.environ.get("RUNPLANE_TEST_POSTGRES_URL")
    programs = postgres.local_programs()
    server: postgres.PostgresServer
    if given:
        server = postgres.GivenPostgres(given)
    elif services_image is not None:
        server = postgres.ContainerPostgres(services_image, services_network)
    elif programs is not None:
        server = postgres.LocalPostgres(programs, servers_folder)
    else:
        not_to_be_had("no Postgres: no RUNPLANE_TEST_POSTGRES_URL, no Docker daemon, no server programs")
    yield server
    server.close()


@pytest.fixture
def postgres_database(postgres_server: postgres.PostgresServer) -> Iterator[str]:
    """Name of a fresh database of this test."""
    name = postgres.make_database(postgres_server)
    yield name
    postgres_server.start()
    postgres.drop_database(postgres_server, name)


@pytest.fixture
def postgres_url(postgres_server: postgres.PostgresServer, postgres_database: str) -> str:
    return postgres_server.url(postgres_database)


@pytest.fixture(scope="session")
def pgbouncer_server(
    postgres_server: postgres.PostgresServer,
    services_image: str | None,
    services_network: Any,
    servers_folder: Path,
) -> Iterator[pgbouncer.PgBouncer]:
    server: pgbouncer.PgBouncer
    if isinstance(postgres_server, postgres.ContainerPostgres) and services_image is not None:
        server = pgbouncer.ContainerPgBouncer(services_image, services_network, postgres_server)
    elif isinstance(postgres_server, postgres.LocalPostgres) and pgbouncer.program() is not None:
        server = pgbouncer.LocalPgBouncer(postgres_server, servers_folder)
    else:
        not_to_be_had("no pgBouncer: no Docker daemon and no `pgbouncer` program, or a Postgres that is not ours")
    yield server
    server.close()


@pytest.fixture
def pgbouncer_url(pgbouncer_server: pgbouncer.PgBouncer, postgres_database: str) -> str:
    return pgbouncer_server.url(postgres_database)


@pytest.fixture(scope="session")
def s3_server(servers_folder: Path) -> Iterator[s3.S3Server]:
    try:
        program = s3.program()
    except s3.S3UnavailableError as error:
        not_to_be_had(f"no S3 gateway: {error}")
    server = s3.S3Server(program, servers_folder / "s3")
    yield server
    server.close()


@pytest.fixture
def s3_bucket(s3_server: s3.S3Server) -> Iterator[str]:
    yield s3_server.make_bucket()
    s3_server.start()


@pytest.fixture(scope="session")
def runplane_image(docker: Any) -> str:
    _, base = images.bases()
    name = "runplane-test:latest"
    with images.one_at_a_time():
        images.build(name, images.ROOT, base=base, dockerfile=images.ROOT / "deploy" / "Dockerfile")
    return name


@pytest.fixture(scope="session")
def dagster_python() -> Path:
    named = os.environ.get("RUNPLANE_DAGSTER_PYTHON")
    made = images.ROOT / ".cache" / "dagster-venv" / "bin" / "python"
    if named:
        return Path(named)
    if made.exists():
        return made
    not_to_be_had("no environment with Dagster: RUNPLANE_DAGSTER_PYTHON is not set; `make test` makes one")


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    path = browser_program()
    if path is None:
        not_to_be_had("no browser: install chromium")
    return Browser(path, tmp_path_factory.mktemp("browser"))
