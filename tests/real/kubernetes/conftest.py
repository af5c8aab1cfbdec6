"""Houses on the real cluster: a namespace, a database and an instance for each test; a user's image for all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cluster.clusters import Cluster
from services.kubernetes_house import House, build_workflows_image
from services.postgres import PASSWORD

MakeHouse = Callable[..., House]
WORKFLOWS_IMAGE = "ghcr.io/ssup2-playground/k8s-data-platform_dagster-workflows:0.4.8"
"""The description's name."""


@pytest.fixture(scope="session")
def workflows_image(real_cluster: Cluster, request: pytest.FixtureRequest) -> str:
    """A user's image, the project's with our jobs, in the cluster: its name."""
    named = os.environ.get("RUNPLANE_TEST_POD_IMAGE")  # for a cluster that pulls it from somewhere
    if named:
        return named
    build_workflows_image(request.getfixturevalue("runplane_image"), WORKFLOWS_IMAGE)
    real_cluster.load(WORKFLOWS_IMAGE)
    return WORKFLOWS_IMAGE


@pytest.fixture
def make_house(
    real_cluster: Cluster,
    namespace: str,
    workflows_image: str,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[MakeHouse]:
    """Makes a house; arguments are more of the launcher's config."""
    url = urlsplit(postgres_url)
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", PASSWORD)
    monkeypatch.setenv("KUBECONFIG", str(real_cluster.kubeconfig))  # pods find their service account instead
    made: list[House] = []

    def make(**config: Any) -> House:
        folder = tmp_path / f"house-{len(made)}"
        folder.mkdir()
        made.append(
            House(real_cluster, namespace, workflows_image, url.port or 5432, url.path.strip("/"), folder, **config)
        )
        return made[-1]

    yield make
    for house in made:
        house.close()


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    """A house as most tests want it."""
    return make_house()
