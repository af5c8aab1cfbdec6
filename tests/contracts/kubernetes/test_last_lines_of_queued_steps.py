"""Of a step that is a pod in a queue, and fails by itself, its worker keeps the last lines; the run's end waits for them."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runplane.engine.snapshot import PlanSnapshot, StepPlan
from runplane.errors import StorageUnavailableError
from runplane.events.causes import FailureCause
from runplane.events.event import Event, NewEvent
from runplane.events.kinds import EventKind
from runplane.executors import queue_runner
from runplane.executors.contract import Report, StepOrder
from runplane.executors.driver import ControlSeen, Driver
from runplane.executors.queue_runner import QueueRunner
from runplane.instance.instance import Instance
from runplane.instance.load import from_yaml
from runplane.kube.client import TRIES
from runplane.storage.contract import Accepted, AttemptRef, Claimed, Issue, Owner
from runplane.storage.journal import Journal
from runplane.storage.step_queues import StepQueues
from runplane.testing.fake_cluster import FakeCluster, FakePod, Fault
from runplane.testing.fake_cluster.pods import Script, runs
from services.bare_pods import RUN, BarePods
from services.thread_worker import ThreadWorker

LOG, FAILED, AGAIN, WELL = "get pods/log", EventKind.STEP_FAILURE, EventKind.STEP_UP_FOR_RETRY, EventKind.STEP_SUCCESS
TTL_S = 5.0


class Room:
    """A run whose only steps are pods that end as they are told to, the worker that makes them, and the run's side of both.

    Attributes:
        tells: given an attempt, writes what its pod writes after its claim, and its exit code.
        prints: what each pod prints.
    """

    def __init__(self, instance: Instance, cluster: FakeCluster, folder: Path) -> None:
        self.instance, self.cluster = instance, cluster
        self.prints = "ten numbers\npassword=tulip\n"
        self.ends: Mapping[str, tuple[EventKind, Mapping[str, Any], int]] = {}
        self.is_held = False
        self._kubeconfig = cluster.kubeconfig(folder)
        self._batches = itertools.count(1)
        instance.journal.create(RUN)
        begun = NewEvent(EventKind.RUN_START, None, None, {}, 0.0)
        claim = instance.journal.claim_run(RUN.run_id, Owner("c", "host", "boot", 1, 1), [], begun)
        assert claim is not None
        self.claim = claim
        self.queues = StepQueues(instance.database, ttl_s=TTL_S)
        self.runner = self.runner_of(lambda _: None)
        self.workers: list[ThreadWorker] = []
        cluster.program = lambda _: Script(self._does)

    def runner_of(self, report: Report) -> QueueRunner:
        context: Any = SimpleNamespace(run=RUN, instance=self.instance, epoch=self.claim.epoch)
        kind: Any = BarePods(self.instance.instance_id)
        return QueueRunner(report, context, self.queues, None, kind, ttl_s=TTL_S)

    def worker(self) -> ThreadWorker:
        self.workers.append(ThreadWorker(self.instance.sibling(), self._kubeconfig))
        return self.workers[-1]

    def order(self, step: str, kind: EventKind, code: int = 0, captured: bool = False, **body: Any) -> AttemptRef:
        """Put a step into its queue that will end like this; `captured`: its log is kept elsewhere."""
        ref = AttemptRef(step, 1)
        self.ends = {**self.ends, step: (kind, {"captured": captured, **body}, code)}
        issued = self.instance.journal.commit(RUN.run_id, self.claim.epoch, next(self._batches), [Issue(ref)])
        assert isinstance(issued.results[0], Accepted)
        self.runner.start(StepOrder(RUN, StepPlan(step, step, step), ref))
        return ref

    def events(self) -> list[Event]:
        return list(self.instance.journal.history(RUN.run_id))

    def hears(self, kind: EventKind) -> None:
        """The run's side hears of the first outcome of this kind."""
        self.wait_for("the outcome", lambda: any(e.kind == kind for e in self.events()))
        self.runner.heard(self.events())

    def pod(self) -> FakePod:
        """The only one."""
        return self.cluster.pod_of(self.cluster.all_jobs()[0]["metadata"]["name"])

    def kept(self) -> list[str]:
        return [e.body["evidence"] for e in self.events() if "evidence" in e.body]

    def is_over(self) -> bool:
        """No worker has anything to tell of a pod any more."""
        return not self.queues.of_run(RUN.run_id)

    def wait_for(self, what: str, is_there: Callable[[], object]) -> None:
        self.cluster.wait_for(what, lambda: bool(is_there()))

    def close(self) -> None:
        self.cluster.end_faults()
        for one in self.workers:
            one.close()
        self.runner.close()

    def _does(self, pod: FakePod) -> None:
        runs(pod)
        ref = AttemptRef(pod.annotations["runplane/step-key"], 1)
        kind, body, code = self.ends[ref.step]
        pod.log(lambda: self.prints)
        journal = self.instance.journal
        begun = journal.claim(RUN.run_id, ref, pod.uid, _event(ref, EventKind.STEP_WORKER_STARTED), make=False)
        assert isinstance(begun, Claimed)
        captured = {"log_key": ["r", "compute_logs", "k"]} if body["captured"] else {"pod": pod.name}
        told = [_event(ref, EventKind.LOGS_CAPTURED, **captured), _event(ref, kind, **body)]
        journal.append_as_attempt(RUN.run_id, ref, begun.nonce, 1, told)
        if not self.is_held:
            pod.exited(code)


def _event(ref: AttemptRef, kind: EventKind, **body: Any) -> NewEvent:
    return NewEvent(kind, ref.step, ref.n, {"message": str(kind), **body}, time.time())


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    with Instance(from_yaml("", tmp_path, {}), {"RUNPLANE_LEASE_TTL": str(TTL_S)}) as made:
        yield made


@pytest.fixture
def room(instance: Instance, cluster: FakeCluster, tmp_path: Path) -> Iterator[Room]:
    made = Room(instance, cluster, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("kind", "code"), [(FAILED, 0), (AGAIN, 0), (FAILED, 3)], ids=["failed", "to be retried", "failed, and then died"]
)
def test_what_a_failed_step_printed_last_is_in_the_log_before_the_runs_end(
    room: Room, kind: EventKind, code: int
) -> None:
    room.order("a", kind, code, cause=FailureCause.USER_CODE.value)
    room.worker()
    room.hears(kind)

    assert room.runner.closing() == ()

    assert room.kept() == ["It printed last:\nten numbers\npassword=[hidden]"]
    told = next(e for e in room.events() if "evidence" in e.body)
    assert (told.kind, told.step, told.n) == (EventKind.ENGINE_EVENT, "a", 1)
    assert told.body["metadata"]["Kubernetes Pod name"] == room.pod().name


def test_lines_are_stored_before_the_pods_end_is_told(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_by_then: list[int] = []
    tell_end = StepQueues.end

    def end(*arguments: Any) -> None:
        kept_by_then.append(len(room.kept()))
        tell_end(*arguments)

    monkeypatch.setattr(StepQueues, "end", end)
    room.order("a", FAILED)
    room.worker()

    room.wait_for("its worker's word", room.is_over)

    assert kept_by_then == [1], "lines stored when the end was told"


def test_a_run_comes_to_its_end_after_the_lines_of_the_step_that_failed(room: Room) -> None:
    room.ends = {"a": (FAILED, {"captured": False}, 0)}
    plan = PlanSnapshot(RUN.job_name, (StepPlan("a", "a", "a"),))
    driver = Driver(room.instance.journal, RUN, plan, room.claim, room.runner_of)
    room.worker()

    with telling(driver):
        driver.drive()

    told = room.events()
    kept = next(e.seq for e in told if "evidence" in e.body)
    assert kept < next(e.seq for e in told if e.kind == EventKind.RUN_FAILURE)


@contextlib.contextmanager
def telling(driver: Driver) -> Iterator[None]:
    """As the supervisor's thread does: say again and again that the log may have grown."""
    is_over = threading.Event()

    def tell() -> None:
        while not is_over.wait(0.05):
            driver.tell(ControlSeen("none"))

    thread = threading.Thread(target=tell)
    thread.start()
    yield
    is_over.set()
    thread.join()


@pytest.mark.parametrize(
    "end",
    [{"kind": WELL}, {"kind": FAILED, "captured": True}, {"kind": FAILED, "cause": FailureCause.CANCELED.value}],
    ids=["it succeeded", "its log is kept", "it was canceled"],
)
def test_nothing_is_read_and_nothing_waited_for_where_nothing_is_missing(room: Room, end: dict[str, Any]) -> None:
    room.is_held = True
    room.order("a", **end)
    room.worker()
    room.hears(end["kind"])

    assert room.runner.closing() == ()

    room.pod().exited(0)
    room.wait_for("its worker's word", room.is_over)
    assert room.kept() == []
    assert room.cluster.counts()[LOG] == 0


def test_a_pod_that_goes_on_after_its_failure_holds_the_runs_end_up_for_a_moment(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_runner, "PATIENCE_S", 0.3)
    room.is_held = True
    room.order("a", FAILED)
    room.worker()
    room.hears(FAILED)

    (said,) = room.runner.closing()

    assert "did not say within 0.3 s that these pods have ended (steps: a)" in said.body["message"]
    room.pod().exited(0)
    room.wait_for("its lines, later", room.kept)


def test_nobody_is_waited_for_whose_worker_is_gone(room: Room) -> None:
    room.is_held = True
    room.order("a", FAILED)
    leaving = room.worker()
    room.hears(FAILED)
    leaving.worker.leave()
    room.wait_for("its leave", lambda: room.queues.workers() == [])

    assert room.runner.closing() == ()


def test_lines_that_a_former_worker_has_stored_are_not_stored_again(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It died after it had stored them, and before it said that the pod had ended."""
    room.order("a", FAILED)
    stopped = Stopped(StepQueues, "end", monkeypatch)
    first = room.worker()
    room.wait_for("its word", lambda: stopped.calls == 1)
    first.close()
    stopped.goes_on()
    room.queues.leave(first.worker.me.worker_id)

    room.worker()

    room.wait_for("the heir's word", room.is_over)
    assert len(room.kept()) == 1
    assert room.cluster.counts()[LOG] == 1


class Stopped:
    """A method that finds the database away until it ``goes_on``."""

    def __init__(self, owner: type, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self._is_stopped = True
        does = getattr(owner, name)

        def stopped(*arguments: Any, **named: Any) -> Any:
            if self._is_stopped:
                self.calls += 1
                raise StorageUnavailableError("it is away")
            return does(*arguments, **named)

        monkeypatch.setattr(owner, name, stopped)

    def goes_on(self) -> None:
        self._is_stopped = False


def test_who_watches_the_pod_no_more_says_nothing(room: Room) -> None:
    room.is_held = True
    room.order("a", FAILED)
    former = room.worker()
    room.hears(FAILED)

    room.queues.hand_back(RUN.run_id, AttemptRef("a", 1), former.worker.me.worker_id)
    room.pod().exited(0)
    room.wait_for("the former one's end of it", lambda: former.worker.state()["pods"] == 0)

    assert room.cluster.counts()[LOG] == 0


def test_a_database_that_is_away_is_asked_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = Stopped(Journal, "attempt", monkeypatch)
    room.order("a", FAILED)
    room.worker()
    room.wait_for("the first question", lambda: stopped.calls >= 1)
    stopped.goes_on()

    room.wait_for("its worker's word", room.is_over)

    assert len(room.kept()) == 1


def test_a_role_without_logs_is_said_and_the_pods_end_is_told(room: Room) -> None:
    room.cluster.fault(Fault("get", "pods/log", status=403, reason="Forbidden"))
    room.order("a", FAILED)
    room.worker()

    room.wait_for("its worker's word", room.is_over)

    told = [e.body["message"] for e in room.events() if "is not kept with the run" in str(e.body.get("message"))]
    assert len(told) == 1
    assert "Give the service account this verb" in told[0]


def test_an_api_server_that_gives_no_log_holds_no_slot_for_ever(room: Room) -> None:
    room.cluster.fault(Fault("get", "pods/log", times=TRIES, status=503))
    room.order("a", FAILED)
    room.worker()

    room.wait_for("its worker's word", room.is_over)

    assert room.kept() == []
