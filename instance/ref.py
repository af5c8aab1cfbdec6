"""InstanceConfig <-> InstanceRef: an instance that travels, written exactly as Dagster writes it.

Environment sources stay as they are. Reading parses no config text; that happens when a part is asked for.
"""

from __future__ import annotations

from typing import Any

from ..events.requests import ConfigurableClassData, InstanceRef
from .config import STORAGE_TRIO, InstanceConfig
from .defaults import composite_part
from .parts import Part

WHERE = "instance_ref"
_FIELD_OF = {
    "local_artifact_storage": "local_artifact_storage",
    "compute_logs": "compute_logs",
    "scheduler": "scheduler",
    "run_coordinator": "run_coordinator",
    "run_launcher": "run_launcher",
    "run_storage": "run_storage",
    "event_log_storage": "event_storage",
    "schedule_storage": "schedule_storage",
    "instance_class": "custom_instance_class",
    "storage": "storage",
    "secrets": "secrets_loader",
    "defs_state_storage": "defs_state_storage",
}
"""Key of dagster.yaml -> field of the InstanceRef."""


def to_ref(config: InstanceConfig) -> InstanceRef:
    """The instance as a document for another process. A part that the instance does not have is null there."""
    fields: dict[str, Any] = {
        field: config.parts[key].to_data() if key in config.parts else None for key, field in _FIELD_OF.items()
    }
    return InstanceRef(settings=dict(config.sections), **fields)


def from_ref(ref: InstanceRef) -> InstanceConfig:
    """The instance of a document. `storage` wins; the three older fields are used only where it is null."""
    parts: dict[str, Part] = {}
    for key, field in _FIELD_OF.items():
        data: ConfigurableClassData | None = getattr(ref, field)
        if data is not None:
            parts[key] = Part(key, data.module, data.class_name, data.config_yaml, f"{field}_data", WHERE)
    if "storage" not in parts and all(key in parts for key in STORAGE_TRIO):
        parts["storage"] = composite_part({key: parts[key] for key in STORAGE_TRIO}, WHERE)
    limits_runs = bool((ref.settings.get("concurrency") or {}).get("runs"))
    written = frozenset(parts) - (frozenset() if limits_runs else _left_at_default(parts))
    return InstanceConfig(
        where=WHERE,
        home=None,
        parts=parts,
        written=written,
        sections={key: value for key, value in ref.settings.items() if value},
    )


def _left_at_default(parts: dict[str, Part]) -> frozenset[str]:
    """A document does not tell a default from a choice; a queue without any setting is taken for the default."""
    coordinator = parts.get("run_coordinator")
    default = (
        coordinator is not None
        and coordinator.class_name == "QueuedRunCoordinator"
        and coordinator.config_yaml.strip() == "{}"
    )
    return frozenset({"run_coordinator"} if default else ())
