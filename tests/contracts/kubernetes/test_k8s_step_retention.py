"""Jobs of steps are deleted once they have finished and their outcome is stored; the newest that ended badly stay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from runplane.engine.arcs import AttemptState
from runplane.executors.k8s_retention import StepRetention
from runplane.kube.client import KubeClient
from runplane.storage.contract import AttemptRef, AttemptRow
from runplane.testing.fake_cluster import FakeCluster
from services.k8s_bench import NS, SELECTOR, Jobs

DONE, SEALED, RUNNING = AttemptState.DONE, AttemptState.SEALED, AttemptState.RUNNING


class Log:
    """The attempts as they are stored."""

    def __init__(self) -> None:
        self.rows: dict[AttemptRef, tuple[AttemptState, str | None]] = {}

    def attempts(self) -> Sequence[AttemptRow]:
        return [AttemptRow(ref, state, outcome, None, None, 0) for ref, (state, outcome) in self.rows.items()]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def retention(cluster: FakeCluster, client: KubeClient, log: Log) -> Iterator[StepRetention]:
    made = StepRetention(client, NS, SELECTOR, 1, log.attempts, every_s=3600.0)
    yield made
    made.close()


def finished(cluster: FakeCluster, client: KubeClient, step: str, code: int = 0) -> AttemptRef:
    """A Job of the step whose pod has ended."""
    ref, jobs = AttemptRef(step, 1), Jobs()
    running(cluster, client, step)
    cluster.pod_of(jobs.name(ref)).exited(code)
    ends = ("Complete", "Failed")
    conditions = lambda: (client.get_job(NS, jobs.name(ref)) or {}).get("status", {}).get("conditions") or ()
    cluster.wait_for("its end", lambda: any(c["type"] in ends for c in conditions()))
    return ref


def running(cluster: FakeCluster, client: KubeClient, step: str) -> AttemptRef:
    ref, jobs = AttemptRef(step, 1), Jobs()
    client.create_job(NS, jobs.manifest(ref))
    of = lambda pod: pod["metadata"]["labels"]["job-name"] == jobs.name(ref) and pod["status"]["phase"] == "Running"
    cluster.wait_for("its pod", lambda: any(of(pod) for pod in cluster.all_pods()))
    return ref


def names(cluster: FakeCluster) -> list[str]:
    return sorted(job["metadata"]["annotations"]["runplane/step-key"] for job in cluster.all_jobs())


def test_what_has_no_stored_outcome_or_runs_on_stays(
    cluster: FakeCluster, client: KubeClient, log: Log, retention: StepRetention
) -> None:
    log.rows[finished(cluster, client, "good")] = (DONE, "STEP_SUCCESS")
    log.rows[finished(cluster, client, "unstored")] = (RUNNING, None)
    log.rows[running(cluster, client, "exits-soon")] = (DONE, "STEP_SUCCESS")
    finished(cluster, client, "unheard-of")

    retention.tidy()

    assert names(cluster) == ["exits-soon", "unheard-of", "unstored"]


def test_the_newest_that_ended_badly_stay(
    cluster: FakeCluster, client: KubeClient, log: Log, retention: StepRetention
) -> None:
    log.rows[finished(cluster, client, "failed", 0)] = (DONE, "STEP_FAILURE")
    log.rows[finished(cluster, client, "lost", 1)] = (SEALED, None)
    for name, second in (("job-failed-1", "01"), ("job-lost-1", "02")):
        patch = {"metadata": {"creationTimestamp": f"2026-01-01T00:00:{second}Z"}}
        client.patch_job(NS, name, patch)

    retention.tidy()

    assert names(cluster) == ["lost"]


def test_it_looks_once_more_at_the_end(
    cluster: FakeCluster, client: KubeClient, log: Log, retention: StepRetention
) -> None:
    log.rows[finished(cluster, client, "good")] = (DONE, "STEP_SUCCESS")

    retention.close()

    assert names(cluster) == []


def test_a_cluster_that_does_not_answer_is_asked_the_next_time(
    cluster: FakeCluster, client: KubeClient, log: Log, retention: StepRetention
) -> None:
    log.rows[finished(cluster, client, "good")] = (DONE, "STEP_SUCCESS")
    cluster.api.denied.add(("list", "jobs"))
    retention.tidy()
    assert names(cluster) == ["good"]

    cluster.api.denied.clear()
    retention.tidy()

    assert names(cluster) == []
