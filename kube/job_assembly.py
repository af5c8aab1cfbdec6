"""From merged layers to the Job: the one template of every Job that we make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigErrors
from ..events.argv import COMPRESSED_STEP_ARGS_ENV
from .allow_lists import Restricted
from .container_context import Context
from .job_checks import check_job, secrets_in_plain
from .job_facts import (
    ATTEMPT_LABEL,
    DEFAULT_NAMESPACE,
    INSTANCE_LABEL,
    RUN_LABEL,
    STEP_ANNOTATION,
    STEP_LABEL,
    RenderedJob,
    RunFacts,
    StepFacts,
    Surroundings,
)
from .names import label_value, own_version, run_job_name, step_job_name
from .settings import LauncherSettings
from .user_config import Entries, Fields, Leaf, Tree, UserConfig, Who, fields, plain, sources, tree

INSTANCE_VOLUME = "runplane-instance"
INSTANCE_FILE = "dagster.yaml"
_DEPLOYMENT_ENV = "DAGSTER_CLOUD_DEPLOYMENT_NAME"
_PG_PASSWORD_ENV, _PG_PASSWORD_KEY = "DAGSTER_PG_PASSWORD", "postgresql-password"
_FOREIGN_ENTRY = "dagster"


@dataclass(frozen=True, slots=True)
class Worker:
    """What differs between the Job of a run and that of a step.

    Attributes:
        name, component, labels, annotations, owner: of the Job.
        args: all words of the container.
        env: variables before those that every worker has.
        image: for a Job whose configuration names none.
        attempt: from 1.
        postgres_secret: in place of the launcher's.
        is_foreign: its image is not ours: it gets nothing of the instance, and `args` may be empty (the image's own).
    """

    name: str
    component: str
    args: list[str]
    env: list[dict[str, str]]
    labels: Mapping[str, str]
    image: Leaf
    attempt: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    owner: Mapping[str, Any] | None = None
    postgres_secret: str | None = None
    is_foreign: bool = False


def run_worker(run: RunFacts, document: str, image: Leaf, *, resume_attempt: int, resumes: bool) -> Worker:
    """What the Job of a run has of its own. Arguments: as of ``job_manifest.run_job``; `image` as of ``Worker``."""
    return Worker(
        name=run_job_name(run.run_id, resume_attempt),
        component="run_worker",
        args=[*entry_words(run), "api", "resume_run" if resumes else "execute_run", document],
        env=[{"name": "DAGSTER_RUN_JOB_NAME", "value": run.job_name}],
        labels={"dagster/job": run.job_name, RUN_LABEL: run.run_id},
        image=image,
        attempt=resume_attempt + 1,
    )


def step_worker(
    run: RunFacts, step: StepFacts, image: Leaf, *, postgres_secret: str | None, document_in_args: bool
) -> Worker:
    """What the Job of an attempt has of its own.

    Args:
        run, step: what it is for.
        image, postgres_secret: as of ``Worker``.
        document_in_args: the attempt's document is an argument, and not a variable.
    """
    words = ["--compressed-input-json", step.document] if document_in_args else []
    document = [] if document_in_args else [{"name": COMPRESSED_STEP_ARGS_ENV, "value": step.document}]
    return Worker(
        name=step_job_name(run.run_id, step.step_key, step.attempt - 1),
        component="step_worker",
        args=[*entry_words(run), "api", "execute_step", *words],
        env=[
            *document,
            {"name": "DAGSTER_RUN_JOB_NAME", "value": run.job_name},
            {"name": "DAGSTER_RUN_STEP_KEY", "value": step.step_key},
        ],
        labels={"dagster/job": run.job_name, STEP_LABEL: step.step_key, RUN_LABEL: run.run_id},
        image=image,
        attempt=step.attempt,
        annotations={STEP_ANNOTATION: step.step_key},
        owner=step.owner,
        postgres_secret=postgres_secret,
    )


def assembled(
    context: Context,
    worker: Worker,
    run: RunFacts,
    launcher: LauncherSettings,
    around: Surroundings,
    restricted: Sequence[Restricted],
    *,
    refuses_secrets: bool,
) -> RenderedJob:
    """The Job of a worker whose layers have been merged.

    Args:
        context: all layers.
        worker: what its Job has of its own.
        run: the run.
        launcher: for what no layer says.
        around: the process' surroundings.
        restricted: the layers as the allow-lists left them, for their warnings.
        refuses_secrets: whether a secret in plain is an error.

    Raises:
        ConfigErrors: as ``run_job``.
    """
    where = f"Job {worker.name}"
    config = context.config
    labels = _labels(worker, run, config, around.instance_id)
    template = {
        "metadata": _pod_metadata(config, worker, labels),
        "spec": _pod_spec(config, worker, launcher),
    }
    whole = Fields(
        {
            **config.section("job_config"),
            "apiVersion": _default("batch/v1"),
            "kind": _default("Job"),
            "metadata": _job_metadata(config, worker, labels, context),
            "spec": Fields(
                {
                    "ttlSecondsAfterFinished": _default(86400),
                    "backoffLimit": _default(0),
                    **config.section("job_spec_config"),
                    "template": Fields(template, Who.DEFAULT),
                },
                Who.DEFAULT,
            ),
        },
        Who.DEFAULT,
    )
    manifest, places = plain(whole), dict(sources(whole, ""))
    namespace = context.namespace or DEFAULT_NAMESPACE
    check_job(manifest, namespace, config, places, where=where)
    secrets = secrets_in_plain(config, () if launcher.mounts_instance else around.literal_secrets)
    if secrets and refuses_secrets:
        raise ConfigErrors(secrets, where=where)
    told = [text for found in restricted for text in found.warnings] + [str(problem) for problem in secrets]
    return RenderedJob(namespace, manifest, places, tuple(told))


def _default(value: Any) -> Tree:
    return tree(value, Who.DEFAULT)


def first_image(*choices: tuple[str | None, str]) -> Leaf:
    """The first image that is named, and who named it."""
    return next((Leaf(image, who) for image, who in choices if image), Leaf(None, Who.DEFAULT))


def entry_words(run: RunFacts) -> list[str]:
    """The words before `api`. Without an entry point the image's own command: a path of the machine that made the origin means nothing
    in a pod. Origins of Dagster name its command, which an image need not have."""
    entry = list(run.entry_point or [_FOREIGN_ENTRY])
    if entry == [_FOREIGN_ENTRY]:
        return ["runplane"]
    return [*entry[:-1], "runplane"] if entry[1:] == ["-m", _FOREIGN_ENTRY] else entry


def _labels(worker: Worker, run: RunFacts, config: UserConfig, instance_id: str | None) -> dict[str, str]:
    own = dict(worker.labels)
    if run.location_name:
        own["dagster/code-location"] = run.location_name
    deployment = _deployment_name(config)
    if deployment:
        own["dagster/deployment-name"] = deployment
    if instance_id:
        own[INSTANCE_LABEL] = instance_id
    own[ATTEMPT_LABEL] = str(worker.attempt)
    return {
        "app.kubernetes.io/name": "dagster",
        "app.kubernetes.io/instance": "dagster",
        "app.kubernetes.io/version": own_version(),
        "app.kubernetes.io/part-of": "dagster",
        "app.kubernetes.io/component": worker.component,
        **{key: label_value(value) for key, value in own.items()},
    }


def _deployment_name(config: UserConfig) -> str | None:
    for entry in map(plain, _entries(config.section("container_config"), "env")):
        if entry.get("name") == _DEPLOYMENT_ENV:
            found: str | None = entry.get("value")
            return found
    return None


def _entries(section: Mapping[str, Tree], key: str) -> tuple[Tree, ...]:
    found = section.get(key)
    return found.items if isinstance(found, Entries) else ()


def _list(*entries: Tree) -> Entries:
    return Entries(entries, Who.DEFAULT)


def _without_empty(found: Mapping[str, Tree], key: str) -> dict[str, Tree]:
    """Without a field that is there and says nothing."""
    return {name: value for name, value in found.items() if name != key or plain(value)}


def _container(config: UserConfig, worker: Worker, launcher: LauncherSettings) -> Fields:
    user = config.section("container_config")
    secret = worker.postgres_secret or launcher.postgres_password_secret
    env: list[Tree] = [Leaf(entry, Who.DEFAULT) for entry in worker.env]
    if not worker.is_foreign:
        env.append(Leaf({"name": "DAGSTER_HOME", "value": launcher.dagster_home}, launcher.dagster_home_who))
    if secret and not worker.is_foreign:
        reference = {"secretKeyRef": {"name": secret, "key": _PG_PASSWORD_KEY}}
        who = Who.EXECUTOR if worker.postgres_secret else Who.INSTANCE
        env.append(Leaf({"name": _PG_PASSWORD_ENV, "valueFrom": reference}, who))
    mounts = list(_entries(user, "volumeMounts"))
    if launcher.mounts_instance and not worker.is_foreign:
        path = f"{launcher.dagster_home}/{INSTANCE_FILE}"
        mount = {"name": INSTANCE_VOLUME, "mountPath": path, "subPath": INSTANCE_FILE, "readOnly": True}
        mounts.append(Leaf(mount, Who.INSTANCE))
    found = {
        **user,
        "name": user.get("name", _default("dagster")),
        "image": user.get("image", worker.image),
        "args": _default(worker.args),
        "env": _list(*env, *_entries(user, "env")),
        "envFrom": _list(*_entries(user, "envFrom")),
        "volumeMounts": _list(*mounts),
        "resources": user.get("resources", fields({}, Who.DEFAULT)),
    }
    return Fields(_without_empty(_without_empty(found, "securityContext"), "args"), Who.DEFAULT)


def _pod_spec(config: UserConfig, worker: Worker, launcher: LauncherSettings) -> Fields:
    user = config.section("pod_spec_config")
    volumes = list(_entries(user, "volumes"))
    if launcher.mounts_instance and not worker.is_foreign:
        volume = {"name": INSTANCE_VOLUME, "configMap": {"name": launcher.instance_config_map}}
        volumes.append(Leaf(volume, Who.INSTANCE))
    container = _container(config, worker, launcher)
    found = {
        "restartPolicy": _default("Never"),
        **user,
        "imagePullSecrets": _list(*_entries(user, "imagePullSecrets")),
        "automountServiceAccountToken": user.get("automountServiceAccountToken", _default(True)),
        "containers": _list(container, *_entries(user, "containers")),
        "volumes": _list(*volumes),
    }
    return Fields(_without_empty(found, "schedulerName"), Who.DEFAULT)


def _pod_metadata(config: UserConfig, worker: Worker, labels: Mapping[str, str]) -> Fields:
    user = config.section("pod_template_spec_metadata")
    return Fields({**_described(user, worker, labels), "name": _default(worker.name)}, Who.DEFAULT)


def _job_metadata(config: UserConfig, worker: Worker, labels: Mapping[str, str], context: Context) -> Fields:
    user = config.section("job_metadata")
    found: dict[str, Tree] = {
        **_described(user, worker, labels),
        "name": _default(worker.name),
        "namespace": user.get("namespace", Leaf(context.namespace or DEFAULT_NAMESPACE, context.namespace_who)),
    }
    if worker.owner is not None:
        found["ownerReferences"] = _list(Leaf(worker.owner, Who.DEFAULT))
    return Fields(found, Who.DEFAULT)


def _described(user: Mapping[str, Tree], worker: Worker, labels: Mapping[str, str]) -> dict[str, Tree]:
    """A user's metadata with our labels and annotations below and beside theirs."""
    theirs = user.get("labels")
    given = dict(theirs.items) if isinstance(theirs, Fields) else {}
    found = {**user, "labels": Fields({**fields(labels, Who.DEFAULT).items, **given}, Who.DEFAULT)}
    if worker.annotations:
        noted = user.get("annotations")
        notes = dict(noted.items) if isinstance(noted, Fields) else {}
        found["annotations"] = Fields({**notes, **fields(worker.annotations, Who.DEFAULT).items}, Who.DEFAULT)
    return found
