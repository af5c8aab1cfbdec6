"""``runplane k8s gc``: cluster and log held against each other, and only what nobody needs is deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from storage_runs import StartedRun, event

from runplane.cli.main import root
from runplane.daemon.contract import LoopContext
from runplane.daemon.loops import loops_of
from runplane.events.causes import FailureCause
from runplane.events.kinds import EventKind as K
from runplane.instance.instance import Instance
from runplane.instance.kubernetes_leftovers import KubernetesLeftovers
from runplane.kube import leftovers
from runplane.kube.client import KubeClient
from runplane.storage.contract import AttemptRef, Seal
from runplane.storage.liveness import this_process
from runplane.testing.fake_cluster import FakeCluster


@pytest.fixture
def instance(cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    monkeypatch.setenv("RUNPLANE_PODS_ARE_LOCAL", "1")
    monkeypatch.setattr(leftovers, "GRACE_S", 0.0)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    config = {"job_image": "img:1", "kubeconfig_file": str(cluster.kubeconfig(tmp_path))}
    launcher = {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": config}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"run_launcher": launcher}))
    with Instance.from_home(tmp_path) as made:
        yield made


class Room:
    """Runs of the instance, and Jobs of theirs in the cluster."""

    def __init__(self, instance: Instance, cluster: FakeCluster, client: KubeClient) -> None:
        self.instance, self.cluster, self.client = instance, cluster, client

    def run(self, *steps: str) -> StartedRun:
        made = StartedRun(self.instance.journal)
        if steps:
            made.issue(*steps)
        return made

    def job(self, run_id: str, step: str | None = None, *, instance: str | None = None) -> str:
        """A Job of the run's, with a pod that runs: its name."""
        name = f"step-{run_id[:8]}-{step}" if step else f"dagster-run-{run_id}"
        labels = {
            "dagster/run-id": run_id,
            "runplane/attempt": "1",
            "runplane/instance-id": instance or self.instance.instance_id,
        }
        notes = {"runplane/step-key": step} if step else {}
        meta = {"labels": labels, "annotations": notes}
        template = {"metadata": meta, "spec": {"containers": [{"name": "dagster", "image": "i"}]}}
        self.client.create_job(
            "default", {"metadata": {"name": name, **meta}, "spec": {"backoffLimit": 0, "template": template}}
        )
        self.cluster.wait_for("its pod", lambda: any(self._is_of(pod, name) for pod in self.cluster.all_pods()))
        return name

    def end(self, run: StartedRun) -> None:
        failure = event(K.RUN_FAILURE)
        self.instance.journal.finalise(run.run_id, run.epoch, failure, cause=FailureCause.LOST.value)

    def names(self) -> set[str]:
        return {job["metadata"]["name"] for job in self.cluster.all_jobs()}

    @staticmethod
    def _is_of(pod: dict[str, Any], name: str) -> bool:
        return bool(pod["metadata"]["labels"]["job-name"] == name and pod["status"].get("phase") == "Running")


@pytest.fixture
def room(instance: Instance, cluster: FakeCluster, client: KubeClient) -> Room:
    return Room(instance, cluster, client)


def gc(*words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(root, ["k8s", "gc", *words])
    assert done.exit_code == code, done.output
    return done


def test_what_a_run_left_is_named_and_deleted_on_demand_only(room: Room) -> None:
    live, over = room.run("a"), room.run("a")
    kept, left = room.job(live.run_id, "a"), room.job(over.run_id, "a")
    room.end(over)

    told = gc().output
    assert (
        f"job default/{left}  run {over.run_id[:8]}, step a attempt 1: its run is over: FAILURE: would be deleted"
        in told
    )
    assert "1 to delete. Nothing was changed: --yes deletes." in told
    assert kept not in told
    assert room.names() == {kept, left}

    assert f"{left}  run {over.run_id[:8]}, step a attempt 1: its run is over: FAILURE: deleted" in gc("--yes").output
    assert room.names() == {kept}
    room.cluster.wait_for("the end of its pod", lambda: len(room.cluster.all_pods()) == 1)
    assert gc("--yes").output == "In default: nothing to delete.\n"


def test_an_attempt_that_is_over_in_a_run_that_is_not(room: Room) -> None:
    run = room.run("a", "b")
    left, kept = room.job(run.run_id, "a"), room.job(run.run_id, "b")
    room.instance.journal.commit(run.run_id, run.epoch, 2, [Seal(AttemptRef("a", 1), FailureCause.LOST.value, "gone")])

    gc("--yes")

    assert room.names() == {kept}
    assert left not in room.names()


def test_what_the_database_does_not_know_is_only_reported_unless_it_is_asked_for(room: Room) -> None:
    unknown = room.job("00000000-8a58-44ef-bca2-0e4ca8100b7a", "a")

    assert "the database does not know it: left: only with --unknown" in gc("--yes").output
    assert room.names() == {unknown}
    gc("--yes", "--unknown")
    assert room.names() == set()


def test_another_instances_jobs_are_never_touched(room: Room) -> None:
    theirs = room.job("00000000-8a58-44ef-bca2-0e4ca8100b7a", "a", instance="another")
    over = room.run("a")
    room.end(over)
    shared = room.job(over.run_id, "a", instance="another")

    assert gc("--yes", "--unknown").output == "In default: nothing to delete.\n"
    assert room.names() == {theirs, shared}


def test_a_pod_that_its_job_left_behind(room: Room) -> None:
    over = room.run("a")
    name = room.job(over.run_id, "a")
    room.client.delete_job("default", name, propagation="Orphan")
    room.cluster.wait_for("the Job's end", lambda: room.names() == set())
    room.end(over)

    assert "pod default/" in gc("--yes").output

    room.cluster.wait_for("the pod's end", lambda: room.cluster.all_pods() == [])


def test_what_should_be_there_and_is_not(room: Room) -> None:
    run = room.run()
    handle = {"kind": "k8s", "data": {"namespace": "default", "job": f"dagster-run-{run.run_id}", "uid": "u"}}
    room.instance.runs.put_handle(run.run_id, handle)

    found = json.loads(gc("--json").output)

    assert found["leftovers"] == []
    assert found["missing"] == [
        {
            "namespace": "default",
            "job": f"dagster-run-{run.run_id}",
            "run_id": run.run_id,
            "step": None,
            "attempt": None,
        }
    ]
    assert f"runplane run resume {run.run_id[:8]}" in gc().output


def test_what_changed_since_it_was_looked_at_is_left_alone(room: Room) -> None:
    """It was deleted and made again; it has ended; its run turned out to go on."""
    over = room.run("a")
    replaced = room.job(over.run_id, "a")
    room.end(over)
    again = room.run("a")
    ended = room.job(again.run_id, "a")
    room.end(again)
    comparison = KubernetesLeftovers(room.instance, room.client)
    found = {one.name: one for one in comparison.compare().leftovers}
    room.client.delete_job("default", replaced)
    room.job(over.run_id, "a")
    room.cluster.pod_of(ended).exited(0)
    room.cluster.wait_for("its end", lambda: "Complete" in str(room.client.get_job("default", ended)))

    assert [comparison.delete(found[name]) for name in (replaced, ended)] == [False, False]

    assert room.names() == {replaced, ended}


def test_a_daemon_deletes_what_runs_left_and_leaves_the_unknown_to_people(room: Room) -> None:
    live, over = room.run("a"), room.run("a")
    kept = {room.job(live.run_id, "a"), room.job("00000000-8a58-44ef-bca2-0e4ca8100b7a", "a")}
    room.job(over.run_id, "a")
    room.end(over)
    loops = {loop.name: loop for loop in loops_of(room.instance, ttl_s=6.0)}

    report = loops["leftovers"].run_once(LoopContext(room.instance, this_process(), None, lambda: False, lambda: None))

    assert (report.done, report.problems) == (1, ())
    assert room.names() == kept


def test_what_could_not_be_deleted_is_said(room: Room) -> None:
    over = room.run("a")
    room.job(over.run_id, "a")
    room.end(over)
    room.cluster.api.denied.add(("delete", "jobs"))

    told = gc("--yes", code=1).output

    assert "cannot delete" in told
    assert "1 failed" in told
