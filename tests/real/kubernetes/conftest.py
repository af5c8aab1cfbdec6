"""Houses on the real cluster: a namespace, a database and an instance for each test; a user's image for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cluster.clusters import Cluster
from services.kubernetes_house import House, MakeHouse, build_workflows_image
from services.postgres import PASSWORD, PostgresServer, drop_database, make_database

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
    postgres_server: PostgresServer,
    postgres_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[MakeHouse]:
    """Makes a house; arguments are more of the launcher's config. Each has a namespace and a database of its own."""
    monkeypatch.setenv("DAGSTER_PG_USERNAME", "postgres")
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", PASSWORD)
    port = urlsplit(postgres_server.url()).port or 5432
    places = [(namespace, postgres_database)]
    made: list[House] = []

    def make(**config: Any) -> House:
        folder = tmp_path / f"house-{len(made)}"
        folder.mkdir()
        if len(made) == len(places):
            places.append((real_cluster.make_namespace(), make_database(postgres_server)))
        own, database = places[len(made)]
        made.append(House(real_cluster, own, workflows_image, port, database, folder, **config))
        # Whoever launches from here has the role that the docs give to launchers; pods find their own service account.
        monkeypatch.setenv("KUBECONFIG", str(made[-1].kubeconfig))
        launcher: Any = made[-1].instance.launcher
        launcher.client.server_version()  # it keeps the way that it has found
        return made[-1]

    yield make
    for house in made:
        house.close()
    for own, database in places[1:]:
        real_cluster.drop_namespace(own)
        drop_database(postgres_server, database)


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    """A house as most tests want it."""
    return make_house()
