"""Every row of the table of causes, by what is seen of a Job."""

from __future__ import annotations

from typing import Any

import pytest

from runplane.events.causes import FailureCause
from runplane.kube.causes import CLEAR_REFUSALS, CONFIG_PATIENCE_S, ROWS, is_clear_refusal
from runplane.kube.health import judge
from runplane.kube.observed import Observed
from runplane.kube.verdict import Health

DELETED = {"deletionTimestamp": "2026-01-01T00:00:09Z"}


def job(*conditions: tuple[str, str], suspend: bool = False, deleted: bool = False, failed: int = 0) -> dict[str, Any]:
    told = [{"type": kind, "status": "True", "reason": reason, "message": "words"} for kind, reason in conditions]
    meta = {"name": "step", "uid": "u", **(DELETED if deleted else {})}
    return {"metadata": meta, "spec": {"suspend": suspend}, "status": {"conditions": told, "failed": failed}}


def pod(
    phase: str = "Running",
    state: dict[str, Any] | None = None,
    *,
    reason: str | None = None,
    message: str = "words",
    disrupted: str | None = None,
    deleted: bool = False,
    name: str = "step-abcde",
    sidecar: bool = False,
    init: dict[str, Any] | None = None,
    conditions: tuple[dict[str, Any], ...] = (),
) -> dict[str, Any]:
    told = list(conditions)
    if disrupted:
        told.append({"type": "DisruptionTarget", "status": "True", "reason": disrupted, "message": "words"})
    statuses = [{"name": "main", "state": state}] if state is not None else []
    if sidecar:
        statuses.insert(0, {"name": "aaa", "state": {"running": {}}})
    status: dict[str, Any] = {"phase": phase, "conditions": told, "containerStatuses": statuses}
    status |= {"reason": reason, "message": message} if reason else {}
    status |= {"initContainerStatuses": [{"name": "init", "state": init}]} if init else {}
    meta = {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z", **(DELETED if deleted else {})}
    return {"metadata": meta, "spec": {"nodeName": "node-1", "containers": [{"name": "main"}]}, "status": status}


def waits(reason: str, message: str = "words") -> dict[str, Any]:
    return pod("Pending", {"waiting": {"reason": reason, "message": message}})


def ended(code: int, reason: str = "Error", **more: Any) -> dict[str, Any]:
    phase = "Succeeded" if code == 0 else "Failed"
    return pod(phase, {"terminated": {"exitCode": code, "reason": reason}}, **more)


def seen(*pods: dict[str, Any], of: Any = (), vanished: Any = (), **more: Any) -> Observed:
    return Observed(job() if of == () else of, pods, vanished, **more)


def failed_create(message: str) -> Observed:
    return seen(events=[{"reason": "FailedCreate", "message": message}])


RUNNING = pod("Running", {"running": {}})
NO_NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
CASES: dict[str, Observed] = {
    "job deleted, pod lives": seen(RUNNING, of=None, confirmed=True),
    "job being deleted": seen(RUNNING, of=job(deleted=True)),
    "job is failing": seen(RUNNING, of=job(("FailureTarget", "BackoffLimitExceeded"), failed=1)),
    "suspended, pod lives": seen(RUNNING, of=job(suspend=True)),
    "pod being deleted": seen(pod("Running", {"running": {}}, deleted=True), of=job(failed=1)),
    "image name is wrong": seen(waits("InvalidImageName")),
    "image missing": seen(waits("ImagePullBackOff"), image_refusals=CLEAR_REFUSALS),
    "image not pulled yet": seen(waits("ErrImagePull"), image_refusals=CLEAR_REFUSALS - 1),
    "container config missing": seen(waits("CreateContainerConfigError"), waiting_s=CONFIG_PATIENCE_S),
    "container config not there yet": seen(waits("CreateContainerConfigError"), waiting_s=CONFIG_PATIENCE_S - 1),
    "no node": seen(pod("Pending", conditions=(NO_NODE,))),
    "starting": seen(waits("ContainerCreating")),
    "running": seen(RUNNING),
    "preempted": seen(pod("Failed", disrupted="PreemptionByScheduler")),
    "suspended in mid-run": seen(of=job(suspend=True), vanished=[RUNNING]),
    "evicted on request": seen(vanished=[pod("Running", {"running": {}}, disrupted="EvictionByEvictionAPI")]),
    "over its own disk limit": seen(
        pod("Failed", reason="Evicted", message="Pod ephemeral local storage usage exceeds the total limit of containers 1Gi.")
    ),
    "evicted by the node": seen(pod("Failed", reason="Evicted", message="The node was low on resource: memory.")),
    "taint": seen(pod("Failed", disrupted="DeletionByTaintManager")),
    "node lost": seen(pod("Failed", disrupted="DeletionByPodGC")),
    "node lost, older clusters": seen(pod("Failed", reason="NodeLost")),
    "node shut down": seen(pod("Failed", reason="Terminated", message="Pod was terminated in response to imminent node shutdown.")),
    "turned away by the node": seen(pod("Failed", reason="OutOfcpu")),
    "pod deadline": seen(pod("Failed", reason="DeadlineExceeded")),
    "out of memory, container killed": seen(ended(137, "OOMKilled")),
    "out of memory, child killed": seen(ended(1, "OOMKilled")),
    "out of memory, exit 0": seen(ended(0, "OOMKilled")),
    "image without runplane": seen(ended(128, "StartError")),
    "no instance in the pod": seen(ended(72)),
    "version skew": seen(ended(74)),
    "no database in the pod": seen(ended(73)),
    "told to end": seen(ended(143)),
    "killed": seen(ended(137)),
    "crashed by a signal": seen(ended(139)),
    "crashed": seen(ended(3)),
    "ended without an outcome": seen(ended(0, "Completed")),
    "init container failed": seen(pod("Failed", init={"terminated": {"exitCode": 2, "reason": "Error"}})),
    "pod failed": seen(pod("Failed", reason="SomethingNew")),
    "pod deleted": seen(vanished=[RUNNING]),
    "job gone": seen(of=None, confirmed=True),
    "job not seen": seen(of=None),
    "job complete": seen(of=job(("Complete", "CompletionsReached"))),
    "job deadline": seen(of=job(("Failed", "DeadlineExceeded"))),
    "job failed": seen(of=job(("Failed", "BackoffLimitExceeded"))),
    "suspended": seen(of=job(suspend=True)),
    "quota full": failed_create('Error creating: pods "x" is forbidden: exceeded quota: q, requested: cpu=1'),
    "pod denied": failed_create('Error creating: pods "x" is forbidden: violates PodSecurity "restricted:latest"'),
    "no pod yet": seen(),
}  # fmt: skip


def test_each_row_has_its_case() -> None:
    assert list(CASES) == [row.name for row in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_row_fits_what_it_says(row: Any) -> None:
    verdict = judge(CASES[row.name])

    assert (verdict.row, verdict.health, verdict.cause) == (row.name, row.health, row.cause)
    assert verdict.evidence


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_end_has_a_cause_and_nothing_else_has(row: Any) -> None:
    assert (row.cause is not None) is (row.health in (Health.GONE, Health.NEVER))


@pytest.mark.parametrize("row", [r for r in ROWS if r.health is Health.GONE], ids=lambda row: row.name)
def test_nothing_is_gone_while_a_pod_lives(row: Any) -> None:
    case = CASES[row.name]
    younger = {**RUNNING, "metadata": {**RUNNING["metadata"], "name": "another"}}

    verdict = judge(Observed(case.job, [*case.pods, younger], case.vanished, case.events, case.confirmed))

    assert verdict.health in (Health.ALIVE, Health.ENDING)


def test_a_main_container_that_has_ended_has_ended_though_a_sidecar_runs() -> None:
    state = {"terminated": {"exitCode": 3, "reason": "Error"}}

    assert judge(seen(pod("Running", state, sidecar=True))).row == "crashed"


def test_a_container_that_was_started_again_has_ended_before() -> None:
    again = pod("Running", {"running": {}})
    again["status"]["containerStatuses"][0]["lastState"] = {"terminated": {"exitCode": 139, "reason": "Error"}}

    assert judge(seen(again)).row == "crashed by a signal"


def test_the_newest_pod_counts() -> None:
    older = ended(3)
    newer = ended(0, "OOMKilled", name="step-later")
    newer["metadata"]["creationTimestamp"] = "2026-01-01T00:01:00Z"

    assert judge(seen(older, newer)).cause is FailureCause.OUT_OF_MEMORY


def test_evidence_names_pod_node_container_and_code() -> None:
    assert judge(seen(ended(3))).evidence == (
        "it ended without an outcome: container main of pod step-abcde on node node-1: exit code 3, Error"
    )


@pytest.mark.parametrize(
    ("message", "clear"),
    [
        ('rpc error: code = NotFound desc = failed to pull and unpack image "x": not found', True),
        ("pull access denied, repository does not exist or may require authorization", True),
        ("failed to do request: dial tcp 10.0.0.1:443: connect: connection refused", False),
        ("toomanyrequests: You have reached your pull rate limit. denied", False),
        ("net/http: TLS handshake timeout", False),
        ("something else", False),
    ],
)
def test_which_refusals_of_an_image_are_clear(message: str, clear: bool) -> None:
    assert is_clear_refusal(message) is clear
