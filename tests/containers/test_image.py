"""The image of `deploy/Dockerfile`: small, not root, content with a read-only root, and `dagster` is a name for the command."""

from __future__ import annotations

from typing import Any

import pytest
from docker.errors import ContainerError

from services import images

MEGABYTE = 1_000_000
LIMIT = 80 * MEGABYTE  # 60 with EXTRAS=postgres; the rest is what the Kubernetes client brings


@pytest.fixture
def run(docker: Any, runplane_image: str) -> Any:
    """Run a command in a container of the image with a read-only root; its output, or an error that shows it."""

    def call(*command: str) -> str:
        printed: bytes = docker.containers.run(
            runplane_image, list(command), remove=True, read_only=True, network_mode="none", stderr=True
        )
        return printed.decode()

    return call


def test_it_adds_at_most_eighty_megabytes_to_its_base(runplane_image: str) -> None:
    _, base = images.bases()

    assert 0 < images.size_of(runplane_image) - images.size_of(base) <= LIMIT


def test_it_runs_as_a_number_that_is_not_root(run: Any) -> None:
    assert run("id", "-u").strip() == "10001"


def test_the_package_works_under_a_read_only_root(run: Any) -> None:
    program = "import runplane; print(runplane.__version__); open('/opt/dagster/app/x', 'w')"

    with pytest.raises(ContainerError) as refused:
        run("python3", "-c", program)

    assert "Read-only file system" in refused.value.stderr.decode()


def test_what_runplane_loads_has_byte_code(run: Any) -> None:
    program = (
        "import sys, os, runplane.storage.journal, psycopg, sqlalchemy.dialects.postgresql, sqlalchemy.dialects.sqlite\n"
        "files = [m.__cached__ for m in list(sys.modules.values()) if 'site-packages' in (getattr(m, '__file__', 0) or '')"
        " and m.__file__.endswith('.py')]\n"
        "print(len(files), [f for f in files if not os.path.exists(f)])"
    )

    count, _, without = run("python3", "-c", program).partition(" ")

    assert int(count) > 100
    assert without.strip() == "[]"


def test_dagster_is_a_name_for_the_command(run: Any) -> None:
    there = run("sh", "-c", "readlink -f $(command -v dagster); readlink -f $(command -v runplane)").split()

    assert there == ["/opt/runplane/bin/runplane"] * 2


def test_the_command_is_in_exec_form_and_pod_args_replace_it_whole(docker: Any, runplane_image: str) -> None:
    config = docker.images.get(runplane_image).attrs["Config"]

    assert config["Entrypoint"] is None
    assert config["Cmd"][0] == "runplane"
