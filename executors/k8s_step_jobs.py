"""What the Job of an attempt looks like: configuration and the attempt's document, put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..engine.snapshot import StepPlan
from ..errors import ConfigErrors, Problem
from ..events.wire import to_compressed
from ..kube.job_facts import (
    ATTEMPT_LABEL,
    RUN_LABEL,
    STEP_ANNOTATION,
    RenderedJob,
    RunFacts,
    StepFacts,
    Surroundings,
    facts_of,
)
from ..kube.job_manifest import step_job
from ..kube.names import step_job_name
from ..kube.settings import ExecutorSettings, LauncherSettings
from ..storage.contract import AttemptRef
from .contract import StepOrder
from .settings import ExecutorContext
from .step_arguments import step_arguments

START_TIMEOUT_TAG = "runplane/start_timeout"


class MakesJob(Protocol):
    """Puts configuration and facts together to the Job of a step: ``kube.job_manifest.step_job`` or one like it."""

    def __call__(
        self,
        launcher: LauncherSettings,
        executor: ExecutorSettings,
        run: RunFacts,
        step: StepFacts,
        around: Surroundings,
        /,
    ) -> RenderedJob: ...


class AttemptJobs(Protocol):
    """What a runner asks about the Jobs of its attempts."""

    @property
    def owner(self) -> Mapping[str, Any] | None:
        """An entry for ``ownerReferences``, or None."""

    def name(self, ref: AttemptRef) -> str:
        """The Job's name."""

    def is_of(self, job: Mapping[str, Any], ref: AttemptRef) -> bool:
        """Whether a Job of that name is this attempt's."""

    def render(self, order: StepOrder) -> RenderedJob:
        """The Job for an attempt that comes as an order. Raises ConfigErrors."""

    def start_timeout_s(self, step: StepPlan) -> float | None:
        """How long an attempt may take to start."""


def is_jobs_attempt(job: Mapping[str, Any], run_id: str, ref: AttemptRef) -> bool:
    """Whether a Job is that of this attempt."""
    labels = job["metadata"].get("labels") or {}
    annotations = job["metadata"].get("annotations") or {}
    found = (labels.get(RUN_LABEL), labels.get(ATTEMPT_LABEL), annotations.get(STEP_ANNOTATION))
    return found == (run_id, str(ref.n), ref.step)


@dataclass(frozen=True)
class StepJobs:
    """Makes the Jobs of one run's steps.

    Attributes:
        context: run and instance.
        launcher, executor: the configuration's two layers.
        env: this process' environment.
        owner: an entry for ``ownerReferences``, or None.
        make: puts all of it together.
    """

    context: ExecutorContext
    launcher: LauncherSettings
    executor: ExecutorSettings
    env: Mapping[str, str]
    owner: Mapping[str, Any] | None = None
    make: MakesJob = step_job

    def owned_by(self, owner: Mapping[str, Any] | None) -> StepJobs:
        """The same, with an owner."""
        return replace(self, owner=owner)

    def name(self, ref: AttemptRef) -> str:
        """The Job's name. It needs no configuration, so that an attempt of another coordinator can be looked for."""
        return step_job_name(self.context.run.run_id, ref.step, ref.n - 1)

    def is_of(self, job: Mapping[str, Any], ref: AttemptRef) -> bool:
        """Whether a Job of that name is this attempt's."""
        return is_jobs_attempt(job, self.context.run.run_id, ref)

    def render(self, order: StepOrder) -> RenderedJob:
        """The Job for an attempt.

        Raises:
            ConfigErrors: the configuration makes no Job that Kubernetes would take.
        """
        return self._render(order.step, order.ref, self._document(order))

    def sample(self) -> RenderedJob:
        """The Job of a first step, to see that the configuration can be used, and where Jobs are made.

        Raises:
            ConfigErrors: it can not.
        """
        step = self.context.plan.steps[0]
        return self._render(step, AttemptRef(step.key, 1), "")

    def start_timeout_s(self, step: StepPlan) -> float | None:
        """How long the attempt may take to start."""
        given = step.tags.get(START_TIMEOUT_TAG)
        if given is None:
            return self.executor.start_timeout_s
        try:
            seconds = float(given)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            problem = Problem(START_TIMEOUT_TAG, "is no time limit", got=repr(given), expected="seconds above 0")
            raise ConfigErrors([problem], where=f"tags of op {step.op_name}")
        return seconds

    def _render(self, step: StepPlan, ref: AttemptRef, document: str) -> RenderedJob:
        around = Surroundings(self.env, self.context.instance.instance_id)
        facts = StepFacts(ref.step, step.op_name, document, op_tags=step.tags, attempt=ref.n, owner=self.owner)
        return self.make(self.launcher, self.executor, facts_of(self.context.run), facts, around)

    def _document(self, order: StepOrder) -> str:
        instance = None if self.launcher.mounts_instance else self.context.instance.ref
        return to_compressed(step_arguments(order, self.context.epoch, instance=instance, should_verify_step=True))
