"""The Job of a run's worker and of a step: one pure function each, data in, data out.

The Job is the one that Dagster would make for the same configuration, but for what ``docs/differences.md`` lists under "Jobs".
Source: https://docs.dagster.io/deployment/oss/deployment-options/kubernetes/customizing-your-deployment
"""

from __future__ import annotations

from ..events.argv import COMPRESSED_STEP_ARGS_ENV
from .allow_lists import restrict
from .container_context import Context, of_location, of_tags
from .job_assembly import Worker as Worker
from .job_assembly import assembled as assembled
from .job_assembly import entry_words as entry_words
from .job_assembly import first_image as first_image
from .job_facts import ATTEMPT_LABEL as ATTEMPT_LABEL
from .job_facts import DEFAULT_NAMESPACE as DEFAULT_NAMESPACE
from .job_facts import INSTANCE_LABEL as INSTANCE_LABEL
from .job_facts import RUN_LABEL as RUN_LABEL
from .job_facts import STEP_ANNOTATION as STEP_ANNOTATION
from .job_facts import STEP_LABEL as STEP_LABEL
from .job_facts import RenderedJob as RenderedJob
from .job_facts import RunFacts as RunFacts
from .job_facts import StepFacts as StepFacts
from .job_facts import Surroundings as Surroundings
from .job_facts import facts_of as facts_of
from .names import run_job_name, step_job_name
from .settings import ExecutorSettings, LauncherSettings
from .user_config import UserConfig, Who


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
