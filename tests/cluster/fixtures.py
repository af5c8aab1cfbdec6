"""Fixtures for a real Kubernetes cluster. `tests/conftest.py` gives them to every test.

=================  ========================================================================================================
`real_cluster`     the session's cluster: `kubectl`, `apply`, `get`, `reachable(port)`, `load(image)`
`namespace`        a fresh namespace that enforces the pod security level `restricted`; deleted when the test ends
`pod_image`        the image of `deploy/Dockerfile`, built from the clone, in the cluster: its name
=================  ========================================================================================================

What is not to be had is a skip on a developer's machine and a failure in CI.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from cluster import sources
from cluster.clusters import Cluster
from cluster.programs import ClusterUnavailableError
from services.fixtures import not_to_be_had


@pytest.fixture(scope="session")
def real_cluster() -> Iterator[Cluster]:
    try:
        with sources.cluster() as made:
            yield made
    except ClusterUnavailableError as error:
        not_to_be_had(f"no Kubernetes cluster: {error}")


@pytest.fixture
def namespace(real_cluster: Cluster) -> Iterator[str]:
    name = real_cluster.make_namespace()
    yield name
    real_cluster.drop_namespace(name)


@pytest.fixture(scope="session")
def pod_image(real_cluster: Cluster, request: pytest.FixtureRequest) -> str:
    named = os.environ.get("RUNPLANE_TEST_POD_IMAGE")  # for a cluster that pulls it from somewhere
    if named:
        return named
    built: Any = request.getfixturevalue("runplane_image")
    real_cluster.load(built)
    return str(built)
