"""What becomes of a whole run when its worker's pod, the node or what stands behind it goes away: the right end, the right cause, nothing
twice, nothing left.

Each accident for both executors, with a budget to go on (3) and without one (0). `make test` has each accident once, with the executors and
budgets in turn; `make test-long` all of them. Runs that meet accidents of their own are on their way side by side. What became of each is in
the JUnit file (`services/chaos.py`), of which ``bench/chaos.py`` makes ``docs/chaos-on-kubernetes.md``.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from cluster.sandbox import Sandbox, wait_for
from runplane.events.causes import FailureCause
from runplane.events.event import Event
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from scale import IS_LONG, scaled
from services.chaos import Notes, RecordProperty
from services.fixtures import not_to_be_had
from services.kubernetes_house import ACCOUNT, NO_IMAGE, House, MakeHouse
from services.postgres import PostgresServer

JOBS = {"multiprocess": "process_numbers", "k8s": "process_numbers_k8s"}
HELD = ("filter_even", "filter_odd")
OUTAGE_S = 20.0
LEASE_S = 15.0
"""Of daemons that have workers to miss."""
PATIENCE_S = scaled(120, long=600)
"""With the full counts four runs are on their way at once, on a machine that others use as well."""
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
    node_of(house).kill_container(house.container_of(pod))


TOLD = ("gave the run up", "was told to end, and the run may not be resumed again")
"""Of a worker that had the time to leave in order: with a budget, without."""
ACCIDENTS: dict[str, tuple[Callable[[House, str], None], Sequence[str]]] = {
    # Who is deleted at once may hear of it or not; and its Job may fail before it is missed.
    "its pod is deleted": (delete_pod, ("not been heard of", "its Job failed: BackoffLimitExceeded", *TOLD)),
    "its Job is deleted": (delete_job, TOLD),
    "its pod is evicted": (evict, TOLD),
    "its container is killed": (kill_container, ("137",)),
}
BUDGETS = (0, 3)
COMBINATIONS = list(itertools.product(JOBS, BUDGETS))


@pytest.fixture
def notes(record_testsuite_property: RecordProperty) -> Notes:
    """What becomes of each case, for the test's report."""
    return Notes(record_testsuite_property)


def groups() -> list[list[Case]]:
    """Cases whose runs are on their way at once. More than a few keep each other's workers from being heard of."""
    every = [[Case(name, *c, *ACCIDENTS[name]) for c in COMBINATIONS] for name in ACCIDENTS]
    # In turn: k8s without a budget, multiprocess with one, k8s with one, multiprocess without.
    turns = (2, 1, 3, 0)
    return every if IS_LONG else [[row[t] for row, t in zip(every, turns, strict=True)]]


def node_of(house: House) -> Sandbox:
    if house.cluster.node is None:
        not_to_be_had("the cluster is not ours to harm")
    return house.cluster.node


def in_mid_run(house: House, executor: str) -> str:
    """A run whose first step has ended, and whose next two wait for the test."""
    return house.submit(JOBS[executor])


def until_held(house: House, *run_ids: str) -> None:
    begun = lambda: all(house.started(step, run_id=run_id) for run_id in run_ids for step in HELD)
    house.wait_for("the bodies that wait", begun, PATIENCE_S)


def said_of_its_loss(events: Sequence[Event]) -> str:
    """What the daemon has noted about lost workers, and the run's end."""
    told = [str(e.body.get("message")) for e in events if e.kind in (EventKind.ENGINE_EVENT, EventKind.RUN_FAILURE)]
    return "\n".join(text for text in told if "worker is gone" in text or "worker was told to end" in text)


def ends_well(house: House, run_id: str, executor: str, *, lost: bool) -> None:
    """Success; a step runs again only where it died with the run's pod."""
    assert house.wait_for_end(run_id, PATIENCE_S) is RunStatus.SUCCESS, house.story()
    house.check(run_id)
    again = {s for s in HELD if house.started(s, 2, run_id=run_id)}
    assert again == (set(HELD) if lost and executor == "multiprocess" else set()), house.story()
    assert not house.started("generate_numbers", 2, run_id=run_id), "it had succeeded"
    house.wait_for("the end of all its pods", lambda: house.live_pods(run_id) == [], GRACE_S + 5)


def fails(house: House, run_id: str) -> None:
    """Failure, and nothing of it runs on."""
    assert house.wait_for_end(run_id, PATIENCE_S) is RunStatus.FAILURE, house.story()
    events = house.check(run_id)
    assert not any(e.kind == EventKind.STEP_SUCCESS and e.step in HELD for e in events)
    house.wait_for("the end of all its pods", lambda: house.live_pods(run_id) == [], GRACE_S + 5)


@pytest.mark.parametrize("cases", groups(), ids=lambda cases: cases[0].accident if IS_LONG else "all accidents")
def test_runs_that_lose_their_workers_pod(make_house: MakeHouse, notes: Notes, cases: Sequence[Case]) -> None:
    houses = {resumes: make_house(resumes=resumes) for resumes in BUDGETS}
    for house in houses.values():
        node_of(house)
        house.watcher.hold(*HELD)
    runs = [(case, houses[case.resumes], in_mid_run(houses[case.resumes], case.executor)) for case in cases]
    with houses[0].daemon(LEASE_S), houses[3].daemon(LEASE_S):
        for house in houses.values():
            until_held(house, *(run_id for _, of, run_id in runs if of is house))
        for case, house, run_id in runs:
            pod = house.pod_of(f"dagster-run-{run_id}")["metadata"]["name"]
            notes.struck(run_id, case.accident, case.executor, case.resumes)
            case.strike(house, pod)

        for _, house, run_id in (one for one in runs if one[0].resumes == 0):
            fails(house, run_id)
        replaced = [run_id for case, _, run_id in runs if case.resumes == 3]
        journal = houses[3].instance.journal
        houses[3].wait_for(
            "their second workers", lambda: all(journal.head(r).epoch >= 2 for r in replaced), PATIENCE_S
        )
        houses[3].watcher.let_go()
        for case, house, run_id in (one for one in runs if one[0].resumes == 3):
            ends_well(house, run_id, case.executor, lost=True)

    for case, house, run_id in runs:
        events = house.events(run_id)
        notes.over(run_id, events)
        told = said_of_its_loss(events)
        assert any(words in told for words in case.words), f"{case.accident}: {told}"


# What the cluster refuses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resumes", BUDGETS if IS_LONG else BUDGETS[:1])
def test_what_the_cluster_does_not_give(make_house: MakeHouse, notes: Notes, resumes: int) -> None:
    """An image, memory: the end, with the cause. Room: waited for. A role: told, with what to ask an administrator for."""
    house = make_house(resumes=resumes)
    node_of(house)
    here = ("-n", house.namespace)

    def begin(accident: str, executor: str, job: str | None = None, image: str | None = None) -> str:
        run_id = house.submit(job or JOBS[executor], image=image)
        notes.struck(run_id, accident, executor, resumes)
        return run_id

    with house.daemon(LEASE_S):
        house.watcher.hold("generate_numbers")
        executors = list(JOBS) if IS_LONG else ["multiprocess"]
        without_image = [begin("its image is missing", executor, image=NO_IMAGE) for executor in executors]
        # In `make test` it is tried on the cluster in memory: here it is seen after a minute.
        step_without_image = [begin("a step's image is missing", "k8s", "step_without_image_k8s")] if IS_LONG else []
        hungry = [begin("a step eats its memory", executor, HUNGRY[executor]) for executor in executors]
        waits_for_steps = begin("the quota is full", "k8s")
        house.wait_for("a first step", lambda: house.started("generate_numbers", run_id=waits_for_steps))

        house.cluster.kubectl("create", "quota", "full", *here, "--hard=pods=1")
        waits_itself = begin("the quota is full", "multiprocess")
        house.watcher.let_go()
        refused = lambda: {e["involvedObject"]["name"] for e in house.cluster.get("events", *here, *FAILED_CREATES)}
        second = lambda: {job_of(house, waits_for_steps, step) for step in HELD}
        house.wait_for("refused pods", lambda: refused() >= {f"dagster-run-{waits_itself}", *second()})
        house.cluster.kubectl("delete", "quota", "full", *here)

        ends_well(house, waits_for_steps, "k8s", lost=False)
        ends_well(house, waits_itself, "multiprocess", lost=False)
        for run_id in without_image:
            fails(house, run_id)
            assert "again and again" in said_of_its_loss(house.events(run_id)), house.story()
        for run_id in step_without_image:
            fails(house, run_id)
            assert sealed_for(house, run_id) == [FailureCause.LAUNCH_REFUSED], house.story()
            assert "the registry refused the image again and again" in evidence_of(house, run_id)
            assert job_of(house, run_id, "has_no_image") == "none yet", "its Job is left"
        for run_id in hungry:
            fails(house, run_id)
            # The kernel ends the step's process, or everything in the container.
            assert sealed_for(house, run_id) == [FailureCause.OUT_OF_MEMORY] or "OOMKilled" in said_of_its_loss(
                house.events(run_id)
            )

        house.watcher.hold("generate_numbers")
        may_no_more = {executor: in_mid_run(house, executor) for executor in (JOBS if IS_LONG else ["k8s"])}
        for run_id in may_no_more.values():
            first = lambda run_id=run_id: house.started("generate_numbers", run_id=run_id)
            house.wait_for("its first step", first)
        for executor, run_id in may_no_more.items():
            notes.struck(run_id, "its role is taken away", executor, resumes)
        house.cluster.kubectl("delete", "rolebinding", ACCOUNT, *here)
        house.watcher.let_go()

        fails(house, may_no_more["k8s"])
        if "multiprocess" in may_no_more:
            ends_well(house, may_no_more["multiprocess"], "multiprocess", lost=False)  # it asks the cluster for nothing
    for run_id in (*without_image, *step_without_image, *hungry, waits_for_steps, waits_itself, *may_no_more.values()):
        notes.over(run_id, house.events(run_id))
    told = evidence_of(house, may_no_more["k8s"])
    assert "kubectl auth can-i" in told, told
    assert "jobs" in told


HUNGRY = {"multiprocess": "hungry", "k8s": "hungry_k8s"}


def job_of(house: House, run_id: str, step: str) -> str:
    """The Job of a run's step; a name that no Job has while there is none."""
    of_run = (j["metadata"] for j in house.jobs() if j["metadata"]["labels"].get("dagster/run-id") == run_id)
    return next((m["name"] for m in of_run if m.get("annotations", {}).get("runplane/step-key") == step), "none yet")


def sealed_for(house: House, run_id: str) -> list[str]:
    """Why attempts of the run were given up."""
    return [str(e.body["cause"]) for e in house.events(run_id) if e.kind == EventKind.STEP_SEALED]


def evidence_of(house: House, run_id: str) -> str:
    """What was seen of the attempts of the run that were given up."""
    sealed = [e for e in house.events(run_id) if e.kind == EventKind.STEP_SEALED]
    return "\n".join(str(e.body.get("evidence")) for e in sealed)


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


def test_nothing_is_lost_by_an_outage(make_house: MakeHouse, postgres_server: PostgresServer, notes: Notes) -> None:
    """Whatever the budget: an outage is no death. What was to start meanwhile starts when it is over."""
    houses = {resumes: make_house(resumes=resumes) for resumes in (BUDGETS if IS_LONG else BUDGETS[:1])}
    node = node_of(houses[0])
    with contextlib.ExitStack() as daemons:
        for house in houses.values():
            daemons.enter_context(house.daemon())
        for outages in [[outage] for outage in OUTAGES] if IS_LONG else [OUTAGES]:
            runs = []
            for resumes, house in houses.items():
                house.watcher.hold(*HELD)
                runs += [(house, in_mid_run(house, executor), executor, resumes) for executor in JOBS]
            for house, run_id, _, _ in runs:
                until_held(house, run_id)
            for _, run_id, executor, resumes in runs:
                notes.struck(
                    run_id, ", ".join(outage.__name__.replace("_", " ") for outage in outages), executor, resumes
                )
            for outage in outages:
                with outage(node, postgres_server):
                    if outage is outages[-1]:
                        for house in houses.values():
                            house.watcher.let_go()  # the ends of steps fall into the last of them
                    time.sleep(OUTAGE_S)  # the outage
                wait_for("the API server", lambda: answers(houses[0]), 60)

            for house, run_id, executor, _ in runs:
                ends_well(house, run_id, executor, lost=False)
                notes.over(run_id, house.events(run_id))


def test_a_node_that_is_tainted_and_comes_back(make_house: MakeHouse, notes: Notes) -> None:
    """All pods have to leave. Whoever has a budget goes on when there is room again; a step's own death costs no user's retry."""
    house_of = {resumes: make_house(resumes=resumes) for resumes in BUDGETS}
    combinations = COMBINATIONS if IS_LONG else [("multiprocess", 0), ("k8s", 3)]
    for house in house_of.values():
        house.watcher.hold(*HELD)
    runs = [(house_of[resumes], in_mid_run(house_of[resumes], executor)) for executor, resumes in combinations]
    (name,) = (n["metadata"]["name"] for n in runs[0][0].cluster.get("nodes"))
    with house_of[0].daemon(LEASE_S), house_of[3].daemon(LEASE_S):
        for house in house_of.values():
            until_held(house, *(run_id for of, run_id in runs if of is house))
        for (_, run_id), (executor, resumes) in zip(runs, combinations, strict=True):
            notes.struck(run_id, "its node is tainted", executor, resumes)
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
                assert house.wait_for_end(run_id, PATIENCE_S) is RunStatus.SUCCESS, house.story()
                house.check(run_id)
    for house, run_id in runs:
        notes.over(run_id, house.events(run_id))
        causes = set(sealed_for(house, run_id))
        assert causes <= {FailureCause.EVICTED, FailureCause.INTERRUPTED, FailureCause.LOST}, house.story()


def running(house: House, run_id: str) -> list[str]:
    """Pods of the run that are on the node. The kubelet says `Running` a second or two after the code has begun."""
    return [
        pod["metadata"]["name"]
        for pod in house.pods()
        if pod["metadata"]["labels"].get("dagster/run-id") == run_id
        and pod["spec"].get("nodeName")
        and pod["status"]["phase"] in ("Pending", "Running")
    ]


def answers(house: House) -> bool:
    try:
        return house.cluster.kubectl("get", "--raw", "/readyz", "--request-timeout=5s") == "ok"
    except AssertionError:
        return False
