"""An op that runs somebody else's image as a Kubernetes Job: created, its log streamed, waited for, deleted when the run is canceled.

Its definition alone; what comes to the cluster is ``foreign_run``, so that files that name it load without the Kubernetes client.

Source: https://docs.dagster.io/api/libraries/dagster-k8s (execute_k8s_job, k8s_job_op)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import executors
from ..definitions.config_schema import Array, Field, Noneable, StringSource
from ..definitions.ins_outs import In
from ..definitions.job_fields import JOB_FIELDS, OPTIONAL_MAP
from ..definitions.op import op
from ..definitions.op_context import OpExecutionContext
from ..definitions.value_type import Nothing
from ..kube.user_config import MergeBehavior

K8sConfigMergeBehavior = MergeBehavior
"""Dagster's name."""


def execute_k8s_job(
    context: OpExecutionContext,
    image: str,
    command: Sequence[str] | None = None,
    args: Sequence[str] | None = None,
    namespace: str | None = None,
    image_pull_policy: str | None = None,
    image_pull_secrets: Sequence[Mapping[str, str]] | None = None,
    service_account_name: str | None = None,
    env_config_maps: Sequence[str] | None = None,
    env_secrets: Sequence[str] | None = None,
    env_vars: Sequence[str] | None = None,
    volume_mounts: Sequence[Mapping[str, Any]] | None = None,
    volumes: Sequence[Mapping[str, Any]] | None = None,
    labels: Mapping[str, str] | None = None,
    resources: Mapping[str, Any] | None = None,
    scheduler_name: str | None = None,
    load_incluster_config: bool | None = None,
    kubeconfig_file: str | None = None,
    timeout: int | None = None,
    container_config: Mapping[str, Any] | None = None,
    pod_template_spec_metadata: Mapping[str, Any] | None = None,
    pod_spec_config: Mapping[str, Any] | None = None,
    job_metadata: Mapping[str, Any] | None = None,
    job_spec_config: Mapping[str, Any] | None = None,
    k8s_job_name: str | None = None,
    merge_behavior: MergeBehavior = MergeBehavior.DEEP,
    delete_failed_k8s_jobs: bool | None = True,
    _kubeconfig_file_context: str | None = None,
) -> None:
    """Run an image as a Kubernetes Job from inside an op, print what it prints, and return when it has succeeded.

    The Job is made of the launcher's configuration, the code location's, the op's tag ``dagster-k8s/config``, and these arguments, in that
    order. A Job that an attempt of this step left behind, because its process was lost, is taken over; a user's retry makes another one.

    Args:
        context: the op's.
        image, command, args: what runs; None: what the image says.
        namespace: where; None: where the launcher makes Jobs.
        image_pull_policy, image_pull_secrets, service_account_name, env_config_maps, env_secrets, env_vars, volume_mounts, volumes, labels,
            resources, scheduler_name: as in the launcher's configuration.
        load_incluster_config, kubeconfig_file: the way to the cluster; None: the launcher's.
        timeout: seconds from its creation to its end; None: no limit.
        container_config, pod_template_spec_metadata, pod_spec_config, job_metadata, job_spec_config: Kubernetes' own fields.
        k8s_job_name: its name; None: from run and step.
        merge_behavior: how these arguments are put over the other layers.
        delete_failed_k8s_jobs: delete a Job that failed.

    Raises:
        ForeignJobError: the Job failed, can not start, or took too long; with what was seen and its last lines.
        ConfigErrors: Kubernetes would not take such a Job. KubeError: the API refused it.
    """
    del _kubeconfig_file_context  # a context of the file; the current one is used
    asked = {key: value for key, value in locals().items() if key in _LAYER_KEYS}
    executors.foreign_run.execute(
        context,
        asked,
        image=image,
        command=command,
        args=args,
        namespace=namespace,
        name=k8s_job_name,
        way={"load_incluster_config": load_incluster_config, "kubeconfig_file": kubeconfig_file},
        timeout_s=timeout,
        delete_failed=bool(delete_failed_k8s_jobs),
    )


_LAYER_KEYS = (
    "image_pull_policy",
    "image_pull_secrets",
    "service_account_name",
    "env_config_maps",
    "env_secrets",
    "env_vars",
    "volume_mounts",
    "volumes",
    "labels",
    "resources",
    "scheduler_name",
    "security_context",
    "container_config",
    "pod_template_spec_metadata",
    "pod_spec_config",
    "job_metadata",
    "job_spec_config",
    "merge_behavior",
)


_FIELDS: Mapping[str, Any] = {
    "image": Field(StringSource),
    "command": Field(Array(str), is_required=False),
    "args": Field(Array(str), is_required=False),
    "namespace": Field(StringSource, is_required=False),
    **JOB_FIELDS,
    "load_incluster_config": Field(Noneable(bool), is_required=False),
    "kubeconfig_file": Field(Noneable(str), is_required=False),
    "timeout": Field(int, is_required=False),
    "container_config": OPTIONAL_MAP,
    "pod_template_spec_metadata": OPTIONAL_MAP,
    "pod_spec_config": OPTIONAL_MAP,
    "job_metadata": OPTIONAL_MAP,
    "job_spec_config": OPTIONAL_MAP,
    "merge_behavior": Field(str, is_required=False),
}


@op(ins={"start_after": In(Nothing)}, config_schema=_FIELDS, name="k8s_job_op")
def k8s_job_op(context: OpExecutionContext) -> None:
    """Runs an image as a Kubernetes Job; its config has the arguments of ``execute_k8s_job``. Source: see the module."""
    config = dict(context.op_config)
    merge = MergeBehavior(config.pop("merge_behavior", MergeBehavior.DEEP.value))
    security = config.pop("security_context", None)
    if security:
        config["container_config"] = {"security_context": security, **(config.get("container_config") or {})}
    execute_k8s_job(context, **config, merge_behavior=merge)
