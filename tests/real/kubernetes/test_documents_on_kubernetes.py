"""The description's documents run as they are on a real cluster: Text 6 is a run's pod, Text 8 is a step's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.clusters import Cluster
from runplane.events.status import RunStatus
from runplane.storage.contract import RunClaim
from runplane.storage.liveness import this_process
from runplane.workers.authority import acquire
from services import s3
from services.described_cluster import (
    BUCKET,
    IMAGE,
    NODE_GROUP,
    REQUEST,
    STEP_DOCUMENT,
    DescribedCluster,
)
from services.fixtures import not_to_be_had
from services.postgres import PostgresServer

STEPS = {"generate_numbers", "filter_even", "filter_odd", "sum_even", "sum_odd", "sum_all"}


@pytest.fixture
def described(
    real_cluster: Cluster, workflows_image: str, postgres_server: PostgresServer, tmp_path: Path
) -> Iterator[DescribedCluster]:
    if real_cluster.publish is None:
        not_to_be_had("the cluster has no registry of ours")
    (tmp_path / "house").mkdir()
    try:
        program = s3.program()
    except s3.S3UnavailableError as error:
        not_to_be_had(f"no S3 gateway: {error}")
    store = s3.S3Server(program, tmp_path / "s3", access_key="root", secret_key="root123!", region="default")
    store.make_bucket(BUCKET)
    made = DescribedCluster(real_cluster, workflows_image, postgres_server, store, tmp_path / "house")
    yield made
    made.close()
    store.close()


def test_text_6_is_a_pod_that_runs_its_run(described: DescribedCluster) -> None:
    run_id = described.store_run()

    described.start(f"dagster-run-{run_id}")

    assert described.wait_for_end() is RunStatus.SUCCESS, described.story()
    pods = described.cluster.get("pods", "-n", described.namespace)
    of_steps = {
        p["metadata"]["annotations"]["runplane/step-key"]: p["spec"] for p in pods if "annotations" in p["metadata"]
    }
    assert set(of_steps) == STEPS
    for spec in of_steps.values():
        (container,) = spec["containers"]
        assert (container["image"], container["imagePullPolicy"]) == (IMAGE, "Always")
        assert container["resources"]["requests"] == {"cpu": "1", "memory": "2Gi"}
        assert {"name": "USER", "value": "ssup2"} in container["env"]
        assert spec["nodeSelector"] == dict([NODE_GROUP])
    stored = [described.s3.data(BUCKET, key) for key in described.s3.keys(BUCKET) if key.startswith("compute-log/")]
    assert any(b"ten numbers" in data for data in stored), f"{described.s3.keys(BUCKET)}\n{described.story()}"


def test_text_8_is_the_document_of_a_pod_that_runs_its_step(described: DescribedCluster) -> None:
    # As the run's first worker in a pod that shares nothing decides it.
    run_id = described.store_run(**{"runplane/outputs": "database"})
    run = described.instance.runs.get(run_id)
    assert isinstance(acquire(described.instance.journal, run, this_process(), resumes_allowed=0), RunClaim)

    described.start("step", ["dagster", "api", "execute_step", STEP_DOCUMENT])

    described.wait_for("its success", lambda: ("STEP_SUCCESS", "generate_numbers", 1) in described.kinds())
    described.wait_for(
        "the end of its pod",
        lambda: described.cluster.get("job", "step", "-n", described.namespace)["status"].get("succeeded"),
    )
    assert REQUEST.run_id == run_id
    assert {step for kind, step, _ in described.kinds() if kind == "STEP_WORKER_STARTED"} == {"generate_numbers"}
