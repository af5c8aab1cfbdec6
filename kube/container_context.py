"""The layers that a Job is made of: what the launcher, the code location, tags and the executor say, in the order in which they win.

Source: https://docs.dagster.io/deployment/oss/deployment-options/kubernetes/customizing-your-deployment (precedence)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..config.schema import resolve
from ..errors import ConfigErrors, Problem, Problems
from .shapes import LOCATION
from .user_config import UserConfig, Who, fields, read

CONFIG_TAG = "dagster-k8s/config"
RESOURCES_TAG = "dagster-k8s/resource_requirements"
"""The older tag: container resources alone."""


@dataclass(frozen=True, slots=True)
class Context:
    """Some layers, merged.

    Attributes:
        config: the six sections.
        namespace: None when no layer names one.
        namespace_who: who named it.
    """

    config: UserConfig
    namespace: str | None = None
    namespace_who: str = Who.DEFAULT

    def merged(self, above: Context) -> Context:
        """With `above` put over it."""
        config = self.config.merged(above.config)
        if above.namespace:
            return Context(config, above.namespace, above.namespace_who)
        return Context(config, self.namespace, self.namespace_who)


def of_job_fields(given: Mapping[str, Any], who: str, env: Mapping[str, str], problems: Problems) -> UserConfig:
    """The layer of the job fields (``shapes.JOB_FIELDS``, checked and resolved). Empty ones and nulls say nothing.

    Args:
        given: the fields; others are not looked at.
        who: the layer's name.
        env: where a bare `KEY` of `env_vars` is looked up.
        problems: gets each such key that is not set.
    """
    labels = {"labels": given["labels"]} if given.get("labels") else {}
    container = {
        "volumeMounts": given.get("volume_mounts"),
        "resources": given.get("resources"),
        "imagePullPolicy": given.get("image_pull_policy"),
        "envFrom": [
            *({"configMapRef": {"name": name}} for name in given.get("env_config_maps") or ()),
            *({"secretRef": {"name": name}} for name in given.get("env_secrets") or ()),
        ],
        "env": [*_variables(given.get("env_vars"), env, problems.at("env_vars")), *(given.get("env") or ())],
        "securityContext": given.get("security_context"),
    }
    pod = {
        "imagePullSecrets": given.get("image_pull_secrets"),
        "volumes": given.get("volumes"),
        "serviceAccountName": given.get("service_account_name"),
        "schedulerName": given.get("scheduler_name"),
    }
    sections = {
        "container_config": {key: value for key, value in container.items() if value},
        "pod_spec_config": {key: value for key, value in pod.items() if value},
        "pod_template_spec_metadata": labels,
        "job_metadata": labels,
    }
    return read(sections, who, problems)


def _variables(given: Any, env: Mapping[str, str], problems: Problems) -> list[dict[str, str]]:
    found = []
    for n, text in enumerate(given or ()):
        name, equals, value = text.partition("=")
        if not equals and name not in env:
            problems.at(n).add(
                f"the environment variable {name} is not set where the Job is made", expected=f"{name}=VALUE, or set"
            )
        found.append({"name": name, "value": value if equals else env.get(name, "")})
    return found


def of_location(context: Mapping[str, Any] | None, env: Mapping[str, str]) -> Context:
    """The layer of a code location's container context. Raises ConfigErrors with all problems."""
    where = "container_context"
    given = context or {}
    problems = Problems()
    shared = given.get("env_vars") or ()
    base = Context(of_job_fields({"env_vars": shared}, Who.LOCATION, env, problems))
    if not given.get("k8s"):
        _raise(problems, where)
        return base
    own = resolve(LOCATION, given["k8s"], env, where=where, path="k8s")
    config = of_job_fields(own, Who.LOCATION, env, problems.at("k8s"))
    config = config.merged(read(own.get("run_k8s_config", {}), Who.LOCATION, problems.at("k8s").at("run_k8s_config")))
    _raise(problems, where)
    return base.merged(Context(config, own.get("namespace"), Who.LOCATION))


def of_tags(tags: Mapping[str, Any], who: str) -> UserConfig:
    """The layer of `dagster-k8s/config` (and the older `dagster-k8s/resource_requirements`, which replaces its resources whole).

    Args:
        tags: text as it is stored, or a mapping as it stands in code.
        who: the layer's name.

    Raises:
        ConfigErrors: all problems.
    """
    problems = Problems()
    config = UserConfig()
    if CONFIG_TAG in tags:
        at = problems.at(CONFIG_TAG)
        config = read(_parsed(tags[CONFIG_TAG], at), who, at)
    if RESOURCES_TAG in tags:
        at = problems.at(RESOURCES_TAG)
        resources = read({"container_config": {"resources": _parsed(tags[RESOURCES_TAG], at)}}, who, Problems())
        found = resources.sections["container_config"].items.get("resources", fields({}, who))
        config = config.with_field("container_config", "resources", found)
    _raise(problems, f"{who}s")
    return config


def _parsed(value: Any, problems: Problems) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        problems.add("not JSON", got="text", expected="a mapping as JSON")
        return {}


def _raise(problems: Problems, where: str) -> None:
    if problems.found:
        raise ConfigErrors(problems.found, where=where)


def refuse(path: str, message: str, *, where: str, got: str | None = None, expected: str | None = None) -> ConfigErrors:
    """An error of one problem."""
    return ConfigErrors([Problem(path, message, got, expected)], where=where)
