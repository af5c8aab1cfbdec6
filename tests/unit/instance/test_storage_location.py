"""Where runs and events are kept, from each of Dagster's forms; several databases are an error that names them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runplane.errors import ConfigErrors, RunplaneError, UnsupportedError
from runplane.events.wire import read_step_args
from runplane.instance.load import from_yaml
from runplane.instance.ref import from_ref, to_ref
from runplane.instance.storage_location import (
    CustomStorage,
    PostgresLocation,
    SqliteLocation,
    StorageLocation,
    artifact_folder,
    storage_location,
)

DESCRIPTION = Path(__file__).resolve().parents[2] / "fixtures" / "description"
HOME = Path("/home/of/it")


def locate(text: str, env: dict[str, str] | None = None) -> StorageLocation:
    return storage_location(from_yaml(text, HOME, {}), env or {})


def trio(run: str, event: str, schedule: str) -> str:
    return f"""
        run_storage: {{module: dagster.core.storage.runs, class: SqliteRunStorage, config: {{base_dir: {run}}}}}
        event_log_storage: {{module: dagster.core.storage.event_log, class: SqliteEventLogStorage, config: {{base_dir: {event}}}}}
        schedule_storage: {{module: dagster.core.storage.schedules, class: SqliteScheduleStorage, config: {{base_dir: {schedule}}}}}
    """


def test_the_default_is_one_file_in_the_home() -> None:
    assert locate("") == SqliteLocation(HOME / "runplane.db")


def test_sqlite_under_another_folder() -> None:
    assert locate("storage: {sqlite: {base_dir: {env: D}}}", {"D": "/d"}) == SqliteLocation(Path("/d/runplane.db"))


@pytest.mark.parametrize("folders", [("/d/history/", "/d/history/runs/", "/d/schedules"), ("/d", "/d", "/d")])
def test_dagsters_three_sqlite_folders_are_one_file(folders: tuple[str, str, str]) -> None:
    assert locate(trio(*folders)) == SqliteLocation(Path("/d/runplane.db"))


def test_the_default_survives_the_way_through_a_document() -> None:
    assert storage_location(from_ref(to_ref(from_yaml("", HOME, {}))), {}) == SqliteLocation(HOME / "runplane.db")


def test_the_descriptions_document_names_one_postgres() -> None:
    ref = read_step_args((DESCRIPTION / "text8.json").read_text()).instance
    assert ref is not None

    location = storage_location(from_ref(ref), {"DAGSTER_PG_PASSWORD": "p/w"})

    assert isinstance(location, PostgresLocation)
    assert location.url() == "postgresql://postgres:p%2Fw@postgresql.postgresql:5432/dagster"
    assert "p/w" not in repr(location) + str(location)


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30),
    st.text("aé:/@#?% ", min_size=1, max_size=9),
)
def test_every_password_and_user_is_escaped(password: str, user: str) -> None:
    location = PostgresLocation("h", 5432, user, password, "d")

    parts = urlsplit(location.url())

    assert (parts.hostname, parts.port, parts.path) == ("h", 5432, "/d")
    assert unquote(parts.username or "") == user
    assert unquote(parts.password or "") == password


def test_a_connection_url_is_read_back() -> None:
    text = "storage: {postgres: {postgres_url: 'postgresql+psycopg2://u%40x:p%2F@h:15/d%20b?sslmode=require'}}"

    location = locate(text)

    assert location == PostgresLocation(
        "h", 15, "u@x", "p/", "d b", {"sslmode": "require"}, scheme="postgresql+psycopg2"
    )
    assert isinstance(location, PostgresLocation)
    assert location.url() == "postgresql://u%40x:p%2F@h:15/d%20b?sslmode=require"


def test_our_own_settings_of_postgres() -> None:
    text = """
        storage:
          postgres:
            postgres_db: {username: u, hostname: "::1", db_name: d, port: {env: P}, params: {connect_timeout: 3, keepalives: true}}
            should_autocreate_tables: false
            runplane: {pool_size: 2, max_overflow: 0, direct_url: {env: DIRECT}, schema: other}
    """

    location = locate(text, {"P": "15", "DIRECT": "postgresql://direct/d"})

    assert isinstance(location, PostgresLocation)
    assert location.url() == "postgresql://u@[::1]:15/d?connect_timeout=3&keepalives=true"
    assert (location.pool_size, location.max_overflow, location.schema, location.autocreate) == (2, 0, "other", False)
    assert location.direct_url == "postgresql://direct/d"


@pytest.mark.parametrize("url", ["mysql://canary@h/d", "canary", "postgresql://h:canary/d", "postgresql://canary@h"])
def test_a_url_that_is_none_is_refused_unseen(url: str) -> None:
    with pytest.raises(RunplaneError, match="not a connection URL") as caught:
        locate("storage: {postgres: {postgres_url: {env: U}}}", {"U": url})

    assert "canary" not in str(caught.value)


def test_several_databases_are_named_when_the_file_is_read() -> None:
    with pytest.raises(
        ConfigErrors, match=r"several databases: run_storage: SQLite, /a/runplane.db; event_log_storage: SQLite, /b/"
    ):
        from_yaml(trio("/a", "/b", "/a"), HOME, {})


def test_several_databases_behind_the_environment_are_named_when_it_is_known() -> None:
    def part(name: str, cls: str, host: str) -> str:
        db = f"{{username: u, password: canary, hostname: {host}, db_name: d}}"
        return f"{name}: {{module: dagster_postgres, class: {cls}, config: {{postgres_db: {db}}}}}\n"

    text = part("run_storage", "PostgresRunStorage", "{env: A}")
    text += part("event_log_storage", "PostgresEventLogStorage", "{env: B}")
    text += part("schedule_storage", "PostgresScheduleStorage", "h")

    assert isinstance(locate(text, {"A": "h", "B": "h"}), PostgresLocation)
    with pytest.raises(ConfigErrors, match=r"several databases: .* database d at other:5432") as caught:
        locate(text, {"A": "h", "B": "other"})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("storage: {mysql: {mysql_url: mysql://h/d}}", "DagsterMySQLStorage is known .* Use storage: {sqlite"),
        (
            "storage: {postgres: {postgres_url: postgresql://h/d, auth_provider: {gcp_wif: {}}}}",
            "auth_provider gcp_wif is known",
        ),
    ],
)
def test_what_is_not_built_yet_loads_and_is_refused_by_name(text: str, words: str) -> None:
    config = from_yaml(text, HOME, {})

    with pytest.raises(UnsupportedError, match=words):
        storage_location(config, {})


def test_a_third_partys_storage_is_handed_on() -> None:
    config = from_yaml("storage: {custom: {module: own, class: Store, config: {a: 1}}}", HOME, {})

    for location in (storage_location(config, {}), storage_location(from_ref(to_ref(config)), {})):
        assert isinstance(location, CustomStorage)
        assert (location.part.module, location.part.class_name, location.part.config) == ("own", "Store", {"a": 1})


def test_the_folder_of_artifacts() -> None:
    text = "local_artifact_storage: {module: dagster.core.storage.root, class: LocalArtifactStorage, config: {base_dir: {env: D}}}"

    assert artifact_folder(from_yaml("", HOME, {}), {}) == HOME
    assert artifact_folder(from_yaml(text, HOME, {}), {"D": "/d"}) == Path("/d")
