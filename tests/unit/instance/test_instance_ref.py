"""InstanceConfig <-> InstanceRef: byte for byte as in the description."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from runplane.events.requests import InstanceRef
from runplane.events.wire import read_step_args
from runplane.instance.config import STORAGE_TRIO
from runplane.instance.load import from_yaml
from runplane.instance.ref import from_ref, to_ref

DESCRIPTION = Path(__file__).resolve().parents[2] / "fixtures" / "description"


@pytest.fixture
def described() -> InstanceRef:
    ref = read_step_args((DESCRIPTION / "text8.json").read_text()).instance
    assert ref is not None
    return ref


def test_the_descriptions_yaml_becomes_the_descriptions_document(described: InstanceRef) -> None:
    config = from_yaml((DESCRIPTION / "dagster.yaml").read_text(), Path("/opt/dagster/dagster_home"), {})

    ref = to_ref(config)

    for field in dataclasses.fields(ref):
        assert getattr(ref, field.name) == getattr(described, field.name), field.name


def test_a_document_is_written_back_as_it_came(described: InstanceRef) -> None:
    assert to_ref(from_ref(described)) == described


def test_the_older_storage_fields_are_used_only_where_the_newer_is_null(described: InstanceRef) -> None:
    older = dataclasses.replace(described, storage=None)

    config = from_ref(older)

    assert config.storage.class_name == "CompositeStorage"
    assert to_ref(config).storage == described.storage
    assert (
        from_ref(dataclasses.replace(described, run_storage=None)).storage.config_yaml == described.storage.config_yaml
    )  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "storage", "trio"),
    [
        ("", "DagsterSqliteStorage", ["SqliteRunStorage", "SqliteEventLogStorage", "SqliteScheduleStorage"]),
        (
            "storage: {postgres: {postgres_url: {env: U}}}",
            "DagsterPostgresStorage",
            ["PostgresRunStorage", "PostgresEventLogStorage", "PostgresScheduleStorage"],
        ),
        ("storage: {sqlite: {base_dir: {env: D}}}", "DagsterSqliteStorage", None),
        (
            "storage: {custom: {module: own, class: Store}}",
            "Store",
            ["LegacyRunStorage", "LegacyEventLogStorage", "LegacyScheduleStorage"],
        ),
    ],
)
def test_each_form_of_storage_fills_the_older_fields(text: str, storage: str, trio: list[str] | None) -> None:
    config = from_yaml(text, Path("/h"), {})
    ref = to_ref(config)

    assert ref.storage is not None
    assert ref.storage.class_name == storage
    found = [data.class_name for data in (ref.run_storage, ref.event_storage, ref.schedule_storage) if data]
    assert found == (trio or [])
    assert all((key in config.parts) == (trio is not None) for key in STORAGE_TRIO)


def test_environment_sources_travel_unresolved() -> None:
    config = from_yaml("storage: {postgres: {postgres_url: {env: CANARY_NAME}}}", Path("/h"), {"CANARY_NAME": "canary"})

    assert "canary" not in repr(to_ref(config)).replace("CANARY_NAME", "")
    assert to_ref(config).storage.config_yaml == "postgres_url:\n  env: CANARY_NAME\n"  # type: ignore[union-attr]


def test_empty_sections_are_left_out() -> None:
    assert to_ref(from_yaml("nux: {}\nrun_retries: {enabled: true}", Path("/h"), {})).settings == {
        "run_retries": {"enabled": True}
    }


def test_private_module_names_travel_under_the_public_ones() -> None:
    text = "run_coordinator: {module: dagster._core.run_coordinator, class: QueuedRunCoordinator}"

    ref = to_ref(from_yaml(text, Path("/h"), {}))

    assert ref.run_coordinator is not None
    assert ref.run_coordinator.module == "dagster.core.run_coordinator"


def test_a_worker_parses_only_the_parts_it_asks_for(described: InstanceRef) -> None:
    broken = dataclasses.replace(described.run_launcher, config_yaml="{")  # type: ignore[type-var]

    config = from_ref(dataclasses.replace(described, run_launcher=broken))

    assert config.storage.config["run_storage"]["class_name"] == "PostgresRunStorage"
