"""The compute log stores that keep something, by their conformance suite."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.storage.compute_logs import ComputeLogStore, Drains, LocalComputeLogStore
from runplane.storage.s3.settings import S3Settings
from runplane.storage.s3.store import S3ComputeLogStore
from runplane.testing import ComputeLogsContract
from runplane.testing.compute_logs_contract import OpenStore
from services.s3 import S3Server, obstore_config


class TestLocalComputeLogStore(ComputeLogsContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return lambda: LocalComputeLogStore(tmp_path / "logs")


@pytest.fixture
def settings(s3_server: S3Server, s3_bucket: str) -> S3Settings:
    usual = {"prefix": "logs", "skip_empty_files": False, "show_url_only": False}
    return S3Settings.of_dagster_obstore({**usual, **obstore_config(s3_server, s3_bucket)})


class TestS3OnOneMachine(ComputeLogsContract):
    """Other processes of the machine read the local files until they are in the bucket."""

    @pytest.fixture
    def open_store(self, settings: S3Settings, tmp_path: Path) -> Iterator[OpenStore]:
        yield from opened(settings, itertools.repeat(tmp_path / "logs"))


class TestS3OnSeveralMachines(ComputeLogsContract):
    """Each object has a folder of its own: what it did not write itself it reads from the bucket."""

    shows_at_once = False

    @pytest.fixture
    def open_store(self, settings: S3Settings, tmp_path: Path) -> Iterator[OpenStore]:
        yield from opened(settings, (tmp_path / f"logs-{n}" for n in itertools.count()))

    def arrive(self, store: ComputeLogStore) -> None:
        assert isinstance(store, Drains)
        assert store.drain(60) == []


def opened(settings: S3Settings, folders: Iterator[Path]) -> Iterator[OpenStore]:
    made: list[S3ComputeLogStore] = []

    def make() -> S3ComputeLogStore:
        made.append(S3ComputeLogStore(settings, next(folders)))
        return made[-1]

    yield make
    for store in made:
        store.close()
