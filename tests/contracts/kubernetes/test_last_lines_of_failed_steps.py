"""Where nobody else can read what a pod printed, the last lines of a step that failed by itself are kept with its run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from runplane.cli.main import root
from runplane.events.causes import FailureCause
from runplane.events.event import Event
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from runplane.executors import k8s_last_lines
from runplane.executors.contract import RunnerNews
from runplane.instance.home import IN_A_POD_ENV
from runplane.kube import client as client_module
from runplane.kube.client import KubeClient
from runplane.kube.printed import LOG_CHARACTERS
from runplane.storage.contract import AttemptRef
from runplane.testing.fake_cluster import FakeCluster, Fault
from services.k8s_bench import A, Bench, Jobs
from services.kubernetes_room import MakeRoom

CAPTURED, FAILED, AGAIN = EventKind.LOGS_CAPTURED, EventKind.STEP_FAILURE, EventKind.STEP_UP_FOR_RETRY
IN_ITS_POD = {"pod": "a-pod"}
ASKED = "get pods/log"


@pytest.fixture
def bench(cluster: FakeCluster, client: KubeClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(client_module, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(k8s_last_lines, "PATIENCE_S", 60.0)
    made = Bench(cluster, client, Jobs())
    yield made
    made.runner.close()
    cluster.end_faults()


def event(kind: EventKind, ref: AttemptRef = A, **body: Any) -> Event:
    return Event("run", 1, kind.value, ref.step, ref.n, body, 1.0, 1.0)


def prints(bench: Bench, text: str, ref: AttemptRef = A) -> None:
    """A pod of that attempt has printed this."""
    pod = bench.starts(ref.step)
    pod.log(lambda: text)


def news(bench: Bench) -> list[dict[str, Any]]:
    """What the runner has to say, once it says that it has something."""
    told = lambda: [s for s in bench.heard.signals if isinstance(s, RunnerNews)]
    bench.heard.until(lambda: bool(told()))
    bench.heard.signals[:] = [s for s in bench.heard.signals if not isinstance(s, RunnerNews)]
    return [dict(e.body) for e in bench.runner.news()]


def at_the_end(bench: Bench) -> list[str]:
    """What is said before the run's last event, but for pods."""
    return [e.body["message"] for e in bench.runner.closing() if "pod" not in e.body]


@pytest.mark.parametrize("outcome", [FAILED, AGAIN])
def test_what_a_failed_step_printed_last_is_told_without_secrets(bench: Bench, outcome: EventKind) -> None:
    prints(bench, "".join(f"line {i}\n" for i in range(40)) + "password=tulip\npostgres://me:tulip@db/x\n")

    bench.runner.heard([event(CAPTURED, **IN_ITS_POD), event(outcome, cause=FailureCause.USER_CODE.value)])

    (body,) = news(bench)
    assert body["evidence"].splitlines() == [
        "It printed last:",
        *(f"line {i}" for i in range(17, 40)),
        "password=[hidden]",
        "postgres://me:[hidden]@db/x",
    ]
    assert (
        body["message"]
        == f"Step a, attempt 1, failed in pod {bench.cluster.pod_of('job-a-1').name}. {body['evidence']}"
    )
    assert at_the_end(bench) == []


def test_it_is_as_long_as_an_event_may_be(bench: Bench) -> None:
    prints(bench, "x" * 50_000 + "\nthe end")

    bench.runner.heard([event(FAILED)])

    (body,) = news(bench)
    assert body["evidence"].endswith("x\nthe end")
    assert len(body["evidence"]) < LOG_CHARACTERS + 50


@pytest.mark.parametrize(
    "told",
    [
        [event(CAPTURED, **IN_ITS_POD), event(EventKind.STEP_SUCCESS)],
        [event(CAPTURED, log_key=["r", "compute_logs", "k"]), event(FAILED)],
        [event(CAPTURED, **IN_ITS_POD), event(EventKind.STEP_SEALED, cause="LOST", evidence="gone"), event(FAILED)],
        [event(CAPTURED, **IN_ITS_POD), event(FAILED, cause=FailureCause.CANCELED.value)],
        [event(FAILED), event(EventKind.ENGINE_EVENT, evidence="It printed last:\nx")],
    ],
    ids=["it succeeded", "its log is kept", "it has evidence", "it was canceled", "a former coordinator told it"],
)
def test_nothing_is_read_where_nothing_is_missing(bench: Bench, told: list[Event]) -> None:
    prints(bench, "something")

    bench.runner.heard(told)

    assert at_the_end(bench) == []
    assert bench.cluster.counts()[ASKED] == 0


def test_each_attempt_is_read_once(bench: Bench) -> None:
    prints(bench, "something")
    for told in ([event(FAILED)], [event(AGAIN)], [event(FAILED)]):
        bench.runner.heard(told)

    assert len(at_the_end(bench)) == 1
    assert bench.cluster.counts()[ASKED] == 1


def test_who_takes_a_run_over_reads_what_was_left(bench: Bench, cluster: FakeCluster, client: KubeClient) -> None:
    prints(bench, "something")
    bench.starts("other").log(lambda: "something else")
    other = AttemptRef("other", 1)

    heir = Bench(cluster, client, Jobs())
    heir.runner.heard([event(FAILED), event(EventKind.ENGINE_EVENT, evidence="It printed last"), event(FAILED, other)])

    (said,) = at_the_end(heir)
    assert said.endswith("It printed last:\nsomething else")
    heir.runner.close()


def test_the_runs_end_waits_for_lines_that_are_on_their_way(bench: Bench) -> None:
    prints(bench, "something")
    bench.cluster.fault(Fault("get", "pods/log", latency_s=0.3))

    bench.runner.heard([event(FAILED)])

    (said,) = at_the_end(bench)
    assert said.endswith("something")


def test_a_cluster_that_does_not_answer_holds_the_runs_end_up_for_a_moment_and_nothing_comes_after_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(k8s_last_lines, "PATIENCE_S", 0.2)
    prints(bench, "something")
    hanging = bench.cluster.fault(Fault("get", "pods/log", hang=True))
    bench.runner.heard([event(FAILED)])
    bench.cluster.wait_for("the question", lambda: bench.cluster.counts()[ASKED] == 1)

    (said,) = at_the_end(bench)
    bench.cluster.faults.end(hanging)
    bench.runner._last_lines._thread.join(20)  # type: ignore[union-attr]

    assert "did not answer within 0.2 s (steps: a)" in said
    assert bench.runner.news() == []
    bench.heard.take()
    assert not any(isinstance(s, RunnerNews) for s in bench.heard.signals)


def test_a_log_that_can_not_be_read_is_said_once_and_the_next_is_asked_for(bench: Bench) -> None:
    for step in ("a", "b", "c"):
        prints(bench, f"of {step}", AttemptRef(step, 1))
    bench.cluster.fault(Fault("get", "pods/log", times=2 * client_module.TRIES, status=503))

    bench.runner.heard([event(FAILED, AttemptRef(step, 1)) for step in ("a", "b", "c")])

    trouble, lines = at_the_end(bench)
    assert trouble.startswith("What failed steps printed last is not kept with the run: ")
    assert lines.endswith("of c")


def test_a_container_that_is_said_to_wait_for_its_start_is_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short step may be over before the node has told that its container began."""
    monkeypatch.setattr(k8s_last_lines, "AGAIN_S", 0.01)
    prints(bench, "of a")
    prints(bench, "of b", AttemptRef("b", 1))
    bench.cluster.fault(Fault("get", "pods/log", times=3, status=400, reason="BadRequest"))

    bench.runner.heard([event(FAILED), event(FAILED, AttemptRef("b", 1))])

    assert sorted(text.rpartition(" ")[2] for text in at_the_end(bench)) == ["a", "b"]


def test_a_log_that_stays_refused_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(k8s_last_lines, "PATIENCE_S", 0.3)
    monkeypatch.setattr(k8s_last_lines, "AGAIN_S", 0.01)
    prints(bench, "something")
    bench.cluster.fault(Fault("get", "pods/log", status=400, reason="BadRequest"))

    bench.runner.heard([event(FAILED)])

    (body,) = news(bench)
    assert body["message"].startswith("What failed steps printed last is not kept with the run: ")


def test_a_role_without_logs_is_said_once_and_not_asked_again(bench: Bench) -> None:
    prints(bench, "something")
    bench.cluster.fault(Fault("get", "pods/log", status=403, reason="Forbidden"))

    bench.runner.heard([event(FAILED), event(FAILED, AttemptRef("b", 1))])

    (body,) = news(bench)
    assert "Give the service account this verb" in body["message"]
    bench.runner.heard([event(FAILED, AttemptRef("c", 1))])
    assert at_the_end(bench) == []
    assert bench.cluster.counts()[ASKED] == 1


def test_a_pod_that_is_gone_says_nothing(bench: Bench) -> None:
    bench.runner.heard([event(FAILED)])

    assert at_the_end(bench) == []


FAILS_TWICE = """
from runplane import Definitions, RetryPolicy, job, k8s_job_executor, multiprocess_executor, op

@op(retry_policy=RetryPolicy(max_retries=1))
def shouts(context):
    print(f"try {context.attempt} with token=tulip")
    raise ValueError("no")

@job(executor_def=THE_EXECUTOR)
def loud():
    shouts()

defs = Definitions(jobs=[loud])
"""


@pytest.mark.parametrize(
    "executor",
    ['k8s_job_executor.configured({"job_image": "room"})', "multiprocess_executor"],
    ids=["k8s", "processes"],
)
def test_a_run_whose_pods_logs_are_nowhere_else_shows_them(
    make_room: MakeRoom, monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    room = make_room(
        config={
            "compute_logs": {
                "module": "dagster.core.storage.noop_compute_log_manager",
                "class": "NoOpComputeLogManager",
            }
        }
    )
    (room.folder / "definitions.py").write_text(FAILS_TWICE.replace("THE_EXECUTOR", executor))
    room.pods.add({IN_A_POD_ENV: "10.0.0.1"})

    run_id = room.submit("loud")

    assert room.wait_for_end(run_id) == [RunStatus.FAILURE], room.story()
    events = room.check(run_id)
    kept = [e for e in events if e.kind == EventKind.ENGINE_EVENT and "evidence" in e.body]
    assert [(e.step, e.n) for e in kept] == [("shouts", 1), ("shouts", 2)], room.story()
    assert kept[-1].seq < next(e.seq for e in events if e.kind == EventKind.RUN_FAILURE)
    assert "tulip" not in str(events)
    monkeypatch.setenv("DAGSTER_HOME", str(room.home))
    shown = CliRunner().invoke(root, ["run", "show", run_id]).output
    assert "try 2 with token=[hidden]" in shown
    history = json.loads(CliRunner().invoke(root, ["run", "show", run_id, "--json"]).output)["steps"][0]["history"]
    assert ["try 1 with token=[hidden]" in one["evidence"] for one in history] == [True, False]
    assert "try 1 with token=[hidden]" in CliRunner().invoke(root, ["run", "events", run_id]).output
