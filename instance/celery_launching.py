"""The launcher whose runs are tasks, built for an instance. Loaded where it is needed only."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from ..celery_app.settings import celery_settings, checked_queue
from ..config.schema import resolve
from ..launchers.celery import CeleryRunLauncher
from ..storage.step_queues import StepQueues
from .parts import Part


class CeleryLaunching:
    """What the launcher sees of its instance, and how it is built. See ``TaskHouse``.

    Args:
        instance: an ``Instance``.
    """

    def __init__(self, instance: Any) -> None:
        self._instance = instance

    @classmethod
    def launcher(cls, part: Part, instance: Any) -> CeleryRunLauncher:
        """The launcher of `part`.

        Raises:
            ConfigErrors: its configuration is not right.
        """
        assert part.known is not None
        config = resolve(part.known.schema, part.config, instance.env, where=part.where, path=part.path)
        where = f"{part.where}: {part.path}"
        return CeleryRunLauncher(
            celery_settings(config, instance.env, where=where),
            cls(instance),
            default_queue=checked_queue(config["default_queue"], where=f"{where}.default_queue"),
            ttl_s=instance.lease_ttl_s,
        )

    @cached_property
    def instance_id(self) -> str:
        """See ``TaskHouse``."""
        found: str = self._instance.instance_id
        return found

    @cached_property
    def queues(self) -> StepQueues:
        """See ``TaskHouse``."""
        return StepQueues(self._instance.database, ttl_s=self._instance.lease_ttl_s)

    def note(self, run_id: str, message: str, metadata: Mapping[str, Any]) -> None:
        """See ``TaskHouse``."""
        data = SimpleNamespace(metadata=metadata, error=None)
        self._instance.report_engine_event(message, run_id=run_id, engine_event_data=data, cls=CeleryRunLauncher)

    def add_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """See ``TaskHouse``."""
        self._instance.runs.put_tags(run_id, tags)
