"""What executors whose steps are Kubernetes Jobs have in common, whoever creates these Jobs."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from ..config.schema import Shape
from ..kube.job_facts import RenderedJob
from ..kube.settings import executor_settings
from ..kube.shared_folders import shares
from .k8s_step_jobs import MakesJob, StepJobs
from .k8s_way import launcher_settings_of
from .settings import DriverSettings, ExecutorContext


class StepJobsExecutor(ABC):
    """See ``MakesPods``.

    Args:
        settings: limits and retries.
        context: run and instance.
        config: the executor's config; a key that is null says nothing.
        shape: of the config.
        make: puts a Job together.

    Raises:
        ConfigErrors: a key that Kubernetes does not know, a value that it would not take; a database that pods can not reach.
    """

    def __init__(
        self,
        settings: DriverSettings,
        context: ExecutorContext,
        config: Mapping[str, Any],
        *,
        shape: Shape,
        make: MakesJob,
    ) -> None:
        self.settings = settings
        self._context = context
        context.instance.refuse_database_for_pods()
        given = {key: value for key, value in config.items() if value is not None}
        executor = executor_settings(given, os.environ, shape=shape)
        self._jobs = StepJobs(context, launcher_settings_of(context.instance), executor, os.environ, make=make)

    @classmethod
    @abstractmethod
    def from_config(cls, config: Mapping[str, Any], context: ExecutorContext) -> StepJobsExecutor:
        """Made from validated config. Raises ConfigErrors."""

    def pods_share_storage(self) -> bool:
        """See ``MakesPods``."""
        return shares(self.sample().manifest, str(self._context.home / "storage"))

    def sample(self) -> RenderedJob:
        """The Job of a first step. Raises ``ConfigErrors``."""
        return self._jobs.sample()

    def prepare(self) -> None:
        """See that the configuration makes a Job. Raises ``ConfigErrors``. The code is imported in the pods."""
        self.sample()
