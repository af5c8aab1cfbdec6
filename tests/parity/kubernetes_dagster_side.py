"""Run by a Python that has dagster-k8s: prints the Job that Dagster makes of each given case, as JSON. All cases in one process.

Input (stdin): a JSON list of cases in the form of `runplane k8s render --case`. It imports nothing of runplane.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import sys
import warnings
from types import SimpleNamespace
from typing import Any

import kubernetes
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.events import DagsterEvent
from dagster._core.execution.plan.state import KnownExecutionState
from dagster._core.execution.retries import RetryMode
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.dagster_run import DagsterRun, DagsterRunStatus
from dagster._grpc.types import ExecuteStepArgs
from dagster._utils.tags import normalize_tags
from dagster_celery_k8s import executor as worker
from dagster_celery_k8s.executor import _submit_task_k8s_job, celery_k8s_job_executor
from dagster_celery_k8s.launcher import CeleryK8sRunLauncher
from dagster_k8s import K8sRunLauncher, k8s_job_executor

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)


class Created:
    """Stands for the batch API: keeps the Job that is created."""

    job: Any = None
    namespace: str = ""

    def create_namespaced_job(self, body: Any, namespace: str, **_: Any) -> None:
        self.job, self.namespace = body, namespace


class Stub:
    """Stands for the instance."""

    run: Any = None

    def __init__(self, launcher: Any) -> None:
        self.run_launcher = launcher

    def get_run_by_id(self, _: str) -> Any:
        return self.run

    def get_ref(self) -> None:
        return None

    def report_engine_event(self, *_: Any, **__: Any) -> None:
        """Nobody is to know."""

    def add_run_tags(self, _: str, tags: dict[str, str]) -> None:
        assert all(tags.values()), tags


@functools.cache
def launcher_type(made: Any) -> Any:
    return resolve_to_config_type(made.config_type())


def launcher_of(case: dict[str, Any], api: Created) -> tuple[Any, Stub]:
    config = yaml.safe_load(case["instance_yaml"])["run_launcher"]["config"]
    with_queues = case["kind"].startswith("celery")
    made: Any = CeleryK8sRunLauncher if with_queues else K8sRunLauncher
    checked = process_config(launcher_type(made), config)
    assert checked.success, checked.errors
    more = {} if with_queues else {"k8s_client_core_api": api}
    launcher = made(**checked.value, k8s_client_batch_api=api, **more)
    stub = Stub(launcher)
    launcher.register_instance(stub)
    return launcher, stub


def run_of(case: dict[str, Any]) -> DagsterRun:
    name, location = case["job_name"], case.get("location_name")
    code = RepositoryPythonOrigin(
        executable_path="python",
        code_pointer=ModuleCodePointer("m", "f", None),
        container_image=case.get("container_image"),
        entry_point=["dagster"],
        container_context=case.get("container_context"),
    )
    remote = RemoteRepositoryOrigin(GrpcServerCodeLocationOrigin(host="h", port=1, location_name=location), "r")
    return DagsterRun(
        job_name=name,
        run_id=case["run_id"],
        run_config={"execution": {"config": case.get("executor", {}).get("config", {})}},
        tags=normalize_tags({**case.get("job_tags", {}), **case.get("run_tags", {})}),
        job_code_origin=JobPythonOrigin(name, code),
        status=DagsterRunStatus.STARTED,
        remote_job_origin=RemoteJobOrigin(remote, name) if location else None,
    )


def launch_run(case: dict[str, Any], launcher: Any) -> None:
    run, resume = run_of(case), case.get("resume_attempt")
    if case["kind"] == "k8s_run_resume":
        launcher.resume_run(SimpleNamespace(dagster_run=run, resume_attempt_number=resume))
    else:
        launcher.launch_run(SimpleNamespace(dagster_run=run, job_code_origin=run.job_code_origin))


def launch_step(case: dict[str, Any], stub: Stub, api: Created) -> None:
    key, run = case["step_key"], run_of(case)
    config = process_config(k8s_job_executor.config_schema.config_type, case.get("executor", {}).get("config", {}))
    assert config.success, config.errors
    context: Any = SimpleNamespace(instance=stub, executor_config=config.value)
    handler = k8s_job_executor.executor_creation_fn(context)._step_handler
    handler._api_client.batch_api = api
    known = KnownExecutionState(previous_retry_attempts={key: case["attempt"]} if case.get("attempt") else {})
    args = ExecuteStepArgs(
        job_origin=run.job_code_origin,
        run_id=run.run_id,
        step_keys_to_execute=[key],
        instance_ref=None,
        retry_mode=RetryMode.DEFERRED,
        known_state=known,
        should_verify_step=True,
    )
    step = SimpleNamespace(step=SimpleNamespace(op_name=case.get("op_name", key)))
    asked = SimpleNamespace(
        dagster_run=run,
        instance=stub,
        execute_step_args=args,
        step_tags={key: normalize_tags(case.get("op_tags", {}))},
        get_step_context=lambda _: step,
    )
    list(handler.launch_step(asked))


class App:
    """Stands for the Celery app: a task is run where it is made, on what came through JSON."""

    def task(self, **_: Any) -> Any:
        def made(body: Any) -> Any:
            def si(**arguments: Any) -> Any:
                sent = json.loads(json.dumps(arguments))
                request = SimpleNamespace(request=SimpleNamespace(hostname="worker"))
                return SimpleNamespace(apply_async=lambda **_: body(request, **sent))

            return SimpleNamespace(si=si)

        return made


class Stopped(Exception):
    """The Job has been created: nothing more is wanted."""


def stopped(**_: Any) -> None:
    raise Stopped


def launch_celery_step(case: dict[str, Any], stub: Stub, api: Created) -> None:
    key, run = case["step_key"], run_of(case)
    config = process_config(
        celery_k8s_job_executor.config_schema.config_type, case.get("executor", {}).get("config", {})
    )
    assert config.success, config.errors
    context: Any = SimpleNamespace(instance=stub, executor_config=config.value)
    executor = celery_k8s_job_executor.executor_creation_fn(context)
    stub.run = run
    worker.DagsterInstance = SimpleNamespace(from_ref=lambda _: stub)
    waiting = SimpleNamespace(batch_api=api, wait_for_job_success=stopped)
    worker.DagsterKubernetesClient = SimpleNamespace(production_client=lambda: waiting)
    known = KnownExecutionState(previous_retry_attempts={key: case["attempt"]} if case.get("attempt") else {})
    plan: Any = SimpleNamespace(
        dagster_run=run,
        instance=stub,
        executor=executor,
        reconstructable_job=SimpleNamespace(get_python_origin=lambda: run.job_code_origin),
    )
    step: Any = SimpleNamespace(key=key, tags=normalize_tags(case.get("op_tags", {})))
    try:
        _submit_task_k8s_job(App(), plan, step, "dagster", 5, known)
    except Stopped:
        return
    raise AssertionError("no Job was created")


def job_of(case: dict[str, Any]) -> dict[str, Any]:
    os.environ.clear()
    os.environ.update(case.get("process_env", {}))
    api = Created()
    try:
        launcher, stub = launcher_of(case, api)
        if case["kind"] == "k8s_step":
            launch_step(case, stub, api)
        elif case["kind"] == "celery_step":
            launch_celery_step(case, stub, api)
        else:
            launch_run(case, launcher)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {
        "namespace": api.namespace,
        "manifest": kubernetes.client.ApiClient().sanitize_for_serialization(api.job),
    }


def nothing(*_: Any, **__: Any) -> None:
    """In place of looking for a cluster, and of an event that wants a whole step."""


if __name__ == "__main__":
    kubernetes.config.load_incluster_config = nothing
    kubernetes.config.load_kube_config = nothing
    DagsterEvent.step_worker_starting = staticmethod(nothing)  # type: ignore[method-assign,assignment]
    json.dump([job_of(case) for case in json.load(sys.stdin)], sys.stdout)
