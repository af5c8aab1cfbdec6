"""A small cluster without a cluster: a network on which Postgres has the name that the description's documents call it by, and
containers that are started as its pods are: not root, a read-only root file system, no capabilities, the command as pid 1."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from runplane.instance.instance import Instance
from services.fixtures import not_to_be_had
from services.postgres import PASSWORD, ContainerPostgres
from services.system import SAY

ALIAS = "postgresql.postgresql"
DATABASE = "dagster"
HOME = "/opt/dagster/dagster_home"
CODE = "/app/workflows/definitions.py"
JOBS = '''
import os, signal, time
from pathlib import Path
from runplane import Definitions, Out, in_process_executor, job, multiprocess_executor, op

def wait_for(name):
    """Wait until the test makes a file, two minutes at most."""
    end = time.monotonic() + 120
    while not Path(os.environ["DAGSTER_HOME"], name).exists() and time.monotonic() < end:
        time.sleep(0.02)

@op
def generate_numbers(context):
    say(context, "start", uid=os.getuid(), capabilities=next(l for l in open("/proc/self/status") if l.startswith("CapEff")))
    return list(range(1, 11))

@op
def sum_numbers(context, numbers):
    say(context, "start")
    print("the sum is", sum(numbers))
    wait_for("go")
    say(context, "end")
    return sum(numbers)

@op
def check(context, total):
    say(context, "start")
    assert total == 55

def numbers():
    check(sum_numbers(generate_numbers()))

process_numbers_k8s = job(executor_def=in_process_executor, name="process_numbers_k8s")(numbers)
apart = job(executor_def=multiprocess_executor.configured({"max_concurrent": 2}), name="apart")(numbers)
defs = Definitions(jobs=[process_numbers_k8s, apart])
if "SLOW_IMPORT" in os.environ:
    say_at = Path(os.environ["DAGSTER_HOME"], "importing")
    say_at.touch()
    time.sleep(60)
'''


class Cluster:
    """Where the containers of one test live.

    Args:
        client: of the Docker daemon.
        image: runplane's image.
        network: its name.
        folder: of this machine; its `app` and `home` are mounted where the description has them.
        postgres: the server.
    """

    def __init__(self, client: Any, image: str, network: str, folder: Path, postgres: ContainerPostgres) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.home.chmod(0o777)
        self.app = folder / "app"
        (self.app / "workflows").mkdir(parents=True)
        (self.app / "workflows" / "definitions.py").write_text(SAY + JOBS)
        self.file = self.app / "workflows" / "definitions.py"
        self.postgres = postgres
        url = postgres.url(DATABASE)
        (folder / "dagster.yaml").write_text(f"storage:\n  postgres:\n    postgres_url: {json.dumps(url)}\n")
        self.instance = Instance.from_home(folder)
        self._client, self._image, self._network = client, image, network
        self._containers: list[Any] = []

    def start(self, args: Sequence[str], env: Mapping[str, str] | None = None, **options: Any) -> Any:
        """Start a container as a pod would be: its arguments are the whole command line."""
        environment = {
            "DAGSTER_HOME": HOME,
            "DAGSTER_PG_PASSWORD": PASSWORD,
            "BODIES": f"{HOME}/bodies.jsonl",
            "RUNPLANE_LEASE_TTL": "2",
            **(env or {}),
        }
        container = self._client.containers.run(
            self._image,
            list(args),
            **{
                "detach": True,
                "read_only": True,
                "cap_drop": ["ALL"],
                "security_opt": ["no-new-privileges"],
                "working_dir": "/app",  # the WORKDIR of a user's image: the documents name a file below it
                "network": self._network,
                "environment": environment,
                "volumes": {
                    str(self.home): {"bind": HOME, "mode": "rw"},
                    str(self.app): {"bind": "/app", "mode": "ro"},
                },
                **options,
            },
        )
        self._containers.append(container)
        return container

    def wait(self, container: Any, timeout_s: float = 60) -> int:
        """Wait for a container's end; its exit code."""
        try:
            code: int = container.wait(timeout=timeout_s)["StatusCode"]
        except Exception as error:
            raise AssertionError(f"still running after {timeout_s} s:\n{container.logs().decode()}") from error
        return code

    def address(self, container: Any) -> str:
        """The address of a container on the network."""
        container.reload()
        found: str = container.attrs["NetworkSettings"]["Networks"][self._network]["IPAddress"]
        return found

    def go(self) -> None:
        """Let steps that wait for the test go on."""
        (self.home / "go").touch()

    def bodies(self, what: str | None = None) -> list[dict[str, Any]]:
        """What the bodies of steps said."""
        file = self.home / "bodies.jsonl"
        lines = map(json.loads, file.read_text().splitlines()) if file.exists() else iter(())
        return [b for b in lines if what in (None, b["what"])]

    def started(self, step: str, times: int = 1) -> bool:
        """Whether the body of a step has begun so often."""
        return sum(b["step"] == step for b in self.bodies("start")) >= times

    def kinds(self, run_id: str) -> list[tuple[str, str | None, int | None]]:
        """Kind, step and attempt of each event."""
        return [(str(e.kind), e.step, e.n) for e in self.instance.tail(run_id, 0, 10_000)]

    def story(self, run_id: str) -> str:
        """What happened, for a test that fails."""
        events = (f"{e.kind} {e.step} {e.body}" for e in self.instance.tail(run_id, 0, 10_000))
        return "\n".join([*events, *(c.logs().decode() for c in self._containers)])

    def wait_for(self, what: str, is_there: Callable[[], object], timeout_s: float = 40) -> None:
        """Wait for a named moment."""
        end = time.monotonic() + timeout_s
        while not is_there():
            said = "\n".join(c.logs().decode() for c in self._containers)
            assert time.monotonic() < end, f"{what} did not come within {timeout_s} s; the containers said:\n{said}"
            time.sleep(0.02)

    def close(self) -> None:
        """Remove the containers."""
        for container in self._containers:
            container.remove(force=True)
        self.instance.close()


@pytest.fixture(scope="session")
def named_postgres(docker: Any, postgres_server: Any, services_image: str, services_network: Any) -> Iterator[Any]:
    """Postgres in a container, known by the description's name on a network of its own: the server and the network."""
    mine = not isinstance(postgres_server, ContainerPostgres)
    if services_image is None:
        not_to_be_had("no image with Postgres")
    server = ContainerPostgres(services_image, services_network) if mine else postgres_server
    network = docker.networks.create(f"runplane-{secrets.token_hex(4)}")
    network.connect(server.container_id, aliases=[ALIAS])
    yield server, network.name
    network.disconnect(server.container_id)
    network.remove()
    if mine:
        server.close()


@pytest.fixture
def cluster(docker: Any, runplane_image: str, named_postgres: Any, tmp_path: Path) -> Iterator[Cluster]:
    """An empty database called `dagster`, and containers that can reach it."""
    server, network = named_postgres
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    made = Cluster(docker, runplane_image, network, tmp_path, server)
    yield made
    made.close()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
