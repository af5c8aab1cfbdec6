"""What a launcher's and an executor's configuration say about Jobs, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..config.schema import Field, Shape, resolve
from ..errors import ConfigErrors, Problems
from .container_context import Context, of_job_fields
from .schema import model
from .shapes import EXECUTOR, LAUNCHER
from .user_config import SECTIONS, UserConfig, Who, of_sections, read


@dataclass(frozen=True, slots=True)
class Allowed:
    """What code locations, tags and executors may set: the launcher's allow-lists.

    Attributes:
        fields: section -> its allowed fields, under camelCase names; None: all.
        namespace: whether they may choose the namespace.
        variables: the environment variables that they may set; None: all.
    """

    fields: Mapping[str, frozenset[str]] | None = None
    namespace: bool = True
    variables: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class LauncherSettings:
    """The configuration of a launcher that makes Jobs.

    Attributes:
        context: the launcher's own layers, its namespace included.
        image: for code locations that name none, or None.
        dagster_home, dagster_home_who: value of ``DAGSTER_HOME`` in pods, and who set it.
        postgres_password_secret: the secret that ``DAGSTER_PG_PASSWORD`` comes from, or None.
        instance_config_map: the ConfigMap that holds the dagster.yaml, or None.
        fail_pod_on_run_failure: whether the worker of a failed run ends with exit code 1.
        allowed: what those above may set.
        mounts_instance: whether pods read the instance from the ConfigMap, and not from their arguments.
        refuses_secrets: whether a secret that would stand in a Job in plain is an error, and not a warning.
        keep_failed: the Jobs of how many failed runs stay when those of others are deleted; None: all stay until Kubernetes deletes them.
        creates_per_second: how many Jobs this launcher makes in a second at most; None: the process' own limit.
    """

    context: Context
    image: str | None = None
    dagster_home: str = "/opt/dagster/dagster_home"
    dagster_home_who: str = Who.DEFAULT
    postgres_password_secret: str | None = None
    instance_config_map: str | None = None
    fail_pod_on_run_failure: bool = False
    allowed: Allowed = field(default_factory=Allowed)
    mounts_instance: bool = False
    refuses_secrets: bool = False
    keep_failed: int | None = None
    creates_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """What of an executor's configuration concerns the Jobs of steps.

    Attributes:
        context: the executor's own layers; its namespace is None when it names none.
        image: the steps' image; None: the launcher's, else the code location's.
        per_step: op name (step key, where workers of queues make the Jobs) -> a layer over all others.
        owner_references: whether the run worker's Job owns the steps' Jobs.
        start_timeout_s: how long a step's pod may take to start, or None.
        postgres_secret: of steps' pods, where it is not the run worker's.
        refuses_secrets: as in ``LauncherSettings``.
        keep_failed: the Jobs of how many attempts that ended badly stay when those of others are deleted; None: all stay.
        creates_per_second: how many Jobs the run's worker makes in a second at most.
        wait_timeout_s: how long a worker of queues waits for the end of a step's Job; 0: without end.
    """

    context: Context = field(default_factory=lambda: Context(UserConfig()))
    image: str | None = None
    per_step: Mapping[str, UserConfig] = field(default_factory=dict)
    owner_references: bool = False
    start_timeout_s: int | None = None
    postgres_secret: str | None = None
    refuses_secrets: bool = False
    keep_failed: int | None = None
    creates_per_second: int = 50
    wait_timeout_s: float = 0.0


def launcher_settings(
    config: Mapping[str, Any], env: Mapping[str, str], *, path: str = "run_launcher.config", where: str = "dagster.yaml"
) -> LauncherSettings:
    """The settings that a launcher's `config` says.

    Args:
        config: checked and resolved (``shapes.LAUNCHER``).
        env: where a bare `KEY` of `env_vars` is looked up.
        path, where: of the config, for messages.

    Raises:
        ConfigErrors: a variable that is not set; `instance: mount` without a ConfigMap.
    """
    problems = Problems(path)
    own = config.get("runplane") or {}
    sections = of_sections({"container_config": {"imagePullPolicy": "IfNotPresent"}}, Who.DEFAULT)
    sections = sections.merged(of_job_fields(config, Who.INSTANCE, env, problems))
    sections = sections.merged(
        read(config.get("run_k8s_config") or {}, Who.INSTANCE, problems.at("run_k8s_config"), merge_behavior=False)
    )
    mounts = own.get("instance") == "mount"
    if mounts and not config.get("instance_config_map"):
        problems.at("instance_config_map").add("missing", expected="the ConfigMap, for runplane.instance: mount")
    if problems.found:
        raise ConfigErrors(problems.found, where=where)
    return LauncherSettings(
        context=Context(sections, config["job_namespace"], _who(config, "job_namespace")),
        image=config.get("job_image"),
        dagster_home=config["dagster_home"],
        dagster_home_who=_who(config, "dagster_home"),
        postgres_password_secret=config.get("postgres_password_secret"),
        instance_config_map=config.get("instance_config_map"),
        fail_pod_on_run_failure=bool(config.get("fail_pod_on_run_failure")),
        allowed=_allowed(config),
        mounts_instance=mounts,
        refuses_secrets=own.get("secrets") == "refuse",
        keep_failed=(own.get("retention") or {}).get("keep_failed"),
        creates_per_second=own.get("creates_per_second"),
    )


def resolved_launcher_config(config: Mapping[str, Any], env: Mapping[str, str], *, where: str) -> dict[str, Any]:
    """A launcher's `config` as written in the document -> checked, resolved. Raises ConfigErrors with all problems."""
    found: dict[str, Any] = resolve(LAUNCHER, config, env, where=where, path="run_launcher.config")
    return found


def executor_settings(
    config: Mapping[str, Any],
    env: Mapping[str, str],
    *,
    path: str = "execution.config",
    where: str = "run config",
    shape: Shape = EXECUTOR,
) -> ExecutorSettings:
    """The settings that an executor's `config` (as written, defaults or not) says. Raises ConfigErrors with all problems."""
    found = resolve(shape, config, env, where=where, path=path)
    own = found.get("runplane") or {}
    problems = Problems(path)
    sections = of_job_fields(found, Who.EXECUTOR, env, problems).merged(_own_account(own))
    sections = sections.merged(read(found.get("step_k8s_config") or {}, Who.EXECUTOR, problems.at("step_k8s_config")))
    per_step = {
        name: read(layer, Who.EXECUTOR, problems.at("per_step_k8s_config").at(name))
        for name, layer in found["per_step_k8s_config"].items()
    }
    if problems.found:
        raise ConfigErrors(problems.found, where=where)
    return ExecutorSettings(
        context=Context(sections, found.get("job_namespace"), Who.EXECUTOR),
        image=found.get("job_image"),
        per_step=per_step,
        owner_references=bool(found.get("enable_owner_references")),
        start_timeout_s=own.get("step_start_timeout_seconds"),
        postgres_secret=own.get("step_postgres_secret"),
        refuses_secrets=own.get("secrets") == "refuse",
        keep_failed=(own.get("retention") or {}).get("keep_failed"),
        creates_per_second=own.get("creates_per_second", 50),
        wait_timeout_s=float(found.get("job_wait_timeout") or 0.0),
    )


def _own_account(own: Mapping[str, Any]) -> UserConfig:
    """Steps need no rights in the cluster: with an account of their own they get no token."""
    account = own.get("step_service_account")
    pod = {"serviceAccountName": account, "automountServiceAccountToken": False} if account else {}
    return of_sections({"pod_spec_config": pod}, Who.EXECUTOR)


def _who(config: Mapping[str, Any], key: str) -> str:
    of = LAUNCHER.fields[key]
    return Who.DEFAULT if isinstance(of, Field) and config[key] == of.default else Who.INSTANCE


def _allowed(config: Mapping[str, Any]) -> Allowed:
    listed = config.get("only_allow_user_defined_k8s_config_fields")
    names = config.get("only_allow_user_defined_env_vars")
    variables = None if names is None else frozenset(names)
    if listed is None:
        return Allowed(variables=variables)
    return Allowed(
        {
            name: frozenset(model(kind).camel.get(key, key) for key, allowed in listed.get(name, {}).items() if allowed)
            for name, kind in SECTIONS.items()
        },
        bool(listed.get("namespace")),
        variables,
    )
