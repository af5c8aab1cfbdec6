"""What an executor's Jobs are made of beside configuration: its coordinator's epoch, the time that a step may take to start; what is
said of them when a run begins.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runplane import DagsterUnmetExecutorRequirementsError
from runplane.engine.snapshot import PlanSnapshot, StepPlan
from runplane.errors import ConfigErrors
from runplane.events.argv import COMPRESSED_STEP_ARGS_ENV
from runplane.events.origin import JobOrigin, ModuleCodePointer, RepositoryOrigin
from runplane.events.wire import read_step_args
from runplane.executors.celery_k8s import CeleryK8sJobExecutor
from runplane.executors.contract import StepOrder
from runplane.executors.k8s_job import K8sJobExecutor
from runplane.executors.k8s_step_jobs import StepJobs
from runplane.executors.settings import ExecutorContext
from runplane.instance.instance import Instance, RunRequest
from runplane.kube.settings import executor_settings, launcher_settings, resolved_launcher_config
from runplane.storage.compute_logs import NoOpComputeLogStore
from runplane.storage.contract import AttemptRef
from runplane.testing.fake_cluster import FakeCluster


def step_of(tags: dict[str, str] | None = None) -> StepPlan:
    return StepPlan("a", "a", "a", tags=tags or {})


def jobs_of(instance: Instance, epoch: int = 1, **own: Any) -> StepJobs:
    plan = PlanSnapshot("job", (step_of(),))
    origin = JobOrigin("job", RepositoryOrigin("python", ModuleCodePointer("m", "job")))
    run = instance.create(RunRequest("job", origin, plan))
    context = ExecutorContext(
        run, plan, Path("/home"), NoOpComputeLogStore(), lambda: None, instance, owns_process=True, epoch=epoch
    )
    launcher = launcher_settings(resolved_launcher_config({"job_image": "i"}, {}, where="test"), {})
    return StepJobs(context, launcher, executor_settings({"runplane": own} if own else {}, {}), os.environ)


def test_the_document_of_a_step_says_which_coordinator_issued_it() -> None:
    with Instance.ephemeral() as instance:
        jobs = jobs_of(instance, epoch=3)
        order = StepOrder(jobs.context.run, step_of(), AttemptRef("a", 2))
        (container,) = jobs.render(order).manifest["spec"]["template"]["spec"]["containers"]

    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    issued = read_step_args(env[COMPRESSED_STEP_ARGS_ENV]).issued
    assert issued is not None
    assert (issued.attempt, issued.epoch) == (2, 3)


def test_the_time_to_start_is_the_ops_or_else_the_executors() -> None:
    with Instance.ephemeral() as instance:
        jobs = jobs_of(instance, step_start_timeout_seconds=600)

        assert jobs.start_timeout_s(step_of()) == 600
        assert jobs.start_timeout_s(step_of({"runplane/start_timeout": "30"})) == 30
        assert jobs_of(instance).start_timeout_s(step_of()) is None


@pytest.mark.parametrize("given", ["soon", "0", "-1", "inf", "nan"])
def test_a_time_to_start_that_is_none_is_refused_by_its_tag(given: str) -> None:
    with Instance.ephemeral() as instance:
        jobs = jobs_of(instance)

        with pytest.raises(ConfigErrors) as refused:
            jobs.start_timeout_s(step_of({"runplane/start_timeout": given}))

    assert "runplane/start_timeout" in str(refused.value)
    assert repr(given) in str(refused.value)


@pytest.mark.parametrize(("mounted", "said"), [("/data", []), ("/elsewhere", ["numbers"])])
def test_io_managers_whose_files_other_steps_will_not_find_are_named_when_the_run_begins(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounted: str, said: list[str]
) -> None:
    monkeypatch.setenv("RUNPLANE_PODS_ARE_LOCAL", "1")
    config = {
        "job_image": "i",
        "kubeconfig_file": str(cluster.kubeconfig(tmp_path)),
        "load_incluster_config": False,
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
        "volume_mounts": [{"name": "v", "mountPath": mounted}],
    }
    with Instance.ephemeral() as instance:
        context = jobs_of(instance).context
        context = replace(context, plan=replace(context.plan, local_files={"numbers": "/data/numbers"}))
        runner = K8sJobExecutor.from_config(config, context).make_runner(lambda signal: None)
        told = [str(event.body["message"]) for event in runner.opening(["a"])]
        runner.close()

    assert [text.split("'")[1] for text in told if "other pods will not find" in text] == said


@pytest.mark.parametrize(
    ("given", "missing"),
    [({}, "broker and job_image"), ({"broker": "redis://b/0"}, "job_image"), ({"job_image": "i"}, "broker")],
)
def test_steps_in_queues_under_another_launcher_need_a_broker_and_an_image_of_their_own(
    given: dict[str, Any], missing: str
) -> None:
    with Instance.ephemeral() as instance:
        context = jobs_of(instance).context

        with pytest.raises(DagsterUnmetExecutorRequirementsError) as refused:
            CeleryK8sJobExecutor.from_config(given, context)

    assert f"no {missing} in the executor's config" in str(refused.value)
