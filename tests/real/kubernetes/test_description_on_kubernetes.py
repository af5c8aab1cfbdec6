"""The description's listings, on a real cluster: what `kubectl get job,pod` shows after a run."""

from __future__ import annotations

import re

from cluster.clusters import Cluster
from runplane.cli.phases import attempts_in_pods, phases
from runplane.cli.reading import read_story
from runplane.events.status import RunStatus
from runplane.instance.kubernetes_leftovers import KubernetesLeftovers
from runplane.launchers.k8s import K8sRunLauncher
from services.kubernetes_house import House

STEPS = 6


def rows(cluster: Cluster, namespace: str, kind: str) -> list[list[str]]:
    """What `kubectl get` prints, in words, without the head."""
    return [line.split() for line in cluster.kubectl("get", kind, "-n", namespace, "--no-headers").splitlines()]


def shown(cluster: Cluster, namespace: str, run_id: str) -> tuple[list[str], list[str]]:
    """Names of the Jobs of the run and of steps, all Complete 1/1, each with one pod that is Completed 0/1 and never started again."""
    jobs, pods = rows(cluster, namespace, "job"), rows(cluster, namespace, "pod")
    assert {tuple(job[1:3]) for job in jobs} == {("Complete", "1/1")}
    assert {tuple(pod[1:4]) for pod in pods} == {("0/1", "Completed", "0")}
    assert sorted(re.sub("-[a-z0-9]{5}$", "", pod[0]) for pod in pods) == sorted(job[0] for job in jobs)
    of_run = [job[0] for job in jobs if job[0] == f"dagster-run-{run_id}"]
    of_steps = [job[0] for job in jobs if re.fullmatch(r"dagster-step-[0-9a-f]{32}", job[0])]
    assert len(of_run) + len(of_steps) == len(jobs)
    return of_run, of_steps


def jobs_are_complete(cluster: Cluster, namespace: str) -> bool:
    """A Job is Complete some seconds after its code ran."""
    return all(job[1] == "Complete" for job in rows(cluster, namespace, "job"))


def tokens_of_bodies(house: House) -> set[str]:
    """Whether pods in which bodies ran have a way into the cluster."""
    return {said["token"] for said in house.watcher.said if said["what"] == "start"}


def test_text_1_one_job_for_a_run_under_multiprocess(house: House) -> None:
    run_id = house.submit("process_numbers")

    assert house.wait_for_end(run_id) is RunStatus.SUCCESS, house.story()

    house.wait_for("its Job to be Complete", lambda: jobs_are_complete(house.cluster, house.namespace))
    assert shown(house.cluster, house.namespace, run_id) == ([f"dagster-run-{run_id}"], [])
    assert tokens_of_bodies(house) == {"False"}, "its account has no role"
    house.check(run_id)


def test_text_3_a_job_for_the_run_and_one_for_each_step(house: House) -> None:
    """Nobody but the pods has a part in the run once it is launched: no daemon runs here."""
    run_id = house.submit("process_numbers_k8s")

    assert house.wait_for_end(run_id) is RunStatus.SUCCESS, house.story()

    house.wait_for("their Jobs to be Complete", lambda: jobs_are_complete(house.cluster, house.namespace))
    of_run, of_steps = shown(house.cluster, house.namespace, run_id)
    assert (of_run, len(of_steps)) == ([f"dagster-run-{run_id}"], STEPS)
    assert tokens_of_bodies(house) == {"False"}, "steps have an account of their own"
    house.check(run_id)
    its_pods_are_told_from_the_log_alone(house, run_id, set(of_steps))
    launcher = house.instance.launcher
    assert isinstance(launcher, K8sRunLauncher)
    found = KubernetesLeftovers(house.instance, launcher.client).compare()
    assert (found.leftovers, found.missing, found.namespaces) == ([], [], [house.namespace])


def its_pods_are_told_from_the_log_alone(house: House, run_id: str, jobs: set[str]) -> None:
    story = read_story(house.instance, house.instance.runs.get(run_id))
    told = attempts_in_pods(story)
    assert {(attempt.pod or {})["job"] for _, attempt in told} == jobs
    for step, attempt in told:
        assert {"pod", "node", "created_at", "scheduled_at"} <= set(attempt.pod or {}), step.key
        took = phases(story, step, attempt)
        assert {"queued", "scheduling", "starting", "importing", "user code", "storing"} <= set(took), step.key
        assert sum(took.values()) < 120
