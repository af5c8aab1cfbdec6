"""What a Job is made from beside configuration, what it is marked with, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..events.run import Run
from .user_config import Who

DEFAULT_NAMESPACE = "default"
RUN_LABEL = "dagster/run-id"
STEP_LABEL = "dagster/op"
INSTANCE_LABEL = "runplane/instance-id"
ATTEMPT_LABEL = "runplane/attempt"
STEP_ANNOTATION = "runplane/step-key"
"""A step's own key: the label holds it in the letters that a label may have."""


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
