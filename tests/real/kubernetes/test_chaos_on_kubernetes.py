"""What becomes of a whole run when its worker's pod, the node or what stands behind it goes away: the right end, the right cause, nothing
twice, nothing left.

Each accident for both executors, with a budget to go on (3) and without one (0). `make test` has each accident once, with the executors and
budgets in turn; `make test-long` all of them. Runs that meet accidents of their own are on their way side by side.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cluster.components import REGISTRY
from cluster.sandbox import Sandbox, wait_for
from runplane.events.causes import FailureCause
from runplane.events.event import Event
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from scale import IS_LONG
from services.fixtures import not_to_be_had
from services.kubernetes_house import ACCOUNT, House, MakeHouse
from services.postgres import PostgresServer

JOBS = {"multiprocess": "process_numbers", "k8s": "process_numbers_k8s"}
HELD = ("filter_even", "filter_odd")
OUTAGE_S = 20.0
LEASE_S = 15.0
"""Of daemons that have workers to miss."""
GRACE_S = 30.0
"""Of the pods, as Kubernetes has it."""


@dataclass(frozen=True)
class Case:
    """One accident of one run.

    Attributes:
        accident: its name.
        executor, resumes: of the run.
        strike: does it, given the house and the run's pod.
        words: one of these has to stand in what the run says about it.
    """

    accident: str
    executor: str
    resumes: int
    strike: Callable[[House, str], None]
    words: Sequence[str]


def delete_pod(house: House, pod: str) -> None:
    house.cluster.kubectl("delete", "pod", "-n", house.namespace, pod, "--grace-period=0", "--force")


def delete_job(house: House, pod: str) -> None:
    job = house.cluster.get("pod", "-n", house.namespace, pod)["metadata"]["labels"]["job-name"]
    house.cluster.kubectl("delete", "job", "-n", house.namespace, job, "--wait=false")


def evict(house: House, pod: str) -> None:
    """As a drain of the node does it."""
    metadata = {"name": pod, "namespace": house.namespace}
    path = f"/api/v1/namespaces/{house.namespace}/pods/{pod}/eviction"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    house.cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))


def kill_container(house: House, pod: str) -> None:
    statuses = house.cluster.get("pod", "-n", house.namespace, pod)["status"]["containerStatuses"]
    node_of(house).kill_container(statuses[0]["containerID"].partition("//")[2])


TOLD = ("gave the run up", "was told to end, and the run may not be resumed again")
"""Of a worker that had the time to leave in order: with a budget, without."""
ACCIDENTS: dict[str, tuple[Callable[[House, str], None], Sequence[str]]] = {
    # Who is deleted at once may hear of it or not.
    "its pod is deleted": (delete_pod, ("not been heard of", *TOLD)),
    "its Job is deleted": (delete_job, TOLD),
    "its pod is evicted": (evict, TOLD),
    "its container is killed": (kill_container, ("137",)),
}
COMBINATIONS = list(itertools.product(JOBS, (0, 3)))


def chosen() -> list[Case]:
    every = [[Case(name, *c, *ACCIDENTS[name]) for c in COMBINATIONS] for name in ACCIDENTS]
    # In turn: k8s without a budget, multiprocess with one, k8s with one, multiprocess without.
    turns = (2, 1, 3, 0)
    return [c for row in every for c in row] if IS_LONG else [row[t] for row, t in zip(every, turns, strict=True)]


def node_of(house: House) -> Sandbox:
    if house.cluster.node is None:
        not_to_be_had("the cluster is not ours to harm")
    return house.cluster.node


def in_mid_run(house: House, executor: str) -> str:
    """A run whose first step has ended, and whose next two wait for the test."""
    return house.submit(JOBS[executor])


def until_held(house: House, *run_ids: str) -> None:
    begun = lambda: all(house.started(step, run_id=run_id) for run_id in run_ids for step in HELD)
    house.wait_for("the bodies that wait", begun)


def said_of_its_loss(events: Sequence[Event]) -> str:
    """What the daemon has noted about lost workers, and the run's end."""
    told = [str(e.body.get("message")) for e in events if e.kind in (EventKind.ENGINE_EVENT, EventKind.RUN_FAILURE)]
    return "\n".join(text for text in told if "worker is gone" in text or "worker was told to end" in text)


def ends_well(house: House, run_id: str, executor: str, *, lost: bool) -> None:
    """Success; a step runs again only where it died with the run's pod."""
    assert house.wait_for_end(run_id) is RunStatus.SUCCESS, house.story()
    house.check(run_id)
    again = {s for s in HELD if house.started(s, 2, run_id=run_id)}
    assert again == (set(HELD) if lost and executor == "multiprocess" else set()), house.story()
    assert not house.started("generate_numbers", 2, run_id=run_id), "it had succeeded"
    house.wait_for("the end of all its pods", lambda: house.live_pods(run_id) == [], GRACE_S + 5)


def fails(house: House, run_id: str) -> None:
    """Failure, and nothing of it runs on."""
    assert house.wait_for_end(run_id) is RunStatus.FAILURE, house.story()
    events = house.check(run_id)
    assert not any(e.kind == EventKind.STEP_SUCCESS and e.step in HELD for e in events)
    house.wait_for("the end of all its pods", lambda: house.live_pods(run_id) == [], GRACE_S + 5)


def test_runs_that_lose_their_workers_pod(make_house: MakeHouse) -> None:
    cases = chosen()
    houses = {resumes: make_house(resumes=resumes) for resumes in (0, 3)}
    for house in houses.values():
        node_of(house)
        house.watcher.hold(*HELD)
    runs = [(case, houses[case.resumes], in_mid_run(houses[case.resumes], case.executor)) for case in cases]
    with houses[0].daemon(LEASE_S), houses[3].daemon(LEASE_S):
        for house in houses.values():
            until_held(house, *(run_id for _, of, run_id in runs if of is house))
        for case, house, run_id in runs:
            case.strike(house, house.pod_of(f"dagster-run-{run_id}")["metadata"]["name"])

        for _, house, run_id in (one for one in runs if one[0].resumes == 0):
            fails(house, run_id)
        replaced = [run_id for case, _, run_id in runs if case.resumes == 3]
        journal = houses[3].instance.journal
        houses[3].wait_for("their second workers", lambda: all(journal.head(r).epoch >= 2 for r in replaced))
        houses[3].watcher.let_go()
        for case, house, run_id in (one for one in runs if one[0].resumes == 3):
            ends_well(house, run_id, case.executor, lost=True)

    for case, house, run_id in runs:
        told = said_of_its_loss(house.events(run_id))
        assert any(words in told for words in case.words), f"{case.accident}: {told}"


# What the cluster refuses ---------------------------------------------------------------------------------------------------------


def test_what_the_cluster_does_not_give(make_house: MakeHouse) -> None:
    """An image, memory: the end, with the cause. Room: waited for. A role: told, with what to ask an administrator for."""
    house = make_house(resumes=0)
    node_of(house)
    here = ("-n", house.namespace)
    with house.daemon(LEASE_S):
        house.watcher.hold("generate_numbers")
        without_image = house.submit("process_numbers", image=f"{REGISTRY}/nobody/nothing:1")
        hungry = house.submit("hungry")
        waits_for_steps = in_mid_run(house, "k8s")
        house.wait_for("a first step", lambda: house.started("generate_numbers", run_id=waits_for_steps))

        house.cluster.kubectl("create", "quota", "full", *here, "--hard=pods=1")
        waits_itself = in_mid_run(house, "multiprocess")
        house.watcher.let_go()
        refused = lambda: {e["involvedObject"]["name"] for e in house.cluster.get("events", *here, *FAILED_CREATES)}
        second = lambda: {house.job_of_step(step) for step in HELD} if len(house.jobs()) >= 6 else {"none yet"}
        house.wait_for("refused pods", lambda: refused() >= {f"dagster-run-{waits_itself}", *second()})
        house.cluster.kubectl("delete", "quota", "full", *here)

        ends_well(house, waits_for_steps, "k8s", lost=False)
        ends_well(house, waits_itself, "multiprocess", lost=False)
        fails(house, without_image)
        assert "again and again" in said_of_its_loss(house.events(without_image)), house.story()
        fails(house, hungry)
        lost = [str(e.body["cause"]) for e in house.events(hungry) if e.kind == EventKind.STEP_SEALED]
        # The kernel ends the step's process, or everything in the container.
        assert lost == [FailureCause.OUT_OF_MEMORY] or "OOMKilled" in said_of_its_loss(house.events(hungry))

        house.watcher.hold("generate_numbers")
        may_no_more = in_mid_run(house, "k8s")
        house.wait_for("its first step", lambda: house.started("generate_numbers", run_id=may_no_more))
        house.cluster.kubectl("delete", "rolebinding", ACCOUNT, *here)
        house.watcher.let_go()

        fails(house, may_no_more)
    told = {str(e.body.get("evidence")) for e in house.events(may_no_more) if e.kind == EventKind.STEP_SEALED}
    assert any("kubectl auth can-i" in text and "jobs" in text for text in told), told


FAILED_CREATES = ("--field-selector=reason=FailedCreate",)


# What hurts the whole node --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def api_server_frozen(node: Sandbox, server: PostgresServer) -> Iterator[None]:
    with node.frozen("kube-apiserver"):
        yield


@contextlib.contextmanager
def kubelet_killed(node: Sandbox, server: PostgresServer) -> Iterator[None]:
    with node.killed("kubelet"):
        yield


@contextlib.contextmanager
def etcd_and_api_server_killed(node: Sandbox, server: PostgresServer) -> Iterator[None]:
    with node.killed("etcd", "kube-apiserver"):
        yield


@contextlib.contextmanager
def postgres_away(node: Sandbox, server: PostgresServer) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


OUTAGES = (api_server_frozen, kubelet_killed, etcd_and_api_server_killed, postgres_away)


def test_nothing_is_lost_by_an_outage(make_house: MakeHouse, postgres_server: PostgresServer) -> None:
    """Without any budget: an outage is no death. What was to start meanwhile starts when it is over."""
    house = make_house(resumes=0)
    node = node_of(house)
    with house.daemon():
        for outages in [[outage] for outage in OUTAGES] if IS_LONG else [OUTAGES]:
            house.watcher.hold(*HELD)
            runs = {in_mid_run(house, executor): executor for executor in JOBS}
            until_held(house, *runs)
            for outage in outages:
                with outage(node, postgres_server):
                    if outage is outages[-1]:
                        house.watcher.let_go()  # the ends of steps fall into the last of them
                    time.sleep(OUTAGE_S)  # the outage
                wait_for("the API server", lambda: answers(house), 60)

            for run_id, executor in runs.items():
                ends_well(house, run_id, executor, lost=False)


def test_a_node_that_is_tainted_and_comes_back(make_house: MakeHouse) -> None:
    """All pods have to leave. Whoever has a budget goes on when there is room again; a step's own death costs no user's retry."""
    house_of = {resumes: make_house(resumes=resumes) for resumes in (0, 3)}
    combinations = COMBINATIONS if IS_LONG else [("multiprocess", 0), ("k8s", 3)]
    for house in house_of.values():
        house.watcher.hold(*HELD)
    runs = [(house_of[resumes], in_mid_run(house_of[resumes], executor)) for executor, resumes in combinations]
    (name,) = (n["metadata"]["name"] for n in runs[0][0].cluster.get("nodes"))
    with house_of[0].daemon(LEASE_S), house_of[3].daemon(LEASE_S):
        for house in house_of.values():
            until_held(house, *(run_id for of, run_id in runs if of is house))
        runs[0][0].cluster.kubectl("taint", "node", name, "broken=yes:NoExecute")
        try:
            for house, run_id in runs:
                house.wait_for("all pods have left", lambda h=house, r=run_id: not running(h, r), 2 * GRACE_S)
        finally:
            runs[0][0].cluster.kubectl("taint", "node", name, "broken-")
        for house in house_of.values():
            house.watcher.let_go()

        for house, run_id in runs:
            if house is house_of[0]:
                fails(house, run_id)
            else:
                assert house.wait_for_end(run_id) is RunStatus.SUCCESS, house.story()
                house.check(run_id)
    for house, run_id in runs:
        causes = {str(e.body["cause"]) for e in house.events(run_id) if e.kind == EventKind.STEP_SEALED}
        assert causes <= {FailureCause.EVICTED, FailureCause.INTERRUPTED, FailureCause.LOST}, house.story()


def running(house: House, run_id: str) -> list[str]:
    """Pods of the run that are on the node."""
    return [
        pod["metadata"]["name"]
        for pod in house.pods()
        if pod["metadata"]["labels"].get("dagster/run-id") == run_id and pod["status"]["phase"] == "Running"
    ]


def answers(house: House) -> bool:
    try:
        return house.cluster.kubectl("get", "--raw", "/readyz", "--request-timeout=5s") == "ok"
    except AssertionError:
        return False
