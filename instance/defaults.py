"""The parts that stand where dagster.yaml says nothing, and the storages that stand for one key of it. Dagster's own choices."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..config.pointer import private_module
from .parts import Part

_SQLITE_TRIO = {
    "run_storage": ("dagster.core.storage.runs", "SqliteRunStorage"),
    "event_log_storage": ("dagster.core.storage.event_log", "SqliteEventLogStorage"),
    "schedule_storage": ("dagster.core.storage.schedules", "SqliteScheduleStorage"),
}
_POSTGRES = ("DagsterPostgresStorage", "PostgresRunStorage", "PostgresEventLogStorage", "PostgresScheduleStorage")
_MYSQL = ("DagsterMySQLStorage", "MySQLRunStorage", "MySQLEventLogStorage", "MySQLScheduleStorage")
_LEGACY = {
    "run_storage": "LegacyRunStorage",
    "event_log_storage": "LegacyEventLogStorage",
    "schedule_storage": "LegacyScheduleStorage",
}
LEGACY_MODULE = "dagster.core.storage.legacy_storage"


def sqlite_folders(base_dir: str) -> dict[str, str]:
    """Dagster's folders of the three SQLite storages under one folder."""
    return {
        "run_storage": os.path.join(base_dir, "history", ""),
        "event_log_storage": os.path.join(base_dir, "history", "runs", ""),
        "schedule_storage": os.path.join(base_dir, "schedules"),
    }


def default_parts(base_dir: str, where: str) -> dict[str, Part]:
    """Every part of an empty dagster.yaml in the folder `base_dir`."""

    def part(name: str, module: str, class_name: str, config: Mapping[str, Any]) -> Part:
        return Part(name, module, class_name, config, f"{name}.config", where)

    return {
        "local_artifact_storage": part(
            "local_artifact_storage", "dagster.core.storage.root", "LocalArtifactStorage", {"base_dir": base_dir}
        ),
        "compute_logs": part(
            "compute_logs",
            "dagster.core.storage.local_compute_log_manager",
            "LocalComputeLogManager",
            {"base_dir": os.path.join(base_dir, "storage")},
        ),
        "scheduler": part("scheduler", "dagster.core.scheduler", "DagsterDaemonScheduler", {}),
        "run_coordinator": part("run_coordinator", "dagster.core.run_coordinator", "QueuedRunCoordinator", {}),
        "run_launcher": part("run_launcher", "dagster", "DefaultRunLauncher", {}),
        **sqlite_parts({"base_dir": base_dir}, "storage", where),
    }


def sqlite_parts(config: Mapping[str, Any], path: str, where: str) -> dict[str, Part]:
    """`storage: {sqlite: ...}`: the storage, and the three older ones unless `base_dir` is an environment source."""
    parts = {
        "storage": Part("storage", "dagster.core.storage.sqlite_storage", "DagsterSqliteStorage", config, path, where)
    }
    if isinstance(config.get("base_dir"), str):
        for name, folder in sqlite_folders(config["base_dir"]).items():
            module, class_name = _SQLITE_TRIO[name]
            parts[name] = Part(name, module, class_name, {"base_dir": folder}, path, where)
    return parts


def server_parts(kind: str, config: Mapping[str, Any], path: str, where: str) -> dict[str, Part]:
    """`storage: {postgres: ...}` or `{mysql: ...}`: one config for all four."""
    classes = _POSTGRES if kind == "postgres" else _MYSQL
    names = ("storage", "run_storage", "event_log_storage", "schedule_storage")
    return {
        name: Part(name, f"dagster_{kind}", class_name, config, path, where)
        for name, class_name in zip(names, classes, strict=True)
    }


def custom_parts(storage: Part) -> dict[str, Part]:
    """`storage: {custom: ...}`: the given class, wrapped for readers of the three older fields."""
    wrapped = {
        "module_name": private_module(storage.module),
        "class_name": storage.class_name,
        "config_yaml": storage.config_yaml,
    }
    trio = {n: Part(n, LEGACY_MODULE, c, wrapped, storage.path, storage.where) for n, c in _LEGACY.items()}
    return {"storage": storage, **trio}


def composite_part(trio: Mapping[str, Part], where: str) -> Part:
    """Three storages as one: inside, Dagster keeps the private names of its modules."""
    nested = {
        name: {
            "module_name": private_module(part.module),
            "class_name": part.class_name,
            "config_yaml": part.config_yaml,
        }
        for name, part in trio.items()
    }
    return Part("storage", LEGACY_MODULE, "CompositeStorage", nested, "storage", where)
