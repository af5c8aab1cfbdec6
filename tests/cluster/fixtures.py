"""Fixtures for a real Kubernetes cluster. `tests/conftest.py` gives them to every test.

=================  ========================================================================================================
`real_cluster`     the session's cluster: `kubectl`, `apply`, `get`, `reachable(port)`, `load(image)`
`namespace`        a fresh namespace that enforces the pod security level `restricted`; deleted when the test ends
=================  ========================================================================================================

What is not to be had is a skip on a developer's machine and a failure in CI.
"""

from __future__ import annotations

from collections.abc import Iterator

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
