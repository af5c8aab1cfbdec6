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
from dagster._core.storage.dagster_run import DagsterRun
from dagster._grpc.types import ExecuteStepArgs
from dagster._utils.tags import normalize_tags
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

    def __init__(self, launcher: K8sRunLauncher) -> None:
        self.run_launcher = launcher

    def get_ref(self) -> None:
        return None

    def report_engine_event(self, *_: Any, **__: Any) -> None:
        """Nobody is to know."""

    def add_run_tags(self, _: str, tags: dict[str, str]) -> None:
        assert all(tags.values()), tags


@functools.cache
def launcher_type() -> Any:
    return resolve_to_config_type(K8sRunLauncher.config_type())


def launcher_of(case: dict[str, Any], api: Created) -> tuple[K8sRunLauncher, Stub]:
    config = yaml.safe_load(case["instance_yaml"])["run_launcher"]["config"]
    checked = process_config(launcher_type(), config)
    assert checked.success, checked.errors
    launcher = K8sRunLauncher(**checked.value, k8s_client_batch_api=api, k8s_client_core_api=api)
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
        tags=normalize_tags({**case.get("job_tags", {}), **case.get("run_tags", {})}),
        job_code_origin=JobPythonOrigin(name, code),
        remote_job_origin=RemoteJobOrigin(remote, name) if location else None,
    )


def launch_run(case: dict[str, Any], launcher: K8sRunLauncher) -> None:
    run, resume = run_of(case), case.get("resume_attempt")
    if case["kind"] == "k8s_run_resume":
        launcher.resume_run(SimpleNamespace(dagster_run=run, resume_attempt_number=resume))
    else:
        launcher.launch_run(SimpleNamespace(dagster_run=run))


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


def job_of(case: dict[str, Any]) -> dict[str, Any]:
    os.environ.clear()
    os.environ.update(case.get("process_env", {}))
    api = Created()
    try:
        launcher, stub = launcher_of(case, api)
        if case["kind"] == "k8s_step":
            launch_step(case, stub, api)
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
