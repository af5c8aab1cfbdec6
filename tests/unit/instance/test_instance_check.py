"""`instance check`: whole, at once, in the promised form, without a secret."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path

import pytest

from runplane.config.schema import HIDDEN
from runplane.errors import ConfigErrors
from runplane.instance.check import CheckReport, check_config, check_text, instance_info, validate_whole
from runplane.instance.known_classes import known_classes
from runplane.instance.load import from_yaml
from runplane.instance.ref import from_ref, to_ref

DESCRIPTION = Path(__file__).resolve().parents[2] / "fixtures" / "description"
HOME = Path("/h")


def check(text: str, env: dict[str, str] | None = None, *, allow_missing_env: bool = False) -> CheckReport:
    return check_text(text, HOME, env or {}, where="dagster.yaml", allow_missing_env=allow_missing_env)


def test_the_form_of_the_document() -> None:
    document = check("run_queue: {max_concurent_runs: 3}").to_json()

    assert document == {
        "ok": False,
        "errors": [
            {
                "path": "run_queue.max_concurent_runs",
                "message": "unknown key",
                "got": None,
                "expected": document["errors"][0]["expected"],
                "suggestion": "max_concurrent_runs",
            }
        ],
        "warnings": [],
        "resolved": {},
    }


def test_the_description_is_right_and_its_secrets_stay_hidden() -> None:
    report = check((DESCRIPTION / "dagster.yaml").read_text(), {"DAGSTER_PG_PASSWORD": "canary"})
    text = json.dumps(report.to_json())

    assert report.errors == []
    assert "canary" not in text
    assert "root123!" not in text
    assert report.resolved["run_storage"]["config"]["postgres_db"]["password"] == {"env": "DAGSTER_PG_PASSWORD"}
    assert report.resolved["compute_logs"]["config"]["secret_access_key"] == HIDDEN
    assert report.resolved["compute_logs"]["config"]["timeout"] == "60s"
    assert set(report.resolved) == {
        *("local_artifact_storage", "compute_logs", "scheduler", "run_coordinator", "run_launcher"),
        *("run_storage", "event_log_storage", "schedule_storage"),
    }


def test_what_comes_later_is_one_warning_each() -> None:
    report = check((DESCRIPTION / "dagster.yaml").read_text(), allow_missing_env=True)

    assert [w.path for w in report.warnings if "later" in w.message or "yet" in w.message] == [
        *("scheduler", "sensors", "schedules"),
    ]


def test_a_setting_that_waits_is_one_warning() -> None:
    text = """
storage:
  postgres: {postgres_db: {username: u, password: {env: P}, hostname: h, db_name: d}, runplane: {pool_size: 3, max_overflow: 0}}
concurrency:
  pools: {granularity: run, op_granularity_run_buffer: 2, default_limit: 4}
"""

    warnings = check(text, allow_missing_env=True).warnings

    assert [w.path for w in warnings] == [
        "concurrency.pools.granularity",
        "concurrency.pools.op_granularity_run_buffer",
        "storage.postgres.runplane.pool_size",
        "storage.postgres.runplane.max_overflow",
    ]
    assert all("no effect" in w.message for w in warnings)
    assert check("concurrency: {pools: {granularity: op, default_limit: 1}}").warnings == []


def test_a_setting_of_the_queue_that_means_nothing_here_is_one_warning() -> None:
    queue = "{max_user_code_failure_retries: 2, user_code_failure_retry_delay: 5, dequeue_use_threads: false}"

    warnings = check(f"run_queue: {queue}").warnings

    assert [w.path for w in warnings] == [
        "run_queue.max_user_code_failure_retries",
        "run_queue.user_code_failure_retry_delay",
        "run_queue.dequeue_use_threads",
    ]
    assert (
        check("run_queue: {max_concurrent_runs: 3, dequeue_use_threads: true, dequeue_num_workers: 4}").warnings == []
    )


def test_limits_of_runs_without_a_queue_are_a_warning() -> None:
    text = """
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
concurrency: {runs: {max_concurrent_runs: 2}}
"""

    (warning,) = check(text).warnings

    assert warning.path == "concurrency.runs.max_concurrent_runs"
    assert check("concurrency: {runs: {max_concurrent_runs: 2}}").warnings == []


def test_watching_over_runs_works_but_for_one_key() -> None:
    assert check("run_monitoring: {enabled: true, start_timeout_seconds: 1}").warnings == []
    assert check("run_retries: {enabled: true, max_retries: 2}").warnings == []

    (warning,) = check("run_monitoring: {enabled: true, cancellation_thread_poll_interval_seconds: 1}").warnings

    assert warning.path == "run_monitoring.cancellation_thread_poll_interval_seconds"


def test_a_section_that_is_off_is_no_warning() -> None:
    text = "run_monitoring: {start_timeout_seconds: 1}\nrun_retries: {enabled: false}\nfreshness: {enabled: false}\nnux: {enabled: true}"

    assert check(text).warnings == []


def test_literal_secrets_are_named_or_refused() -> None:
    text = (DESCRIPTION / "dagster.yaml").read_text()
    paths = ["compute_logs.config.access_key_id", "compute_logs.config.secret_access_key"]

    warned = check(text, allow_missing_env=True)
    refused = check(text + "secrets: refuse\n", allow_missing_env=True)

    assert [w.path for w in warned.warnings if "literal" in w.message] == paths
    assert [e.path for e in refused.errors] == paths


def test_unset_variables_are_errors_unless_they_may_be_missing() -> None:
    text = (DESCRIPTION / "dagster.yaml").read_text() + "retention: {sensor: {purge_after_days: {env: DAYS}}}\n"

    paths = {e.path for e in check(text).errors}

    assert paths == {
        *(f"{name}.config.postgres_db.password" for name in ("run_storage", "event_log_storage", "schedule_storage")),
        "retention.sensor.purge_after_days",
    }
    assert check(text, allow_missing_env=True).ok


def test_what_the_environment_says_is_checked_and_not_shown() -> None:
    report = check("run_retries: {max_retries: {env: MOST}}", {"MOST": "canary"})

    assert [(e.path, e.got) for e in report.errors] == [("run_retries.max_retries", "text")]
    assert "canary" not in json.dumps(report.to_json())


def test_what_can_be_checked_in_spite_of_an_error_is_checked() -> None:
    report = check(
        "foo: 1\n"
        "run_launcher: {module: nosuch, class: X}\n"
        "storage: {sqlite: {base_dir: {env: NOT_SET}}}\n"
        "run_monitoring: {max_resume_run_attempts: x}\n"
    )

    assert {e.path for e in report.errors} == {
        *("foo", "run_launcher", "storage.sqlite.base_dir", "run_monitoring.max_resume_run_attempts")
    }


def test_what_to_do_next_is_a_sentence_of_its_own() -> None:
    (problem,) = check("run_launcher: {module: nosuch, class: X}").errors

    assert "is to be found. Is its package installed" in str(problem)


def test_an_instance_class_that_is_not_there_hides_nothing_and_blames_no_key_that_may_be_its_own() -> None:
    report = check("instance_class: {module: nosuch, class: X}\nmaybe_its: 1\nrun_retries: {max_retries: x}\n")

    assert {e.path for e in report.errors} == {"instance_class", "run_retries.max_retries"}


def test_a_folder_that_depends_on_the_working_directory_is_a_warning() -> None:
    report = check(
        "storage: {sqlite: {base_dir: rel}}\ncompute_logs: "
        "{module: dagster.core.storage.local_compute_log_manager, class: LocalComputeLogManager, config: {base_dir: /abs}}"
    )

    assert report.ok
    assert [(w.path, w.got) for w in report.warnings] == [("storage.sqlite.base_dir", "'rel'")]


def test_third_parties_are_imported_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checked_plugin.py").write_text(
        "class Own:\n    launch = terminate = print\n    @classmethod\n    def config_type(cls): return {'a': int}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    report = check(
        "run_launcher: {module: checked_plugin, class: Own, config: {a: x}}\ncompute_logs: {module: not_there, class: Own}"
    )

    assert {e.path for e in report.errors} == {"run_launcher.config.a", "compute_logs"}


@pytest.mark.parametrize(
    ("part", "missing"),
    [
        ("compute_logs", "no open() and no read() and no finish()"),
        ("run_coordinator", "no submit()"),
        ("run_launcher", "no launch() and no terminate()"),
    ],
)
def test_a_class_that_is_not_of_its_place_is_named(part: str, missing: str) -> None:
    (error,) = check(f"{part}: {{module: json, class: JSONDecoder}}").errors

    assert error.path == part
    assert error.message == f"its class has {missing}"
    assert error.got == "json:JSONDecoder"


def test_text_that_is_not_yaml_has_its_place() -> None:
    (error,) = check("a: b: c").errors

    assert error.path == "line 1, column 5"


def test_a_document_is_checked_like_a_file() -> None:
    config = from_ref(to_ref(from_yaml((DESCRIPTION / "dagster.yaml").read_text(), HOME, {})))

    assert check_config(config, {"DAGSTER_PG_PASSWORD": "x"}).errors == []
    assert next(e.path for e in check_config(config, {}).errors) == "storage_data.run_storage.postgres_db.password"
    with pytest.raises(ConfigErrors, match="DAGSTER_PG_PASSWORD is not set"):
        validate_whole(config, {})


def test_pods_and_sqlite_do_not_go_together() -> None:
    (warning,) = check((DESCRIPTION / "text2.yaml").read_text()).warnings

    assert warning.message == "SQLite can not be shared by pods"


def test_a_storage_that_comes_later_is_a_warning() -> None:
    mysql = check("storage: {mysql: {mysql_url: {env: U}}}", {"U": "mysql://h/d"})
    signed_in = check("storage: {postgres: {postgres_url: postgresql://h/d, auth_provider: {gcp_wif: {}}}}")

    assert (mysql.ok, [w.path for w in mysql.warnings]) == (True, ["storage"])
    assert (signed_in.ok, ["auth_provider" in w.message for w in signed_in.warnings]) == (True, [True])


def test_info_tells_where_everything_is() -> None:
    info = instance_info(from_yaml("", HOME, {}), {})

    assert info == {
        "configuration": "dagster.yaml",
        "home": "/h",
        "runs and events": "SQLite, /h/runplane.db",
        "artifacts": "/h",
        "compute logs": "/h/storage",
        "run launcher": "dagster:DefaultRunLauncher",
        "run coordinator": "none chosen: runs are launched at once",
    }


def test_info_says_what_can_not_be_told() -> None:
    info = instance_info(from_yaml((DESCRIPTION / "dagster.yaml").read_text(), HOME, {}), {})

    assert "DAGSTER_PG_PASSWORD is not set" in info["runs and events"]


def test_every_class_of_the_list_is_built_or_says_what_to_use() -> None:
    for (module, name), known in known_classes().items():
        assert known.status in ("now", "later"), (module, name)
        assert (known.ours is None) == (known.status == "later"), (module, name)
        assert (known.instead is None) == (known.status == "now"), (module, name)


@pytest.mark.parametrize("target", sorted({known.ours for known in known_classes().values() if known.ours}))
def test_what_stands_for_a_class_of_dagsters_is_there(target: str) -> None:
    """Read, not imported: some need an extra that is not installed everywhere."""
    module, _, name = target.partition(":")
    found = importlib.util.find_spec(module)

    assert found is not None
    assert found.origin is not None
    body = ast.parse(Path(found.origin).read_text(encoding="utf-8")).body
    assert name in {node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
