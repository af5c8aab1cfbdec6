"""The executor called ``k8s``: each step is a Kubernetes Job, under any launcher.

Source: https://docs.dagster.io/api/libraries/dagster-k8s (k8s_job_executor) and
https://docs.dagster.io/deployment/oss/deployment-options/kubernetes/kubernetes-and-celery
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..kube.client import KubeClient
from ..kube.create_limit import CreateLimit
from ..kube.job_manifest import step_job
from ..kube.own_job import ownership
from ..kube.settings import ExecutorSettings
from ..kube.shapes import EXECUTOR
from ..kube.shared_folders import unshared
from ..storage.contract import AttemptRow
from .contract import RunnerSignal
from .k8s_retention import StepRetention
from .k8s_runner import K8sJobRunner
from .k8s_way import access_of
from .settings import DriverSettings, ExecutorContext, driver_settings
from .step_jobs_executor import StepJobsExecutor

UNOWNED = "The Jobs of steps have no owner though enable_owner_references is set, so they outlive the run's own Job"
SELECTOR = "dagster/run-id={run_id},app.kubernetes.io/component=step_worker"


class K8sJobExecutor(StepJobsExecutor):
    """See the module. Arguments: as of ``StepJobsExecutor``."""

    def __init__(self, settings: DriverSettings, context: ExecutorContext, config: Mapping[str, Any]) -> None:
        super().__init__(settings, context, config, shape=EXECUTOR, make=step_job)
        self._access = access_of(config, context.instance)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], context: ExecutorContext) -> K8sJobExecutor:
        """Made from validated config; every key of ``k8s_job_executor``.

        Raises:
            ConfigErrors: a key that Kubernetes does not know, a value that it would not take, no image; a database that pods can not reach.
            NotFoundError: no way to a cluster.
        """
        return cls(driver_settings(config, max_concurrent=config.get("max_concurrent") or None), context, config)

    def make_runner(self, report: Callable[[RunnerSignal], None]) -> K8sJobRunner:
        """See ``Executor``."""
        client = KubeClient(self._access, limit=_limit(self._jobs.executor))
        sample = self.sample()
        jobs, remarks = self._jobs, list(sample.warnings)
        remarks += unshared(sample.manifest, self._context.plan.local_files, str(self._context.home / "storage"))
        if self._jobs.executor.owner_references:
            owned = ownership(client, sample.namespace, os.environ)
            jobs = jobs.owned_by(owned.owner)
            remarks += [f"{UNOWNED}: {owned.why_not}."] if owned.why_not else []
            remarks += [f"{owned.remark}."] if owned.remark else []
        selector = SELECTOR.format(run_id=self._context.run.run_id)
        keep, retention = self._jobs.executor.keep_failed, None
        if keep is not None:
            retention = StepRetention(client, sample.namespace, selector, keep, self._stored_attempts)
        return K8sJobRunner(report, client, jobs, sample.namespace, selector, remarks=remarks, retention=retention)

    def _stored_attempts(self) -> Sequence[AttemptRow]:
        """The run's attempts, read by a connection of its own: the driver's is used by the driver's thread."""
        with self._context.instance.sibling() as instance:
            found: Sequence[AttemptRow] = instance.journal.attempts(self._context.run.run_id)
            return found


def _limit(settings: ExecutorSettings) -> CreateLimit:
    return CreateLimit(float(settings.creates_per_second))
