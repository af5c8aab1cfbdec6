"""dagster.yaml -> InstanceConfig: what loads, and every problem of what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from runplane.errors import ConfigErrors, NotFoundError, RunplaneError
from runplane.errors.exit_codes import ExitCode
from runplane.events.wire import read_step_args
from runplane.instance.config import InstanceConfig
from runplane.instance.home import NoInstanceError
from runplane.instance.load import from_home, from_yaml, load_instance_config
from runplane.instance.settings import Pools, Purge, PythonLogs, TagLimit

DESCRIPTION = Path(__file__).resolve().parents[2] / "fixtures" / "description"
HOME = Path("/home/of/it")


def load(text: str, env: dict[str, str] | None = None) -> InstanceConfig:
    return from_yaml(text, HOME, env or {})


def errors(text: str, env: dict[str, str] | None = None) -> dict[str, str]:
    """Path -> problem."""
    with pytest.raises(ConfigErrors) as caught:
        load(text, env)
    return {problem.path: str(problem) for problem in caught.value.problems}


def test_the_descriptions_launcher_loads() -> None:
    config = load((DESCRIPTION / "text2.yaml").read_text())

    assert config.run_launcher.class_name == "K8sRunLauncher"
    assert config.written == {"run_launcher"}


def test_the_descriptions_instance_loads() -> None:
    config = load((DESCRIPTION / "dagster.yaml").read_text())
    settings = config.settings({})

    assert settings.run_monitoring.max_resume_run_attempts == 0
    assert settings.run_monitoring.free_slots_after_run_end_seconds is None
    assert settings.run_retries.max_retries == 2
    assert (settings.run_queue.max_concurrent_runs, settings.run_queue.dequeue_num_workers) == (-1, 4)
    assert (settings.sensors.use_threads, settings.sensors.num_workers) == (True, 4)


@pytest.mark.parametrize("text", ["", "---\n", "null", "{}", "# nothing"])
def test_an_empty_document_is_all_defaults(text: str) -> None:
    config = load(text)

    assert config.written == frozenset()
    assert config.compute_logs.config == {"base_dir": "/home/of/it/storage"}
    assert config.run_launcher.pointer.class_name == "DefaultRunLauncher"
    assert config.settings({}).run_queue.max_concurrent_runs == 10


def test_all_problems_are_reported_at_once_with_paths_and_nearest_names() -> None:
    found = errors(
        """
        run_launcher: {module: dagster_k8s, class: K8sRunLaucher}
        compute_logs: {module: dagster_obstore.s3.compute_log_manager, class: S3ComputeLogManager, config: {bukket: b}}
        run_queue: {max_concurent_runs: 3}
        run_retries: {enabled: 'true'}
        storage: {postgres: {username: u}}
        retenton: {}
        """
    )

    assert "did you mean 'dagster_k8s:K8sRunLauncher'" in found["run_launcher"]
    assert "did you mean 'bucket'" in found["compute_logs.config.bukket"]
    assert "missing" in found["compute_logs.config.bucket"]
    assert "did you mean 'max_concurrent_runs'" in found["run_queue.max_concurent_runs"]
    assert "expected true or false" in found["run_retries.enabled"]
    assert "expected under postgres_db" in found["storage.postgres.username"]
    assert "did you mean 'retention'" in found["retenton"]


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("nux: null", "nux", "got null"),
        ("run_launcher: {module: a, class: B, config: null}", "run_launcher.config", "got null"),
        ("run_launcher: {module: a}", "run_launcher.class", "missing"),
        ("[1]", "", "expected a mapping"),
        ("freshness: {}", "freshness.enabled", "missing"),
        ("max_retries: 1", "max_retries", "expected under run_retries"),
        ("postgres_db: {}", "postgres_db", "expected under storage.postgres"),
        ("run_queue: {}\nrun_coordinator: {module: a, class: B}", "run_queue", "beside run_coordinator"),
        ("storage: {sqlite: {base_dir: a}}\nrun_storage: {module: a, class: B}", "storage", "beside run_storage"),
        ("storage: {sqlite: {base_dir: a}, mysql: {mysql_url: a}}", "storage", "exactly one"),
        ("storage: {postgres: {}}", "storage.postgres", "got none, expected postgres_url or postgres_db"),
        (
            "run_storage: {module: a, class: B}",
            "run_storage",
            "event_log_storage, schedule_storage would be kept in another",
        ),
        ("run_launcher: {module: dagster_k8s, class: PostgresRunStorage}", "run_launcher", "no such class"),
        (
            "run_launcher: {module: dagster_postgres, class: PostgresRunStorage}",
            "run_launcher",
            "expected under run_storage",
        ),
        ("concurrency: {pools: {default_limit: 1001}}", "concurrency.pools.default_limit", "0 to 1000"),
        ("concurrency: {pools: {granularity: step}}", "concurrency.pools.granularity", "one of op, run"),
        (
            "concurrency: {pools: {}, default_op_concurrency_limit: 1}",
            "concurrency.default_op_concurrency_limit",
            "beside",
        ),
        (
            "concurrency: {runs: {max_concurrent_runs: 1}}\nrun_queue: {max_concurrent_runs: 2}",
            "run_queue.max_concurrent_runs",
            "also given as concurrency.runs.max_concurrent_runs",
        ),
        (
            (
                "concurrency: {runs: {tag_concurrency_limits: []}}\n"
                "run_coordinator: {module: dagster, class: QueuedRunCoordinator, config: {tag_concurrency_limits: []}}"
            ),
            "run_coordinator.config.tag_concurrency_limits",
            "also given",
        ),
        ("concurrency: {runs: {max_concurrent_runs: -2}}", "concurrency.runs.max_concurrent_runs", "at least -1"),
        ("run_monitoring: {start_timeout_seconds: -1}", "run_monitoring.start_timeout_seconds", "at least 0"),
        ("run_retries: {max_retries: -1}", "run_retries.max_retries", "at least 0"),
        ("python_logs: {python_log_level: LOUD}", "python_logs.python_log_level", "unknown log level"),
        (
            "run_queue: {tag_concurrency_limits: [{key: a, limit: 1, value: {applyLimitPerUniqueValue: false}}]}",
            "run_queue.tag_concurrency_limits[0].value.applyLimitPerUniqueValue",
            "false has no meaning",
        ),
        (
            "run_launcher: {module: dagster_k8s, class: K8sRunLauncher, config: {resources: {claims: []}}}",
            "run_launcher.config.resources.claims",
            "unknown key",
        ),
        (
            "run_launcher: {module: dagster_k8s, class: K8sRunLauncher, config: {pod_spec_config: {}}}",
            "run_launcher.config.pod_spec_config",
            "expected under run_k8s_config",
        ),
        (
            "run_launcher: {module: dagster_k8s, class: K8sRunLauncher, config: {kubeconfig_file: /k, load_incluster_config: true}}",
            "run_launcher.config.kubeconfig_file",
            "load_incluster_config: false",
        ),
    ],
)
def test_what_is_refused(text: str, path: str, words: str) -> None:
    found = errors(text)

    assert set(found) == {path}
    assert words in found[path]


def test_the_bound_of_pool_limits_comes_from_the_environment() -> None:
    text = "concurrency: {pools: {default_limit: 1001}}"

    assert load(text, {"DAGSTER_MAX_GLOBAL_OP_CONCURRENCY_LIMIT": "2000"}).settings({}).pools == Pools(
        default_limit=1001
    )


def test_a_repeated_key_is_an_error_with_both_places() -> None:
    found = errors("nux: {enabled: true}\nrun_retries:\n  enabled: true\n  enabled: false\nnux: {}\n")

    assert "line 1, column 1 and line 5, column 1" in found["nux"]
    assert "line 3, column 3 and line 4, column 3" in found["run_retries.enabled"]


def test_text_that_is_not_yaml_is_told_with_line_and_column() -> None:
    with pytest.raises(ConfigErrors, match=r"^dagster\.yaml:2:7: 1 problem\n  not YAML: "):
        load("nux:\n  a: b: c\n")


@pytest.mark.parametrize(
    "text", ["a: &x {b: *x}", "a: !!python/object:os.system {}", "a: *nowhere", "--- 1\n--- 2", "[" * 5000]
)
def test_hostile_yaml_is_one_clear_error(text: str) -> None:
    with pytest.raises(ConfigErrors):
        load(text)


def test_aliases_that_repeat_each_other_take_no_time() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]

    assert len(errors("\n".join(lines))) == 60


def test_dates_stay_text() -> None:
    config = load("run_launcher: {module: my, class: Own, config: {since: 2026-01-01}}")

    assert config.run_launcher.config == {"since": "2026-01-01"}
    assert config.run_launcher.config_yaml == "since: '2026-01-01'\n"


def test_merged_mappings_are_not_repeated_keys() -> None:
    config = load("x: &x {enabled: true}\nnux: {<<: *x, enabled: false}".replace("x: &x", "telemetry: &x"))

    assert config.sections == {"telemetry": {"enabled": True}, "nux": {"enabled": False}}


def test_typed_sections() -> None:
    settings = load(
        """
        python_logs:
          managed_python_loggers: [root, mine]
          python_log_level: info
          dagster_handler_config: {handlers: {h: {class: logging.StreamHandler}}}
        retention: {sensor: {purge_after_days: {skipped: 1}}, schedule: {purge_after_days: 3}}
        concurrency:
          pools: {granularity: run, op_granularity_run_buffer: 2}
          runs:
            max_concurrent_runs: 4
            tag_concurrency_limits:
              - {key: a, limit: 1}
              - {key: b, limit: 2, value: x}
              - {key: c, limit: 3, value: {applyLimitPerUniqueValue: true}}
        """
    ).settings({})

    assert settings.python_logs == PythonLogs(("root", "mine"), "INFO", {"h": {"class": "logging.StreamHandler"}})
    assert settings.retention.sensor == Purge(skipped=1)
    assert settings.retention.schedule == Purge(3, 3, 3, 3)
    assert settings.retention.auto_materialize == Purge(skipped=7)
    assert settings.pools == Pools(None, "run", 2)
    assert settings.run_queue.max_concurrent_runs == 4
    assert settings.run_queue.op_concurrency_slot_buffer == 2
    assert settings.run_queue.tag_concurrency_limits == (
        TagLimit("a", 1),
        TagLimit("b", 2, "x"),
        TagLimit("c", 3, per_value=True),
    )


def test_sections_that_say_nothing_have_dagsters_defaults() -> None:
    settings = load("").settings({})

    assert (settings.backfills.use_threads, settings.backfills.num_workers) == (True, 4)
    assert settings.sensors.use_threads is False
    assert settings.freshness_enabled is True
    assert settings.auto_materialize.enabled is True
    assert settings.auto_materialize.max_tick_retries == 3
    assert settings.run_monitoring.start_timeout_seconds == 180
    assert settings.run_monitoring.max_resume_run_attempts is None
    assert settings.code_servers.reload_timeout == 180
    assert settings.run_retries.enabled is False
    assert settings.python_logs == PythonLogs()


def test_sections_are_resolved_when_they_are_asked_for() -> None:
    config = load("run_retries: {enabled: {env: RETRY}, max_retries: {env: MOST}}")

    assert config.settings({"RETRY": "true", "MOST": "2"}).run_retries.max_retries == 2
    assert config.sections == {"run_retries": {"enabled": {"env": "RETRY"}, "max_retries": {"env": "MOST"}}}
    with pytest.raises(ConfigErrors, match="RETRY is not set"):
        _ = config.settings({}).run_retries


# ---------------------------------------------------------------------------------------------- the home


def test_dagster_home_wins_and_its_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("run_retries: {enabled: true}")

    config = load_instance_config({"DAGSTER_HOME": str(tmp_path)})

    assert config.home == tmp_path
    assert config.settings({}).run_retries.enabled


def test_a_home_with_tilde_is_expanded(tmp_path: Path) -> None:
    (tmp_path / "h").mkdir()

    assert load_instance_config({"DAGSTER_HOME": "~/h", "HOME": str(tmp_path)}).home == tmp_path / "h"


def test_without_dagster_home_a_folder_is_made_and_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    env = {"XDG_DATA_HOME": str(tmp_path / "data")}

    for _ in range(2):
        config = load_instance_config(env, notify=told.append)

    assert config.home == tmp_path / "data" / "runplane"
    assert config.home.is_dir()
    assert told == [f"DAGSTER_HOME is not set: the instance is kept in {config.home}"]


def test_workers_never_make_a_home(tmp_path: Path) -> None:
    with pytest.raises(NoInstanceError) as caught:
        load_instance_config({"XDG_DATA_HOME": str(tmp_path)}, may_make_home=False)

    assert caught.value.exit_code == ExitCode.NO_INSTANCE
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("home", "words"),
    [("relative/path", "a relative path"), ("/not/there/at/all", "is not there"), ("/etc/passwd", "is not a folder")],
)
def test_a_home_that_can_not_be_one_is_told(home: str, words: str) -> None:
    with pytest.raises(RunplaneError, match=words):
        load_instance_config({"DAGSTER_HOME": home})


def test_a_home_without_a_file_is_told(tmp_path: Path) -> None:
    told: list[str] = []

    load_instance_config({"DAGSTER_HOME": str(tmp_path)}, notify=told.append)

    assert told == [f"no dagster.yaml in {tmp_path}: everything is kept in that folder"]


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(RunplaneError, match="can not be read"):
        from_home(tmp_path, {})


def test_a_document_wins_over_the_environment() -> None:
    ref = read_step_args((DESCRIPTION / "text8.json").read_text()).instance

    config = load_instance_config({"DAGSTER_HOME": "/not/there"}, ref=ref, may_make_home=False)

    assert config.where == "instance_ref"
    assert config.run_launcher.config["instance_config_map"] == "dagster-instance"


# ------------------------------------------------------------------------------------------ instance_class

OWN_INSTANCE = """
class Own:
    @classmethod
    def config_schema(cls):
        return {"region": str}

    @classmethod
    def config_defaults(cls, base_dir):
        return {"compute_logs": None}

class Bare:
    pass
"""


@pytest.fixture
def own_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"own_instance_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(OWN_INSTANCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_an_instance_class_may_add_keys(own_instance: str) -> None:
    config = load(f"instance_class: {{module: {own_instance}, class: Own, config: {{size: 3}}}}\nregion: north")

    assert config.instance_class is not None
    assert config.instance_class.config == {"size": 3, "region": "north"}


def test_an_instance_class_without_a_schema_is_fine(own_instance: str) -> None:
    config = load(f"instance_class: {{module: {own_instance}, class: Bare}}")

    assert config.instance_class is not None
    assert config.instance_class.class_name == "Bare"


def test_a_key_that_an_instance_class_wants_is_missed(own_instance: str) -> None:
    assert set(errors(f"instance_class: {{module: {own_instance}, class: Own}}")) == {"region"}


def test_an_instance_class_that_is_not_there_is_told() -> None:
    with pytest.raises(NotFoundError, match=r"dagster.yaml: instance_class: no module 'not_there'"):
        load("instance_class: {module: not_there, class: Own}")
