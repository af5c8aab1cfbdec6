"""The Job of a run's worker and of a step: one pure function each, data in, data out.

The Job is the one that Dagster would make for the same configuration, but for what ``docs/differences.md`` lists under "Jobs".
Source: https://docs.dagster.io/deployment/oss/deployment-options/kubernetes/customizing-your-deployment
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigErrors
from ..events.argv import COMPRESSED_STEP_ARGS_ENV
from ..events.run import Run
from .allow_lists import Restricted, restrict
from .container_context import Context, of_location, of_tags
from .job_checks import check_job, secrets_in_plain
from .names import label_value, own_version, run_job_name, step_job_name
from .settings import ExecutorSettings, LauncherSettings
from .user_config import Entries, Fields, Leaf, Tree, UserConfig, Who, fields, plain, sources, tree

DEFAULT_NAMESPACE = "default"
RUN_LABEL = "dagster/run-id"
STEP_LABEL = "dagster/op"
INSTANCE_LABEL = "runplane/instance-id"
ATTEMPT_LABEL = "runplane/attempt"
STEP_ANNOTATION = "runplane/step-key"
"""A step's own key: the label holds it in the letters that a label may have."""
INSTANCE_VOLUME = "runplane-instance"
INSTANCE_FILE = "dagster.yaml"
_DEPLOYMENT_ENV = "DAGSTER_CLOUD_DEPLOYMENT_NAME"
_PG_PASSWORD_ENV, _PG_PASSWORD_KEY = "DAGSTER_PG_PASSWORD", "postgresql-password"
_FOREIGN_ENTRY = "dagster"


@dataclass(frozen=True, slots=True)
class RenderedJob:
    """A Job, ready to be created.

    Attributes:
        namespace: where it is to be created.
        manifest: the Job as `kubectl apply` takes it.
        sources: place in the manifest -> who set it (``user_config.Who``).
        warnings: what a person should know about it.
    """

    namespace: str
    manifest: Mapping[str, Any]
    sources: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The Job's name."""
        found: str = self.manifest["metadata"]["name"]
        return found

    @property
    def image(self) -> str:
        """The image of the worker's container."""
        found: str = self.manifest["spec"]["template"]["spec"]["containers"][0]["image"]
        return found


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What of a run matters to its Jobs.

    Attributes:
        run_id, job_name: the run.
        tags: of the run; those of its job are among them.
        tags_by: who set `dagster-k8s/config` among them.
        image, container_context, entry_point: of its code location (``events.origin.RepositoryOrigin``).
        location_name: name of the code location, or None.
    """

    run_id: str
    job_name: str
    tags: Mapping[str, Any] = field(default_factory=dict)
    tags_by: str = Who.RUN_TAG
    image: str | None = None
    container_context: Mapping[str, Any] | None = None
    entry_point: Sequence[str] | None = None
    location_name: str | None = None


def facts_of(run: Run) -> RunFacts:
    """The facts of a stored run."""
    found = RunFacts(run.run_id, run.job_name, run.tags)
    if run.origin is None:
        return found
    code = run.origin.repository_origin
    return RunFacts(
        run.run_id,
        run.origin.job_name,
        run.tags,
        image=code.container_image,
        container_context=code.container_context,
        entry_point=code.entry_point,
    )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a Job is made with beside configuration.

    Attributes:
        env: the environment of the process that makes it: `{env: NAME}` and bare names of `env_vars` are looked up there.
        instance_id: of the instance, for a label; None: no label.
        literal_secrets: places of the instance's configuration where a secret stands as a literal (they travel in a run's document).
    """

    env: Mapping[str, str]
    instance_id: str | None = None
    literal_secrets: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class StepFacts:
    """One attempt of a step.

    Attributes:
        step_key: the step's own key (`work[3]`).
        op_name: the op's name: a key of `per_step_k8s_config`.
        op_tags: tags of the op or of the asset's op.
        attempt: from 1; lost attempts count. The second one's Job has the suffix `-1`.
        document: an ``ExecuteStepArgs``, compressed.
        owner: the run worker's Job or pod, as an entry of `ownerReferences`; None: nobody.
    """

    step_key: str
    op_name: str
    document: str
    op_tags: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 1
    owner: Mapping[str, Any] | None = None


def run_job(
    launcher: LauncherSettings,
    run: RunFacts,
    document: str,
    around: Surroundings,
    *,
    resume_attempt: int = 0,
    resumes: bool = False,
) -> RenderedJob:
    """The Job of a run's worker.

    Args:
        launcher: of the instance.
        run: the run.
        document: an ``ExecuteRunArgs`` or ``ResumeRunArgs``, plain.
        around: the process' surroundings.
        resume_attempt: the suffix of its name; 0: none.
        resumes: whether `document` is a ``ResumeRunArgs``.

    Raises:
        ConfigErrors: anything that is wrong with the configuration of any layer; that Kubernetes would refuse; no image.
    """
    location = restrict(of_location(run.container_context, around.env), launcher.allowed)
    tags = restrict(Context(of_tags(run.tags, run.tags_by)), launcher.allowed)
    # A tag, even an absent one, is put over the location first: its DEEP (the default) ends a location's SHALLOW.
    context = launcher.context.merged(location.context.merged(tags.context))
    verb = "resume_run" if resumes else "execute_run"
    return assembled(
        context,
        Worker(
            name=run_job_name(run.run_id, resume_attempt),
            component="run_worker",
            args=[*entry_words(run), "api", verb, document],
            env=[{"name": "DAGSTER_RUN_JOB_NAME", "value": run.job_name}],
            labels={"dagster/job": run.job_name, RUN_LABEL: run.run_id},
            image=first_image((run.image, Who.LOCATION), (launcher.image, Who.INSTANCE)),
            attempt=resume_attempt + 1,
        ),
        run,
        launcher,
        around,
        [location, tags],
        refuses_secrets=launcher.refuses_secrets,
    )


def step_job(
    launcher: LauncherSettings, executor: ExecutorSettings, run: RunFacts, step: StepFacts, around: Surroundings
) -> RenderedJob:
    """The Job of one attempt of a step. Tags of the run and of its job have no say in it.

    Raises:
        ConfigErrors: as ``run_job``.
    """
    layers = [
        restrict(layer, launcher.allowed)
        for layer in (
            of_location(run.container_context, around.env),
            executor.context,
            Context(of_tags(step.op_tags, Who.OP_TAG)),
            Context(executor.per_step.get(step.op_name, UserConfig())),
        )
    ]
    context = launcher.context
    for layer in layers:
        context = context.merged(layer.context)
    return assembled(
        context,
        Worker(
            name=step_job_name(run.run_id, step.step_key, step.attempt - 1),
            component="step_worker",
            args=[*entry_words(run), "api", "execute_step"],
            env=[
                {"name": COMPRESSED_STEP_ARGS_ENV, "value": step.document},
                {"name": "DAGSTER_RUN_JOB_NAME", "value": run.job_name},
                {"name": "DAGSTER_RUN_STEP_KEY", "value": step.step_key},
            ],
            labels={"dagster/job": run.job_name, STEP_LABEL: step.step_key, RUN_LABEL: run.run_id},
            image=first_image(
                (executor.image, Who.EXECUTOR), (launcher.image, Who.INSTANCE), (run.image, Who.LOCATION)
            ),
            attempt=step.attempt,
            annotations={STEP_ANNOTATION: step.step_key},
            owner=step.owner,
            postgres_secret=executor.postgres_secret,
        ),
        run,
        launcher,
        around,
        layers,
        refuses_secrets=launcher.refuses_secrets or executor.refuses_secrets,
    )


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
    env.append(Leaf({"name": "DAGSTER_HOME", "value": launcher.dagster_home}, launcher.dagster_home_who))
    if secret:
        reference = {"secretKeyRef": {"name": secret, "key": _PG_PASSWORD_KEY}}
        who = Who.EXECUTOR if worker.postgres_secret else Who.INSTANCE
        env.append(Leaf({"name": _PG_PASSWORD_ENV, "valueFrom": reference}, who))
    mounts = list(_entries(user, "volumeMounts"))
    if launcher.mounts_instance:
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
    return Fields(_without_empty(found, "securityContext"), Who.DEFAULT)


def _pod_spec(config: UserConfig, worker: Worker, launcher: LauncherSettings) -> Fields:
    user = config.section("pod_spec_config")
    volumes = list(_entries(user, "volumes"))
    if launcher.mounts_instance:
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
