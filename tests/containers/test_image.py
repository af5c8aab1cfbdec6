"""The image of `deploy/Dockerfile`: small, not root, content with a read-only root, and `dagster` is a name for the command."""

from __future__ import annotations

from typing import Any

import pytest
from docker.errors import ContainerError

from services import images

MEGABYTE = 1_000_000
LIMIT = 60 * MEGABYTE
OPTIONAL = {"celery", "fsspec", "kombu", "obstore", "opentelemetry", "prometheus_client", "psutil", "pytest"}


@pytest.fixture
def run(docker: Any, runplane_image: str) -> Any:
    """Run a command in a container of the image with a read-only root; its output, or an error that shows it."""

    def call(*command: str) -> str:
        printed: bytes = docker.containers.run(
            runplane_image, list(command), remove=True, read_only=True, network_mode="none", stderr=True
        )
        return printed.decode()

    return call


def test_it_adds_at_most_sixty_megabytes_to_its_base(runplane_image: str) -> None:
    _, base = images.bases()

    assert 0 < images.size_of(runplane_image) - images.size_of(base) <= LIMIT


def test_it_runs_as_a_number_that_is_not_root(run: Any) -> None:
    assert run("id", "-u").strip() == "10001"


def test_the_package_works_under_a_read_only_root(run: Any) -> None:
    program = "import runplane; print(runplane.__version__); open('/opt/dagster/app/x', 'w')"

    with pytest.raises(ContainerError) as refused:
        run("python3", "-c", program)

    assert "Read-only file system" in refused.value.stderr.decode()


def test_whatever_runplane_loads_has_byte_code(run: Any) -> None:
    program = """
import importlib, importlib.util, os, pkgutil, sys, runplane
missing = set()
for module in pkgutil.walk_packages(runplane.__path__, "runplane."):
    if "migrations" in module.name or module.name.endswith("__main__"):
        continue  # each runs when it is imported
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        missing.add(error.name)
import psycopg, psycopg_binary, sqlalchemy.dialects.postgresql.psycopg, sqlalchemy.dialects.sqlite
files = [m.__file__ for m in list(sys.modules.values()) if "/opt/runplane/" in (getattr(m, "__file__", "") or "")]
texts = [f for f in files if f.endswith(".py")]
print(len([f for f in files if f.startswith("/opt/runplane/lib/archive.zip/")]), len(texts), *sorted(missing))
print(*[f for f in texts if ".zip/" in f or not os.path.exists(importlib.util.cache_from_source(f))])
"""

    counts, without = run("python3", "-c", program).splitlines()

    archived, beside_their_text, *missing = counts.split()
    assert (int(archived) > 150, int(beside_their_text) > 300) == (True, True), counts
    assert set(missing) <= OPTIONAL, "nothing else is optional"
    assert without == ""


def test_what_a_user_may_import_is_there(run: Any) -> None:
    program = """
from kubernetes.client import V1Job, BatchV1Api
V1Job(api_version="batch/v1").to_dict(), BatchV1Api()
from kubernetes import config, dynamic, stream, utils, watch

from rich.syntax import Syntax
from rich.console import Console
Console().print(Syntax("x = 1", "kotlin"))

from sqlalchemy.orm import declarative_base
import sqlalchemy.ext.hybrid, sqlalchemy.dialects.mysql

import pydantic.v1
class Size(pydantic.BaseModel):
    n: int
assert Size(n="1").n == 1

import inspect, ssl, requests
assert ssl.create_default_context(cafile=requests.certs.where()).get_ca_certs()
assert "def get" in inspect.getsource(requests.get), "tracebacks and debuggers show the text"

import os, alembic.config
os.chdir("/dev/shm")
alembic.config.main(["init", "migrations"])

from dateutil import tz
assert tz.gettz("Europe/Berlin")

from importlib.metadata import version
assert version("kubernetes") and version("rich")
"""

    run("python3", "-c", program)


def test_the_asynchronous_client_is_left_out_and_says_so(run: Any) -> None:
    with pytest.raises(ContainerError) as refused:
        run("python3", "-c", "from kubernetes import aio")

    said = refused.value.stderr.decode()
    assert "ImportError: kubernetes.aio is not in runplane's image" in said
    assert "pip --python /opt/runplane/bin/python install --force-reinstall kubernetes" in said


def test_dagster_is_a_name_for_the_command(run: Any) -> None:
    there = run("sh", "-c", "readlink -f $(command -v dagster); readlink -f $(command -v runplane)").split()

    assert there == ["/opt/runplane/bin/runplane"] * 2


def test_the_command_is_in_exec_form_and_pod_args_replace_it_whole(docker: Any, runplane_image: str) -> None:
    config = docker.images.get(runplane_image).attrs["Config"]

    assert config["Entrypoint"] is None
    assert config["Cmd"][0] == "runplane"
