"""The shape of every configuration that ends in a Job: of the launchers, of code locations, of tags, of the executor.

Keys and defaults are those of Dagster 1.13.27; what is wider or stricter is in ``docs/differences.md``.
Source: https://docs.dagster.io/api/libraries/dagster-k8s
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..config.schema import (
    AnyScalar,
    Anything,
    Bool,
    Field,
    Float,
    FreeMap,
    Int,
    ListOf,
    MapOf,
    Schema,
    Shape,
    Text,
    env_name,
)
from ..errors import Problems
from .schema import to_camel
from .user_config import SECTIONS, section

_TEXT = Text(nullable=True)
_NAME = Text(empty=False)


@dataclass(eq=False, repr=False)
class KubernetesObject(FreeMap):
    """One of Kubernetes' own types, in either spelling of its fields.

    Attributes:
        kind: the type (`V1Volume`).
        required: fields that have to be there.
        sourced: whether a field may be `{env: NAME}`.
    """

    kind: str = ""
    required: tuple[str, ...] = ()
    sourced: bool = False

    def check(self, value: Any, problems: Problems) -> None:
        before = len(problems.found)
        super().check(value, problems)
        if len(problems.found) > before or value is None:
            return
        literal = {key: item for key, item in value.items() if not (self.sourced and env_name(item))}
        to_camel(self.kind, literal, problems)
        for key in self.required:
            if key not in value:
                problems.at(key).add("missing", expected=f"a field of {self.kind}")

    def resolve(self, value: Any, env: Mapping[str, str], problems: Problems) -> Any:
        if not self.sourced or value is None:
            return value
        return {
            key: Text().resolve(item, env, problems.at(key)) if env_name(item) else item for key, item in value.items()
        }


@dataclass(eq=False, repr=False)
class RawSection(FreeMap):
    """One of the six sections (``user_config.SECTIONS``)."""

    name: str = ""

    def check(self, value: Any, problems: Problems) -> None:
        before = len(problems.found)
        super().check(value, problems)
        if len(problems.found) == before:
            section(self.name, value, problems)


class Variable(Text):
    """``NAME=VALUE``, or ``NAME``. Never shown; whether it is a secret is for its name to say (``job_checks.secrets_in_plain``)."""

    def literals(self, value: Any, problems: Problems) -> None:
        """None by its type alone."""


JOB_FIELDS: dict[str, Field | Schema] = {
    "job_image": _TEXT,
    "image_pull_policy": Text(nullable=True, choices=("Always", "IfNotPresent", "Never")),
    "image_pull_secrets": ListOf(Shape({"name": Field(_NAME, required=True)}), nullable=True),
    "service_account_name": _TEXT,
    "env_config_maps": ListOf(_NAME, nullable=True),
    "env_secrets": ListOf(_NAME, nullable=True),
    "env_vars": ListOf(Variable(secret=True), nullable=True),
    "volume_mounts": Field(
        ListOf(KubernetesObject(kind="V1VolumeMount", required=("name",), sourced=True)), default=[]
    ),
    "volumes": Field(ListOf(KubernetesObject(kind="V1Volume", required=("name",))), default=[]),
    "labels": MapOf(Text()),
    "resources": Shape({"limits": MapOf(AnyScalar()), "requests": MapOf(AnyScalar())}, nullable=True),
    "scheduler_name": _TEXT,
    "security_context": KubernetesObject(kind="V1SecurityContext"),
}
"""What the launchers, code locations and the executor have in common."""

_LAYER: dict[str, Field | Schema] = {
    **{name: RawSection(name=name) for name in SECTIONS},
    "merge_behavior": Text(choices=("DEEP", "SHALLOW")),
}
LAYER = Shape(_LAYER)
"""The six sections and how they are merged: a tag, `step_k8s_config`, `run_k8s_config` of a location."""

RETENTION = Shape({"keep_failed": Field(Int(minimum=0), default=20)}, nullable=True)
"""With it, the Jobs of runs (launcher) or attempts (executor) that are over are deleted; those of the last `keep_failed` that failed stay."""
_SECRETS = Text(choices=("warn", "refuse"))

LAUNCHER_OWN = Shape(
    {
        "instance": Field(Text(choices=("embed", "mount")), default="embed"),
        "secrets": Field(_SECRETS, default="warn"),
        "retention": Field(RETENTION, default=None),
        "start_timeout_seconds": Int(minimum=1),
        "creates_per_second": Int(minimum=1),
    }
)
"""`run_launcher.config.runplane`: keys that Dagster does not have."""
EXECUTOR_OWN = Shape(
    {
        "secrets": Field(_SECRETS, default="warn"),
        "retention": Field(RETENTION, default=None),
        "step_start_timeout_seconds": Int(minimum=1),
        "step_service_account": _NAME,
        "step_postgres_secret": _NAME,
        "creates_per_second": Field(Int(minimum=1), default=50),
    }
)
"""`execution.config.runplane`: keys that Dagster does not have."""
CELERY_EXECUTOR_OWN = Shape(
    {
        key: EXECUTOR_OWN.fields[key]
        for key in ("secrets", "step_start_timeout_seconds", "step_service_account", "step_postgres_secret")
    }
)
"""The same of the executor whose Jobs are made by workers: how fast they are made, and what becomes of them later, is not its affair."""


def _one_way_into_the_cluster(value: Mapping[str, Any], problems: Problems) -> None:
    if value.get("kubeconfig_file") and value.get("load_incluster_config") is True:
        problems.at("kubeconfig_file").add(
            "a kubeconfig file has no effect while load_incluster_config is true",
            expected="load_incluster_config: false",
        )


_FREE_SECTIONS = tuple(name for name in SECTIONS if name != "job_config")
LAUNCHER_FIELDS: dict[str, Field | Schema] = {
    **JOB_FIELDS,
    "instance_config_map": _NAME,
    "postgres_password_secret": _NAME,
    "dagster_home": Field(_NAME, default="/opt/dagster/dagster_home"),
    "load_incluster_config": Bool(),
    "kubeconfig_file": Field(_TEXT, default=None),
    "k8s_api_ssl_ca_cert_file": Field(_TEXT, default=None),
    "job_namespace": Field(_NAME, default="default"),
    "fail_pod_on_run_failure": Bool(),
    "run_k8s_config": Shape(
        {name: Field(RawSection(name=name), default={}) for name in SECTIONS},
        misplaced={"merge_behavior": "the code location's container context"},
    ),
    "only_allow_user_defined_k8s_config_fields": Shape(
        {**{name: MapOf(Bool()) for name in _FREE_SECTIONS}, "namespace": Bool()}
    ),
    "only_allow_user_defined_env_vars": ListOf(_NAME),
    "runplane": LAUNCHER_OWN,
}
LAUNCHER_RULES = (_one_way_into_the_cluster,)
LAUNCHER_MISPLACED = {
    **dict.fromkeys(SECTIONS, "run_k8s_config"),
    **dict.fromkeys((key for key in LAUNCHER_OWN.fields if key != "secrets"), "runplane"),
    "namespace": "job_namespace",
}
LAUNCHER = Shape(LAUNCHER_FIELDS, rules=LAUNCHER_RULES, misplaced=LAUNCHER_MISPLACED)
"""`run_launcher.config` of a K8sRunLauncher."""

LOCATION = Shape(
    {
        **JOB_FIELDS,
        "namespace": _TEXT,
        "env": ListOf(KubernetesObject(kind="V1EnvVar", required=("name",)), nullable=True),
        "run_k8s_config": LAYER,
        "server_k8s_config": FreeMap(),
        "server_replica_count": Int(minimum=0),
    },
    misplaced={**dict.fromkeys(SECTIONS, "run_k8s_config"), "job_namespace": "namespace"},
)
"""`k8s` of a code location's container context."""
EXECUTOR = Shape(
    {
        **JOB_FIELDS,
        "load_incluster_config": Bool(nullable=True),
        "kubeconfig_file": _TEXT,
        "job_namespace": _TEXT,
        "step_k8s_config": LAYER,
        "per_step_k8s_config": Field(MapOf(LAYER), default={}),
        "enable_owner_references": Field(Bool(), default=False),
        "runplane": EXECUTOR_OWN,
        # Not about Jobs: run config has been checked for them already.
        **dict.fromkeys(("max_concurrent", "retries", "tag_concurrency_limits", "step_dependency_config"), Anything()),
    },
    misplaced={
        **dict.fromkeys(SECTIONS, "step_k8s_config"),
        **dict.fromkeys(EXECUTOR_OWN.fields, "runplane"),
        "namespace": "job_namespace",
    },
)
"""`execution.config` of the executor that makes Jobs."""
CELERY_EXECUTOR = Shape(
    {
        **JOB_FIELDS,
        "load_incluster_config": Bool(nullable=True),
        "kubeconfig_file": _TEXT,
        "job_namespace": _TEXT,
        "repo_location_name": _TEXT,
        "job_wait_timeout": Field(Float(minimum=0), default=86400.0),
        "per_step_k8s_config": Field(MapOf(LAYER), default={}),
        "runplane": CELERY_EXECUTOR_OWN,
        # Celery's own; checked where they are used.
        **dict.fromkeys(("broker", "backend", "include", "config_source", "retries"), Anything()),
    },
    misplaced={
        **dict.fromkeys(SECTIONS, "per_step_k8s_config"),
        **dict.fromkeys(CELERY_EXECUTOR_OWN.fields, "runplane"),
        "namespace": "job_namespace",
    },
)
"""`execution.config` of the executor whose Jobs are made by workers of queues."""
