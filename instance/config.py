"""A whole instance as configuration: which class stands for each part, and the plain sections. Nothing is built here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from ..serdes.record import record
from .parts import Part
from .settings import Settings

STORAGE_TRIO = ("run_storage", "event_log_storage", "schedule_storage")
"""The older form of `storage`: three keys."""


@record
class InstanceConfig:
    """What a dagster.yaml or an InstanceRef says, defaults of the parts included.

    Attributes:
        where: the document, for messages: a path, or "instance_ref".
        home: the folder the instance lives in; None for an InstanceRef.
        parts: by the key of dagster.yaml. `storage` is always there and wins over the three older keys; `secrets`,
            `defs_state_storage` and `instance_class` only if named.
        written: the names of the parts that the document itself names; the others are defaults.
        sections: the plain sections as written; one that is absent or empty is left out.
        refuse_literal_secrets: `secrets: refuse`: a literal in the place of a secret is an error, not a warning.
    """

    where: str
    home: Path | None
    parts: Mapping[str, Part]
    written: frozenset[str] = frozenset()
    sections: Mapping[str, Any] = field(default_factory=dict)
    refuse_literal_secrets: bool = False

    @property
    def run_launcher(self) -> Part:
        """Where a run's process lives. Raises KeyError for an InstanceRef without one (the other parts as well)."""
        return self.parts["run_launcher"]

    @property
    def run_coordinator(self) -> Part:
        """When a run is launched. Not in `written`: nothing was chosen, so runs are launched at once."""
        return self.parts["run_coordinator"]

    @property
    def storage(self) -> Part:
        """Where runs and events are remembered."""
        return self.parts["storage"]

    @property
    def compute_logs(self) -> Part:
        """Where a step's stdout and stderr are kept."""
        return self.parts["compute_logs"]

    @property
    def local_artifact_storage(self) -> Part:
        """The folder for outputs on this machine."""
        return self.parts["local_artifact_storage"]

    @property
    def scheduler(self) -> Part:
        """What evaluates schedules."""
        return self.parts["scheduler"]

    @property
    def instance_class(self) -> Part | None:
        """The class that replaces our Instance; its config are the constructor's further arguments."""
        return self.parts.get("instance_class")

    def settings(self, env: Mapping[str, str]) -> Settings:
        """The plain sections with types, resolved with `env` as they are asked for."""
        coordinator = self.parts.get("run_coordinator")
        queued = coordinator is not None and coordinator.class_name == "QueuedRunCoordinator"
        return Settings(self.sections, coordinator.config if coordinator and queued else {}, env, self.where)
