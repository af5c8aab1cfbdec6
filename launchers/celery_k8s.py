"""Each run is a Kubernetes Job, and the Jobs of its steps are made by workers of Celery's queues.

The run's Job is what differs from ``K8sRunLauncher``: which layers it is made of. What the run config says to the executor is over the
launcher; of the code location it takes the image. The broker stands here, for all runs: a run's executor and the workers read it.
Source: https://docs.dagster.io/deployment/oss/deployment-options/kubernetes/kubernetes-and-celery
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..kube.access import ClusterAccess
from ..kube.celery_jobs import celery_run_job, run_executor_settings
from ..kube.create_limit import OF_PROCESS, CreateLimit
from ..kube.job_facts import RenderedJob, facts_of
from ..kube.settings import LauncherSettings
from .contract import LaunchRequest
from .k8s import K8sRunLauncher, LaunchingInstance


class CeleryK8sRunLauncher(K8sRunLauncher):
    """See the module.

    Args:
        settings, find_access, instance, limit: as of ``K8sRunLauncher``.
        celery: ``broker``, ``backend``, ``include``, ``config_source`` and ``retries``, checked and resolved.
    """

    def __init__(
        self,
        settings: LauncherSettings,
        find_access: Callable[[], ClusterAccess],
        instance: LaunchingInstance,
        *,
        celery: Mapping[str, Any],
        limit: CreateLimit = OF_PROCESS,
    ) -> None:
        super().__init__(settings, find_access, instance, limit=limit)
        self.celery = celery

    def rendered(self, request: LaunchRequest, document: str, *, resumes: bool) -> RenderedJob:
        """See ``K8sRunLauncher.rendered``. Raises ConfigErrors also for an ``execution`` of the run config that is another executor's."""
        around = self.instance.surroundings
        facts = facts_of(request.run)
        executor = run_executor_settings(request.run.run_config, around.env)
        if executor.image and facts.image:
            text = f"job_image {executor.image} of the executor's run config is used, not the code location's {facts.image}."
            self.instance.note(request.run.run_id, text)
        return celery_run_job(
            self.settings,
            executor,
            facts,
            document,
            around,
            resume_attempt=request.resume_attempt,
            resumes=resumes,
        )
