"""A node that goes away with a step's pod and never comes back. The run's worker is a process of this machine, which drives steps in a
cluster as one in a pod does."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from cluster.components import NODE_GRACE_S
from runplane.events.argv import run_command
from runplane.events.causes import FailureCause
from runplane.events.kinds import EventKind
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.requests import ExecuteRunArgs
from runplane.events.status import RunStatus
from runplane.instance.instance import RunRequest
from services.fixtures import not_to_be_had
from services.kubernetes_house import ACCOUNT, House, MakeHouse

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
GONE_WITHIN_S = 120.0
"""Kubernetes looks every 20 s for pods of nodes that are out of service, and waits 40 s more where there is no node any more."""


def put_out_of_service(house: House, node: str) -> None:
    """What an administrator does who knows that the machine is off."""
    house.cluster.kubectl("taint", "node", node, f"{OUT_OF_SERVICE}=nodeshutdown:NoExecute")


def delete(house: House, node: str) -> None:
    """What a cloud does whose machine is gone."""
    house.cluster.kubectl("delete", "node", node)


def is_ready(house: House, node: str) -> bool:
    """Whether its kubelet is heard of."""
    (conditions,) = (n["status"]["conditions"] for n in house.cluster.get("nodes") if n["metadata"]["name"] == node)
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def evict(house: House, pod: str) -> None:
    """What the taint manager does, but in a cluster without any node that is left: there it may stop all evictions."""
    made = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": house.namespace}}
    path = f"/api/v1/namespaces/{house.namespace}/pods/{pod}/eviction"
    house.cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(made))


@contextlib.contextmanager
def worker_on_this_machine(house: House, job: str) -> Iterator[str]:
    """A run whose worker has the role of run workers, and no pod: its id."""
    shutil.copy(house.folder / "definitions.py", house.shared)  # where pods have it under the same path
    pointer = FileCodePointer(str(house.shared / "definitions.py"), "defs", str(house.shared))
    origin = JobOrigin(job, RepositoryOrigin(sys.executable, pointer, entry_point=("runplane",)))
    run = house.instance.create(RunRequest(job, origin, house.plan(job)))
    words = run_command(ExecuteRunArgs(house.instance.ref, origin, run.run_id))
    env = {**os.environ, "DAGSTER_HOME": str(house.folder), "KUBECONFIG": str(house.kubeconfig_of(ACCOUNT))}
    with (house.folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "runplane", *words[1:]],
            cwd=house.folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield run.run_id
        assert process.wait(60) == 0, (house.folder / "worker.log").read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("ends", "causes"),
    [
        (put_out_of_service, {FailureCause.EVICTED}),
        pytest.param(delete, {FailureCause.NODE_LOST}, marks=pytest.mark.long),
    ],
)
def test_a_step_whose_node_never_comes_back_runs_again_when_there_is_another(
    make_house: MakeHouse, ends: Callable[[House, str], None], causes: set[FailureCause]
) -> None:
    house = make_house()
    node = house.cluster.node
    if node is None:
        not_to_be_had("the cluster is not ours to harm")
    (name,) = (n["metadata"]["name"] for n in house.cluster.get("nodes"))
    house.watcher.hold("first")
    with worker_on_this_machine(house, "two_k8s") as run_id:
        house.wait_for("the first body", lambda: house.started("first"))
        first = house.pod_of(house.job_of_step("first"))
        container = house.container_of(first["metadata"]["name"])
        with node.killed("kubelet"):
            node.kill_container(container)
            house.wait_for("a node that is not ready", lambda: not is_ready(house, name), NODE_GRACE_S + 60)
            evict(house, first["metadata"]["name"])
            assert len(house.jobs()) == 1, "nobody knows yet whether it runs"

            ends(house, name)
            house.wait_for("another attempt", lambda: len(house.jobs()) == 2, GONE_WITHIN_S)
        if ends is put_out_of_service:
            house.cluster.kubectl("taint", "node", name, f"{OUT_OF_SERVICE}-")
        house.wait_for("its second body", lambda: house.started("first", 2))
        house.watcher.let_go()

        assert house.wait_for_end(run_id) is RunStatus.SUCCESS, house.story()
    sealed = [e.body["cause"] for e in house.check(run_id) if e.kind == EventKind.STEP_SEALED]
    assert set(sealed) == causes, house.story()
    house.wait_for("the end of all its pods", lambda: house.live_pods(run_id) == [])
