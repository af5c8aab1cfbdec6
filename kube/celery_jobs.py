"""The Jobs of runs and steps where workers of Celery's queues make the steps' Jobs: other layers, put together otherwise.

Dagster puts the job fields of executor and launcher one beside the other here, and the tag beside both: lists one after the other, equal
entries too, and no layer's ``merge_behavior`` has a say. A code location's container context gives the image alone. What of the
executor's fields Dagster reads and leaves without effect acts on steps here.
Source: https://docs.dagster.io/deployment/oss/deployment-options/kubernetes/kubernetes-and-celery
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import ConfigErrors
from .allow_lists import Restricted, restrict
from .container_context import Context, of_tags
from .job_assembly import assembled, first_image, run_worker, step_worker
from .job_facts import RenderedJob, RunFacts, StepFacts, Surroundings
from .settings import ExecutorSettings, LauncherSettings, executor_settings
from .shapes import CELERY_EXECUTOR
from .user_config import SECTIONS, Entries, Fields, Tree, UserConfig, Who, plain

STEPS_ONLY = ("resources", "env_vars", "scheduler_name", "security_context")
"""Fields of the executor's run config that the Job of the run does not take: a run's worker does not need what its steps need."""
EXECUTOR_NAME = "celery-k8s"
CURRENT_IMAGE_ENV = "DAGSTER_CURRENT_IMAGE"


def celery_run_job(
    launcher: LauncherSettings,
    executor: ExecutorSettings,
    run: RunFacts,
    document: str,
    around: Surroundings,
    *,
    resume_attempt: int = 0,
    resumes: bool = False,
) -> RenderedJob:
    """The Job of a run's worker under a CeleryK8sRunLauncher.

    Args:
        launcher: of the instance.
        executor: what the run config says to the executor, without ``STEPS_ONLY``; it is over the launcher.
        run, document, around, resume_attempt, resumes: as of ``job_manifest.run_job``.

    Raises:
        ConfigErrors: as ``job_manifest.run_job``.
    """
    mine = restrict(executor.context, launcher.allowed)
    tags = restrict(Context(of_tags(run.tags, run.tags_by)), launcher.allowed)
    image = first_image((executor.image, Who.EXECUTOR), (run.image, Who.LOCATION), (launcher.image, Who.INSTANCE))
    made = assembled(
        _together(launcher.context, mine.context, tags.context),
        run_worker(run, document, image, resume_attempt=resume_attempt, resumes=resumes),
        run,
        launcher,
        around,
        [mine, tags],
        refuses_secrets=launcher.refuses_secrets or executor.refuses_secrets,
    )
    return replace(made, warnings=(*made.warnings, *_unheard(run)))


def celery_step_job(
    launcher: LauncherSettings, executor: ExecutorSettings, run: RunFacts, step: StepFacts, around: Surroundings
) -> RenderedJob:
    """The Job of one attempt of a step, for a worker of its queue to create. Raises ConfigErrors."""
    own = executor.per_step.get(step.step_key, UserConfig())
    layers: list[Restricted] = [
        restrict(layer, launcher.allowed)
        for layer in (executor.context, Context(of_tags(step.op_tags, Who.OP_TAG)), Context(own))
    ]
    mine, tags, per_step = (layer.context for layer in layers)
    image = first_image(
        (executor.image, Who.EXECUTOR),
        (around.env.get(CURRENT_IMAGE_ENV), Who.DEFAULT),
        (run.image, Who.LOCATION),
        (launcher.image, Who.INSTANCE),
    )
    return assembled(
        _together(launcher.context, mine, tags.merged(per_step)),
        step_worker(run, step, image, postgres_secret=executor.postgres_secret, document_in_args=True),
        run,
        launcher,
        around,
        layers,
        refuses_secrets=launcher.refuses_secrets or executor.refuses_secrets,
    )


def run_executor_settings(run_config: Mapping[str, Any], env: Mapping[str, str]) -> ExecutorSettings:
    """What a run's config says to the executor, as far as it concerns the Job of the run itself.

    Args:
        run_config: of the run; what was set by ``configured`` is not there.
        env: where its environment sources are looked up.

    Raises:
        ConfigErrors: it is no config of ``celery_k8s_job_executor``.
    """
    execution = run_config.get("execution") or {}
    named = EXECUTOR_NAME in execution
    given = ((execution[EXECUTOR_NAME] or {}) if named else execution).get("config") or {}
    path = f"execution.{EXECUTOR_NAME}.config" if named else "execution.config"
    own = {key: value for key, value in given.items() if value is not None and key not in STEPS_ONLY}
    try:
        return executor_settings(own, env, path=path, where="run config", shape=CELERY_EXECUTOR)
    except ConfigErrors as error:
        error.hint = (
            "A CeleryK8sRunLauncher reads it as the config of celery_k8s_job_executor, whatever the job's executor is."
        )
        raise


def _together(launcher: Context, executor: Context, tags: Context) -> Context:
    """All layers. The executor's lists stand before the launcher's, but for variables, of which Kubernetes takes the last."""
    below = launcher.config.section("container_config").get("env")
    base = _beside(launcher.config, executor.config, above_first=True)
    above = executor.config.section("container_config").get("env")
    if isinstance(below, Entries) and isinstance(above, Entries):
        base = base.with_field("container_config", "env", Entries(below.items + above.items, above.who))
    base = _with_config_maps_first(base)
    whole = _beside(base, tags.config, above_first=False)
    labels = base.section("job_metadata").get("labels")
    if isinstance(labels, Fields):
        # On the Job the fields' labels are over the tag's; on its pods the tag's are over them.
        theirs = whole.section("job_metadata")["labels"]
        assert isinstance(theirs, Fields)
        whole = whole.with_field("job_metadata", "labels", Fields({**theirs.items, **labels.items}, theirs.who))
    chosen = executor if executor.namespace else launcher
    return Context(whole, chosen.namespace, chosen.namespace_who)


def _beside(below: UserConfig, above: UserConfig, *, above_first: bool) -> UserConfig:
    """One layer with another beside it: mappings key by key, lists one after the other whole, of all else what is above."""
    return UserConfig({n: _fields(below.sections[n], above.sections[n], above_first=above_first) for n in SECTIONS})


def _fields(below: Fields, above: Fields, *, above_first: bool) -> Fields:
    found: dict[str, Tree] = dict(below.items)
    for key, item in above.items.items():
        old = found.get(key)
        if isinstance(old, Fields) and isinstance(item, Fields):
            found[key] = _fields(old, item, above_first=above_first)
        elif isinstance(old, Entries) and isinstance(item, Entries) and key not in ("command", "args"):
            found[key] = Entries(item.items + old.items if above_first else old.items + item.items, item.who)
        else:
            found[key] = item
    return Fields(found, above.who if above.items else below.who)


def _with_config_maps_first(config: UserConfig) -> UserConfig:
    sources = config.section("container_config").get("envFrom")
    if not isinstance(sources, Entries):
        return config
    ordered = tuple(sorted(sources.items, key=lambda entry: "configMapRef" not in plain(entry)))
    return config.with_field("container_config", "envFrom", Entries(ordered, sources.who))


def _unheard(run: RunFacts) -> list[str]:
    """What a code location asks for in vain."""
    context: Mapping[str, Any] = run.container_context or {}
    asked = sorted({*(context.get("k8s") or ()), *(["env_vars"] if context.get("env_vars") else [])})
    if not asked:
        return []
    asked_for = ", ".join(asked)
    text = f"the code location's container context ({asked_for}) has no effect under a CeleryK8sRunLauncher, as in Dagster:"
    return [f"{text} say it in the launcher's configuration, in the executor's, or in dagster-k8s/config"]
