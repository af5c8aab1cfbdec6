"""Systems of the tests in this folder: ended when the test ends, whatever it left running."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from services.system import System, postgres_yaml

MakeSystem = Callable[..., System]


@pytest.fixture
def make_system(tmp_path: Path) -> Iterator[MakeSystem]:
    """Makes a system of a file of jobs and a dagster.yaml."""
    made: list[System] = []

    def make(code: str, yaml: str = "", env: Mapping[str, str] | None = None) -> System:
        folder = tmp_path / f"system-{len(made)}"
        folder.mkdir()
        made.append(System(folder, code, yaml, env))
        return made[-1]

    yield make
    for system in made:
        system.close()


@pytest.fixture
def postgres_system(make_system: MakeSystem, postgres_url: str) -> Callable[[str], System]:
    """A system on Postgres."""
    return lambda code: make_system(code, postgres_yaml(postgres_url))
