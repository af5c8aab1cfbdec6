"""The executors that come with the package, as definitions: names, schemas, requirements, and where their classes are.

Source: https://docs.dagster.io/api/dagster/execution https://docs.dagster.io/api/libraries/dagster-k8s
and https://docs.dagster.io/api/libraries/dagster-celery
"""

from __future__ import annotations

from typing import Any

from .config_schema import (
    ANY,
    Array,
    Field,
    IntSource,
    Noneable,
    Permissive,
    ScalarUnion,
    Selector,
    StringSource,
)
from .executor_definition import ExecutorDefinition, multiple_process_executor_requirements
from .job_fields import JOB_FIELDS, OPTIONAL_MAP, OPTIONAL_TEXT

_EMPTY = Field({}, default_value={})

RETRIES = Field(Selector({"enabled": _EMPTY, "disabled": _EMPTY}), default_value={"enabled": {}})
"""Whether ``RetryRequested`` and retry policies are honoured."""

_PER_VALUE = {"applyLimitPerUniqueValue": Field(bool, is_required=True)}
TAG_CONCURRENCY_LIMITS = Field(
    Noneable([{"key": str, "value": Field(ScalarUnion(str, _PER_VALUE), is_required=False), "limit": int}]),
    is_required=False,
)
"""At most `limit` steps at a time whose op tag `key` is `value`; without a value all that have the tag; with
``{"applyLimitPerUniqueValue": true}`` so many for each of its values."""

MAX_CONCURRENT = Field(Noneable(IntSource), default_value=None)
"""How many steps run at a time; null or 0: as many as there are CPUs for this process."""

STEP_DEPENDENCY_CONFIG = Field(
    {"require_upstream_step_success": Field(bool, default_value=True)},
    default_value={"require_upstream_step_success": True},
)
"""Whether a step waits for the success of those before it, or only for the outputs that it needs."""

START_METHOD = Field(
    Selector(
        {
            "template": _EMPTY,
            "spawn": _EMPTY,
            "forkserver": Field({"preload_modules": Field(Array(str), is_required=False)}, default_value={}),
        }
    ),
    default_value={"template": {}},
)
"""How a step's process is made: forked from a template that has imported the code once, or started anew."""

in_process_executor = ExecutorDefinition(
    "in_process",
    {"retries": RETRIES, "marker_to_close": Field(str, is_required=False)},
    module="runplane.executors.in_process",
    class_name="InProcessExecutor",
    description="Runs all steps in the run's own process, one after another.",
)

multiprocess_executor = ExecutorDefinition(
    "multiprocess",
    {
        "max_concurrent": MAX_CONCURRENT,
        "tag_concurrency_limits": TAG_CONCURRENCY_LIMITS,
        "start_method": START_METHOD,
        "retries": RETRIES,
        "step_dependency_config": STEP_DEPENDENCY_CONFIG,
    },
    module="runplane.executors.multiprocess",
    class_name="MultiprocessExecutor",
    requirements=multiple_process_executor_requirements(),
    description="Runs each step in a process of its own on the run's machine.",
)

multi_or_in_process_executor = ExecutorDefinition(
    "multi_or_in_process_executor",
    Field(
        Selector({"multiprocess": Field(ANY, default_value={}), "in_process": Field(ANY, default_value={})}),
        default_value={"multiprocess": {}},
    ),
    choices={"multiprocess": multiprocess_executor, "in_process": in_process_executor},
    description="The default: a process for each step, or ``in_process`` by config.",
)

k8s_job_executor = ExecutorDefinition(
    "k8s",
    {
        "job_image": OPTIONAL_TEXT,
        **JOB_FIELDS,
        "load_incluster_config": Field(Noneable(bool), is_required=False),
        "kubeconfig_file": OPTIONAL_TEXT,
        "job_namespace": OPTIONAL_TEXT,
        "retries": RETRIES,
        "max_concurrent": Field(Noneable(IntSource), is_required=False),
        "tag_concurrency_limits": TAG_CONCURRENCY_LIMITS,
        "step_k8s_config": OPTIONAL_MAP,
        "per_step_k8s_config": Field(Permissive(), default_value={}),
        "enable_owner_references": Field(bool, default_value=False),
        "step_dependency_config": STEP_DEPENDENCY_CONFIG,
        "runplane": OPTIONAL_MAP,
    },
    module="runplane.executors.k8s_job",
    class_name="K8sJobExecutor",
    requirements=multiple_process_executor_requirements(),
    description="Runs each step as a Kubernetes Job.",
)

_CELERY: dict[str, Any] = {
    "broker": OPTIONAL_TEXT,
    "backend": Field(Noneable(StringSource), default_value="rpc://"),
    "include": Field(Array(str), is_required=False),
    "config_source": Field(Noneable(Permissive()), is_required=False),
    "retries": RETRIES,
}

celery_executor = ExecutorDefinition(
    "celery",
    _CELERY,
    module="runplane.executors.celery",
    class_name="CeleryExecutor",
    requirements=multiple_process_executor_requirements(),
    description="Runs each step in a worker of its queue (``runplane celery worker start``).",
)

celery_k8s_job_executor = ExecutorDefinition(
    "celery-k8s",
    {
        "job_image": OPTIONAL_TEXT,
        **JOB_FIELDS,
        **_CELERY,
        "load_incluster_config": Field(Noneable(bool), is_required=False),
        "kubeconfig_file": OPTIONAL_TEXT,
        "job_namespace": OPTIONAL_TEXT,
        "repo_location_name": Field(StringSource, default_value="<<in_process>>"),
        "job_wait_timeout": Field(float, default_value=86400.0),
        "per_step_k8s_config": Field(Permissive(), default_value={}),
        "runplane": OPTIONAL_MAP,
    },
    module="runplane.executors.celery_k8s",
    class_name="CeleryK8sJobExecutor",
    requirements=multiple_process_executor_requirements(),
    description="Runs each step as a Kubernetes Job that a worker of its queue creates.",
)
