"""The executor called ``celery-k8s``: each step is a Kubernetes Job that a worker of its queue creates, and whose slot it holds.

The run's coordinator renders the Job and stores it; the worker submits what is stored. The broker carries a hint, the cluster is asked by
workers alone, and outcomes come by the run's log.
Source: https://docs.dagster.io/deployment/oss/deployment-options/kubernetes/kubernetes-and-celery
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..celery_app.settings import CelerySettings, celery_settings
from ..definitions.errors import DagsterUnmetExecutorRequirementsError
from ..events.event import NewEvent
from ..kube.celery_jobs import celery_step_job
from ..kube.shapes import CELERY_EXECUTOR
from ..storage.contract import AttemptRef
from ..storage.step_queues import QueuedStep, StepQueues
from .contract import RunnerSignal, StepOrder, engine_event
from .k8s_step_jobs import StepJobs
from .queue_runner import POD, QueueRunner, publisher_maker
from .settings import DriverSettings, ExecutorContext, driver_settings
from .step_jobs_executor import StepJobsExecutor

_CELERY = ("broker", "backend", "include", "config_source")


class Pods:
    """Steps that are pods. See ``StepKind``.

    Args:
        jobs: makes the Jobs.
        config: the executor's: how a worker reaches the cluster.
    """

    is_apart = True

    def __init__(self, jobs: StepJobs, config: Mapping[str, Any]) -> None:
        self._jobs = jobs
        self._access = {key: config.get(key) for key in ("load_incluster_config", "kubeconfig_file")}

    def body(self, order: StepOrder, epoch: int) -> Mapping[str, Any]:
        """See ``StepKind``."""
        job = self._jobs.render(order)
        return {
            "kind": POD,
            "namespace": job.namespace,
            "manifest": job.manifest,
            "access": self._access,
            "start_timeout_s": self._jobs.start_timeout_s(order.step),
            "wait_timeout_s": self._jobs.executor.wait_timeout_s,
        }

    def launching(self, ref: AttemptRef) -> Sequence[NewEvent]:
        """See ``StepKind``."""
        text = (
            f'Putting step "{ref.step}" into its queue, for a worker to create Kubernetes job {self._jobs.name(ref)}.'
        )
        return [engine_event(text, ref=ref)]

    def taken(self, ref: AttemptRef, by: QueuedStep) -> Sequence[NewEvent]:
        """See ``StepKind``."""
        worker = {
            "Celery worker name": by.watcher or "",
            "Celery worker Kubernetes Pod name": by.owner.host if by.owner else "",
        }
        name = self._jobs.name(ref)
        return [
            engine_event(f"Task for step {ref.step} picked up by Celery", worker, ref),
            engine_event(f'Executing step "{ref.step}" in Kubernetes job {name}.', {"Kubernetes Job name": name}, ref),
        ]

    def name(self, ref: AttemptRef) -> str:
        """See ``StepKind``."""
        return f"Kubernetes job {self._jobs.name(ref)}"


class CeleryK8sJobExecutor(StepJobsExecutor):
    """Made by ``from_config``."""

    def __init__(
        self, settings: DriverSettings, context: ExecutorContext, celery: CelerySettings, config: Mapping[str, Any]
    ) -> None:
        super().__init__(settings, context, config, shape=CELERY_EXECUTOR, make=celery_step_job)
        self._config = config
        self._make_publisher = publisher_maker(celery, where="celery_k8s_job_executor")

    @classmethod
    def from_config(cls, config: Mapping[str, Any], context: ExecutorContext) -> CeleryK8sJobExecutor:
        """Made from validated config; every key of ``celery_k8s_job_executor``. Broker and settings of the instance's
        CeleryK8sRunLauncher are over the executor's; a run whose launcher or executor disables retries has none.

        Raises:
            ConfigErrors: the broker, what is set for Celery, or anything that the Jobs are made of, is not right; a database that pods can
                not reach.
            DagsterUnmetExecutorRequirementsError: the launcher is another one, and the executor does not say itself where the broker
                is and which image steps have.
            NotFoundError: kombu is not installed.
        """
        theirs: Mapping[str, Any] | None = getattr(context.instance.launcher, "celery", None)
        if theirs is None and not (config.get("broker") and config.get("job_image")):
            missing = " and ".join(key for key in ("broker", "job_image") if not config.get(key))
            raise DagsterUnmetExecutorRequirementsError(
                "celery_k8s_job_executor takes broker and image from a CeleryK8sRunLauncher",
                where=f"executor of job {context.run.job_name}",
                got=f"the launcher {type(context.instance.launcher).__name__}, and no {missing} in the executor's config",
                hint="Use a CeleryK8sRunLauncher, or give the executor both.",
            )
        both = {key: (theirs or {}).get(key) or config.get(key) for key in _CELERY}
        celery = celery_settings(both, context.instance.env, where="config of celery_k8s_job_executor")
        no_retries = "disabled" in ((theirs or {}).get("retries") or {})
        own = {**config, "retries": {"disabled": {}}} if no_retries else config
        return cls(driver_settings(own, max_concurrent=None), context, celery, config)

    def make_runner(self, report: Callable[[RunnerSignal], None]) -> QueueRunner:
        """See ``Executor``."""
        instance = self._context.instance
        queues = StepQueues(instance.database, ttl_s=instance.lease_ttl_s)
        publisher = self._make_publisher(queues, instance.instance_id, report)
        kind = Pods(self._jobs, self._config)
        remarks = [engine_event(warning) for warning in self.sample().warnings]
        return QueueRunner(report, self._context, queues, publisher, kind, remarks=remarks, ttl_s=instance.lease_ttl_s)
