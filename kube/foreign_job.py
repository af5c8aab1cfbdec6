"""The Job of somebody else's image, which an op starts and waits for.

Source: https://docs.dagster.io/api/libraries/dagster-k8s (execute_k8s_job, k8s_job_op)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ConfigErrors, Problems
from .allow_lists import restrict
from .container_context import Context, of_job_fields, of_location, of_tags
from .job_assembly import Worker, assembled
from .job_facts import RUN_LABEL, STEP_ANNOTATION, STEP_LABEL, RenderedJob, RunFacts, StepFacts, Surroundings
from .settings import LauncherSettings
from .user_config import Leaf, Who, read

COMPONENT = "k8s_job_op"
SECTIONS = ("container_config", "pod_template_spec_metadata", "pod_spec_config", "job_metadata", "job_spec_config")


def foreign_job_name(run_id: str, step_key: str, given: str | None, retry: int) -> str:
    """Its name: as given, or from run and step; a user's retry has a suffix."""
    name = given or hashlib.md5((run_id + step_key).encode(), usedforsecurity=False).hexdigest()
    return f"{name}-{retry}" if retry else name


def foreign_job(
    launcher: LauncherSettings,
    run: RunFacts,
    step: StepFacts,
    asked: Mapping[str, Any],
    around: Surroundings,
    *,
    name: str,
    image: str,
    command: Sequence[str] | None,
    args: Sequence[str] | None,
    namespace: str | None,
) -> RenderedJob:
    """The Job.

    Args:
        launcher: of the instance: the lowest layer; then the code location, the op's tags, and what the op asks for.
        run, step: whose it is; `step.document` is not looked at.
        asked: job fields, raw sections and `merge_behavior`; None is as left out.
        around: the process' surroundings.
        name: its name.
        image, command, args: of its container.
        namespace: None: the code location's, else the launcher's.

    Raises:
        ConfigErrors: as ``job_manifest.run_job``.
    """
    problems = Problems()
    given = {key: value for key, value in asked.items() if value is not None}
    sections: dict[str, Any] = {key: dict(given[key]) for key in SECTIONS if key in given}
    container = sections.setdefault("container_config", {})
    container["image"] = image
    if command is not None:
        container["command"] = list(command)
    if "merge_behavior" in given:
        sections["merge_behavior"] = str(getattr(given["merge_behavior"], "value", given["merge_behavior"]))
    own = of_job_fields(given, Who.ARGUMENT, around.env, problems).merged(read(sections, Who.ARGUMENT, problems))
    if problems.found:
        raise ConfigErrors(problems.found, where=f"Job {name} of step {step.step_key}")
    context, layers = launcher.context, []
    for layer in (
        of_location(run.container_context, around.env),
        Context(of_tags(step.op_tags, Who.OP_TAG)),
        Context(own, namespace, Who.ARGUMENT),
    ):
        layers.append(restrict(layer, launcher.allowed))
        context = context.merged(layers[-1].context)
    worker = Worker(
        name=name,
        component=COMPONENT,
        args=list(args or ()),
        env=[],
        labels={"dagster/job": run.job_name, STEP_LABEL: step.step_key, RUN_LABEL: run.run_id},
        image=Leaf(image, Who.ARGUMENT),
        attempt=step.attempt,
        annotations={STEP_ANNOTATION: step.step_key},
        is_foreign=True,
    )
    return assembled(context, worker, run, launcher, around, layers, refuses_secrets=launcher.refuses_secrets)
