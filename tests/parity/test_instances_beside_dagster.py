"""Beside a real Dagster: the list of classes is complete, the schemas take the same keys, the documents are the same.

Every difference is a line of `DIFFERENCES`, and `docs/differences.md` says why.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runplane.config.pointer import public_module
from runplane.config.schema import (
    MISSING,
    Bool,
    Field,
    Float,
    FreeMap,
    Int,
    ListOf,
    MapOf,
    OneOrMany,
    Scalar,
    Schema,
    Selector,
    Shape,
    Text,
)
from runplane.errors import ConfigErrors
from runplane.events.wire import from_text, to_text
from runplane.instance.document_schema import document_schema
from runplane.instance.known_classes import DATA, find_known, known_classes
from runplane.instance.load import from_yaml
from runplane.instance.ref import from_ref, to_ref

HERE = Path(__file__).resolve().parent
DESCRIPTION = HERE.parent / "fixtures" / "description"
NOT_INSTALLED_HERE = ("dagster_aws", "dagster_obstore", "dagster_mysql")

DIFFERENCES = {
    "K8sRunLauncher.instance_config_map: required there only",
    "CeleryK8sRunLauncher.instance_config_map: required there only",
    "K8sRunLauncher.load_incluster_config: default MISSING here, True there",
    "CeleryK8sRunLauncher.load_incluster_config: default MISSING here, True there",
    "K8sRunLauncher.runplane: here only",
    "CeleryK8sRunLauncher.runplane: here only",
    *(
        f"{name}.runplane: here only"
        for name in (
            *("DagsterPostgresStorage", "PostgresRunStorage", "PostgresEventLogStorage", "PostgresScheduleStorage"),
            "storage.postgres",
        )
    ),
    "secrets: union here, selector there",
}

# Texts that both take, with the same InstanceRef as result.
ALIKE = [
    "",
    (DESCRIPTION / "text2.yaml").read_text(),
    (DESCRIPTION / "dagster.yaml").read_text(),
    "storage: {sqlite: {base_dir: /elsewhere}}",
    "storage: {sqlite: {base_dir: {env: BASE}}}",
    "storage: {postgres: {postgres_url: {env: PG}}}",
    "storage: {postgres: {postgres_db: {username: {env: U}, password: {env: P}, hostname: h, db_name: d, port: {env: N}}}}",
    "storage: {mysql: {mysql_url: {env: U}}}",
    "storage: {custom: {module: dagster._core.storage.sqlite_storage, class: DagsterSqliteStorage, config: {base_dir: /x}}}",
    "storage: {custom: {module: own.store, class: Store, config: {since: 2026-01-01, long: '" + "word " * 40 + "'}}}",
    "run_queue: {max_concurrent_runs: {env: MOST}, tag_concurrency_limits: [{key: a, limit: 1, value: {applyLimitPerUniqueValue: true}}]}",
    "run_queue: {}",
    "run_launcher: {module: own.launcher, class: Own}",
    "run_launcher: {module: own.launcher, class: Own, config: {}}",
    "run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}",
    "compute_logs: {module: dagster.core.storage.noop_compute_log_manager, class: NoOpComputeLogManager}",
    "nux: {}\ntelemetry: {enabled: false}\nrun_retries: {enabled: true}",
    "secrets: {custom: {module: own, class: Own, config: {a: b}}}",
    "defs_state_storage: {module: dagster, class: UPathDefsStateStorage, config: {base_path: /x}}",
    "concurrency: {pools: {default_limit: 3, granularity: run}, runs: {max_concurrent_runs: 2}}",
    "python_logs: {managed_python_loggers: [root], python_log_level: INFO, dagster_handler_config: {handlers: {}}}",
    "retention: {schedule: {purge_after_days: 3}, sensor: {purge_after_days: {skipped: 1}}}",
    "auto_materialize: {enabled: {env: X}, run_tags: {a: b}}\nfreshness: {enabled: false}",
    "sensors: {use_threads: true, num_workers: 4}\nbackfills: {use_threads: false}\ncode_servers: {reload_timeout: 3}",
]
# Texts that both refuse when the file is read.
REFUSED = [
    "nope: 1",
    "nux: null",
    "nux: {enabled: 'true'}",
    "run_launcher: {module: a}",
    "run_launcher: {module: a, class: B, config: null}",
    "run_launcher: {module: a, class: B, konfig: {}}",
    "run_queue: {max_concurrent_runs: 1}\nrun_coordinator: {module: a, class: B}",
    "storage: {sqlite: {base_dir: a}}\nrun_storage: {module: a, class: B}",
    "storage: {sqlite: {base_dir: a}, postgres: {postgres_url: b}}",
    "storage: {oracle: {}}",
    "run_queue: {max_concurent_runs: 1}",
    "concurrency: {pools: {granularity: step}}",
    "concurrency: {pools: {default_limit: 1001}}",
    "concurrency: {pools: {default_limit: 1}, default_op_concurrency_limit: 1}",
    "concurrency: {runs: {max_concurrent_runs: 1}}\nrun_queue: {max_concurrent_runs: 2}",
    "freshness: {}",
    "retention: {sensor: {}}",
    "run_monitoring: {start_timeout_seconds: '1'}",
]
# Texts that Dagster reads and that are refused here: docs/differences.md, "Refused when the file is read".
REFUSED_HERE_ONLY = [
    "run_monitoring: {start_timeout_seconds: -1}",
    "run_retries: {max_retries: -1}",
    "python_logs: {python_log_level: LOUD}",
    "concurrency: {runs: {max_concurrent_runs: -2}}",
    "run_queue: {tag_concurrency_limits: [{key: a, limit: 1, value: {applyLimitPerUniqueValue: false}}]}",
    "run_storage: {module: dagster.core.storage.runs, class: SqliteRunStorage, config: {base_dir: /x}}",
    "storage: {postgres: {}}",
    "storage: {postgres: {postgres_url: a, postgres_db: {username: u, hostname: h, db_name: d}}}",
    "run_launcher: {module: dagster_k8s, class: K8sRunLauncher, config: {nope: 1}}",
    "run_launcher: {module: dagster_k8s, class: K8sRunLaucher}",
    "run_launcher: {module: dagster_k8s, class: K8sRunLauncher, config: {image_pull_policy: Sometimes}}",
    "run_launcher: {module: dagster_k8s, class: K8sRunLauncher, config: {labels: {a: 1}}}",
    "compute_logs: {module: dagster_k8s, class: K8sRunLauncher}",
    "nux: {enabled: true}\nnux: {enabled: false}",
]
# Texts that are read here and that Dagster refuses: docs/differences.md, "Accepted here".
ACCEPTED_HERE_ONLY = [
    "run_retries: {max_retries: {env: MOST}}",
    "storage: {postgres: {postgres_url: {env: PG}, runplane: {pool_size: 2}}}",
    "secrets: refuse",
]


@pytest.fixture(scope="module")
def theirs(dagster_python: Path) -> Any:
    texts = [*ALIKE, *REFUSED, *REFUSED_HERE_ONLY, *ACCEPTED_HERE_ONLY]
    script = HERE / "dagster_side_of_instances.py"
    done = subprocess.run(
        [str(dagster_python), str(script)], input=json.dumps(texts), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout)
    answer["refs"] = dict(zip(texts, answer["refs"], strict=True))
    return answer


def test_the_list_of_classes_is_complete_and_has_nothing_else(theirs: Any) -> None:
    there = {(public_module(module), name) for module, _, name in (key.partition(":") for key in theirs["classes"])}
    here = {key for key in known_classes() if not key[0].startswith(NOT_INSTALLED_HERE)}

    assert sorted(there - here) == []
    assert sorted(here - there) == []
    assert json.loads(DATA.read_text())["dagster"] == "1.13.27"


def test_each_class_takes_the_same_keys(theirs: Any) -> None:
    found: set[str] = set()
    for key, form in theirs["classes"].items():
        module, _, name = key.partition(":")
        known = find_known(module, name)
        if known is not None:
            found.update(compare(known.schema, form, name))

    assert sorted(found) == sorted(d for d in DIFFERENCES if not d.startswith(("storage.", "secrets")))


def test_the_document_takes_the_same_keys(theirs: Any) -> None:
    form = ["shape", theirs["document"]]

    found = {line.removeprefix("document.") for line in compare(document_schema({}), form, "document", defaults=False)}

    assert sorted(found) == sorted(d for d in DIFFERENCES if d.startswith(("storage.", "secrets")))


@pytest.mark.parametrize("text", ALIKE)
def test_the_document_that_travels_is_the_same(theirs: Any, text: str) -> None:
    ref = to_ref(from_yaml(text, Path("/HOME"), {}))

    written = theirs["refs"][text]
    assert written is not None
    assert json.loads(to_text(ref)) == json.loads(written)
    assert json.loads(to_text(to_ref(from_ref(from_text(written))))) == json.loads(written)


@pytest.mark.parametrize("text", REFUSED)
def test_what_both_refuse(theirs: Any, text: str) -> None:
    assert theirs["refs"][text] is None
    with pytest.raises(ConfigErrors):
        from_yaml(text, Path("/HOME"), {})


@pytest.mark.parametrize("text", REFUSED_HERE_ONLY)
def test_what_is_refused_here_only(theirs: Any, text: str) -> None:
    assert theirs["refs"][text] is not None
    with pytest.raises(ConfigErrors):
        from_yaml(text, Path("/HOME"), {})


@pytest.mark.parametrize("text", ACCEPTED_HERE_ONLY)
def test_what_is_accepted_here_only(theirs: Any, text: str) -> None:
    assert theirs["refs"][text] is None
    from_yaml(text, Path("/HOME"), {})


# ------------------------------------------------------------------------------------ comparing two schemas


def compare(ours: Schema, theirs: Any, path: str, *, defaults: bool = True) -> Iterator[str]:
    """Each difference of the two schemas as a line that starts with its path. Bounds and environment sources are not compared."""
    nullable_there = isinstance(theirs, list) and theirs[0] == "nullable"
    if nullable_there:
        theirs = theirs[1]
    nullable_here = bool(getattr(ours, "nullable", False))
    if nullable_there and not nullable_here:
        yield f"{path}: null there only"
    kind_here, kind_there = kind(ours), kind_of_form(theirs)
    if kind_here != kind_there:
        yield f"{path}: {kind_here} here, {kind_there} there"
    elif isinstance(ours, ListOf):
        yield from compare(ours.items, theirs[1], f"{path}[]", defaults=defaults)
    elif isinstance(ours, OneOrMany):
        yield from compare(ours.mapping, theirs[2], path, defaults=defaults)
    elif isinstance(ours, (Shape, Selector)) and isinstance(theirs[1], dict):
        yield from compare_keys(ours, theirs[1], path, defaults=defaults)


def compare_keys(ours: Shape | Selector, theirs: dict[str, Any], path: str, *, defaults: bool) -> Iterator[str]:
    fields = ours.fields if isinstance(ours, Shape) else ours.choices
    here = {key: f if isinstance(f, Field) else Field(f) for key, f in fields.items()}
    for key in sorted(here.keys() | theirs.keys()):
        at = f"{path}.{key}"
        if key not in theirs:
            yield f"{at}: here only"
        elif key not in here:
            yield f"{at}: there only"
        else:
            yield from compare_field(here[key], theirs[key], at, required=isinstance(ours, Shape), defaults=defaults)


def compare_field(ours: Field, theirs: dict[str, Any], at: str, *, required: bool, defaults: bool) -> Iterator[str]:
    if required and ours.required != theirs["required"]:
        yield f"{at}: required {'here' if ours.required else 'there'} only"
    if required and defaults and "default" in theirs:
        default = {} if ours.default is MISSING and theirs["default"] == {} else ours.default
        if default != theirs["default"]:
            yield f"{at}: default {ours.default!r} here, {theirs['default']!r} there"
    yield from compare(ours.schema, theirs["type"], at, defaults=defaults)


def kind(schema: Schema) -> str:
    if isinstance(schema, Scalar):
        names = {Text: "String", Int: "Int", Float: "Float", Bool: "Bool"}
        return next(name for cls, name in names.items() if isinstance(schema, cls))
    if isinstance(schema, (FreeMap, MapOf)) or (isinstance(schema, Shape) and schema.open):
        return "mapping"
    return {ListOf: "list", Shape: "shape", Selector: "selector", OneOrMany: "union"}[type(schema)]


def kind_of_form(form: Any) -> str:
    if isinstance(form, str):
        return form
    if form[0] == "union" and form[2] == ["selector", {"env": {"type": "String", "required": True}}]:
        return str(form[1])
    return {"open": "mapping", "map": "mapping"}.get(form[0], form[0])
