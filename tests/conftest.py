"""What every test stands on: its own home, an empty working directory, no leftovers of the developer's environment."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from scale import scaled

pytest_plugins = ("services.fixtures", "cluster.fixtures")

TESTS = Path(__file__).resolve().parent
# These suites start servers, containers and processes: what hangs there is found later than in the others.
SLOW_SUITES = {"contracts", "real", "parity", "tier_a", "mutants", "containers", "examples"}
# With the full counts one test may take an hour by itself.
SLOW_SECONDS = scaled(600, long=2 * 3600)
KEPT_VARIABLES = ("RUNPLANE_TEST_", "RUNPLANE_LONG", "RUNPLANE_DAGSTER_PYTHON")

settings.register_profile("runplane", deadline=None, database=None, print_blob=True)
settings.load_profile("runplane")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`tests/<folder>/...` gives the marker `<folder>`; `tests/test_*.py` belong to the unit suite."""
    for item in items:
        parts = item.path.resolve().relative_to(TESTS).parts
        suite = parts[0] if len(parts) > 1 else "unit"
        item.add_marker(suite)
        if suite in SLOW_SUITES and item.get_closest_marker("timeout") is None:
            # The clock of a test on the cluster begins with the test: the cluster's programs may still be built then.
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS, func_only=needs_cluster(item)))
    items.sort(key=needs_cluster)  # last, for the same reason


def pytest_collection_finish() -> None:
    """What is loaded by now stays to the end: collections of garbage need not look through it each time."""
    gc.collect()
    gc.freeze()


def needs_cluster(item: pytest.Item) -> bool:
    return "real_cluster" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def working_directories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A row of fresh folders, outside of `tmp_path`, which a test may want to find empty."""
    base = tmp_path_factory.mktemp("cwd")
    return (base / str(n) for n in itertools.count())


@pytest.fixture(autouse=True)
def own_surroundings(working_directories: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's home or instance, and none runs in the clone: `config` would be importable there."""
    folder = next(working_directories)
    (folder / "home").mkdir(parents=True)
    (folder / "work").mkdir()
    for name in list(os.environ):
        if name.startswith(("DAGSTER_", "RUNPLANE_")) and not name.startswith(KEPT_VARIABLES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "home"))
    monkeypatch.chdir(folder / "work")
