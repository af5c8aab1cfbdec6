"""What dies on a real cluster, and what becomes of the run: the right end, the right cause, nothing twice, nothing left."""

from __future__ import annotations

import json

from runplane.events.causes import FailureCause
from runplane.events.status import RunStatus
from services.fixtures import not_to_be_had
from services.kubernetes_house import House

DYING = ("loses_its_pod", "loses_its_job", "is_evicted", "is_killed")


def causes(house: House, run_id: str) -> dict[str, list[str]]:
    """Step -> why its attempts were lost or failed, in their order."""
    found: dict[str, list[str]] = {}
    for event in house.events(run_id):
        if event.step and event.kind == "STEP_SEALED":
            found.setdefault(event.step, []).append(str(event.body["cause"]))
    return found


def live_pods(house: House) -> list[str]:
    """Pods that have not ended."""
    return [p["metadata"]["name"] for p in house.pods() if p["status"]["phase"] in ("Pending", "Running")]


def test_steps_that_lose_their_pod_their_job_or_their_memory_are_evicted_or_killed(house: House) -> None:
    if house.cluster.node is None:
        not_to_be_had("the cluster's containers are not ours to kill")
    house.watcher.hold(*DYING)
    run_id = house.submit("deaths")
    house.wait_for("all bodies", lambda: all(house.started(step) for step in DYING))
    jobs = {step: house.job_of_step(step) for step in DYING}
    pods = {step: house.pod_of(job) for step, job in jobs.items()}
    names = {step: pod["metadata"]["name"] for step, pod in pods.items()}
    here = ("-n", house.namespace)

    house.cluster.kubectl("delete", "pod", *here, names["loses_its_pod"], "--grace-period=0", "--force")
    house.cluster.kubectl("delete", "job", *here, jobs["loses_its_job"], "--wait=false")
    evict(house, names["is_evicted"])
    house.cluster.node.kill_container(house.container_of(names["is_killed"]))
    house.wait_for("second attempts", lambda: all(house.started(step, 2) for step in DYING))
    house.watcher.let_go()

    assert house.wait_for_end(run_id) is RunStatus.FAILURE
    why = causes(house, run_id)
    # A pod that is deleted at once may hear of it or not.
    assert why.pop("loses_its_pod") in ([FailureCause.LOST], [FailureCause.INTERRUPTED])
    assert why == {
        "loses_its_job": [FailureCause.INTERRUPTED],  # its pod is told to end
        "is_evicted": [FailureCause.EVICTED],
        "is_killed": [FailureCause.LOST],  # by something from outside
        "eats_memory": [FailureCause.OUT_OF_MEMORY],
    }, house.story()
    house.check(run_id)
    house.wait_for("the end of all pods", lambda: live_pods(house) == [])


def evict(house: House, pod: str) -> None:
    """As a drain of the node does it."""
    metadata = {"name": pod, "namespace": house.namespace}
    path = f"/api/v1/namespaces/{house.namespace}/pods/{pod}/eviction"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    house.cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
