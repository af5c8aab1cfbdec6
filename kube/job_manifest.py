"""The Job of a run's worker and of a step: one pure function each, data in, data out.

The Job is the one that Dagster would make for the same configuration, but for what ``docs/differences.md`` lists under "Jobs".
Source: https://docs.dagster.io/deployment/oss/deployment-options/kubernetes/customizing-your-deployment
"""

from __future__ import annotations

from .allow_lists import restrict
from .container_context import Context, of_location, of_tags
from .job_assembly import assembled, first_image, run_worker, step_worker
from .job_facts import RenderedJob, RunFacts, StepFacts, Surroundings
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
    image = first_image((run.image, Who.LOCATION), (launcher.image, Who.INSTANCE))
    return assembled(
        context,
        run_worker(run, document, image, resume_attempt=resume_attempt, resumes=resumes),
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
    image = first_image((executor.image, Who.EXECUTOR), (launcher.image, Who.INSTANCE), (run.image, Who.LOCATION))
    return assembled(
        context,
        step_worker(run, step, image, postgres_secret=executor.postgres_secret, document_in_args=False),
        run,
        launcher,
        around,
        layers,
        refuses_secrets=launcher.refuses_secrets or executor.refuses_secrets,
    )
