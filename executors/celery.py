"""The executor whose steps run in workers: each waits in the queue that its op's tags name, until a worker takes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..celery_app.settings import CelerySettings, celery_settings
from ..errors import RunplaneError
from ..storage.step_queues import StepQueues
from .contract import RunnerSignal
from .queue_runner import Processes, QueueRunner, publisher_maker
from .settings import DriverSettings, ExecutorContext, driver_settings


class CeleryExecutor:
    """Made by ``from_config``."""

    def __init__(self, settings: DriverSettings, context: ExecutorContext, celery: CelerySettings) -> None:
        self.settings = settings
        self._context = context
        self._make_publisher = publisher_maker(celery, where="celery_executor")

    @classmethod
    def from_config(cls, config: Mapping[str, Any], context: ExecutorContext) -> CeleryExecutor:
        """Made from validated config.

        Raises:
            ConfigErrors: the broker, or what is set for Celery, is not right. NotFoundError: kombu is not installed.
            RunplaneError: the run has no instance or origin, so that no worker can find it.
        """
        if context.instance is None or context.run.origin is None:
            raise RunplaneError(
                "a step runs in a worker, which finds the run in the instance's database and the code by the run's origin",
                where=f"run {context.run.run_id}",
                hint="Launch the job through an instance, or use another executor.",
            )
        celery = celery_settings(config, context.instance.env, where="config of celery_executor")
        return cls(driver_settings(config, max_concurrent=None), context, celery)

    def prepare(self) -> None:
        """Nothing is imported here: the processes that workers start import the code."""

    def make_runner(self, report: Callable[[RunnerSignal], None]) -> QueueRunner:
        """See ``Executor``."""
        instance = self._context.instance
        queues = StepQueues(instance.database, ttl_s=instance.lease_ttl_s)
        publisher = self._make_publisher(queues, instance.instance_id, report)
        return QueueRunner(report, self._context, queues, publisher, Processes(), ttl_s=instance.lease_ttl_s)
