"""The package's public names: lazy, complete, and clear about what is not there."""

import subprocess
import sys

import pytest

import runplane


def _modules_after(statement):
    code = f"import sys; {statement}; print(' '.join(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_every_name_of_the_table_is_there():
    for name in runplane.__all__:
        assert getattr(runplane, name) is not None


def test_importing_the_package_loads_next_to_nothing():
    loaded = {m for m in _modules_after("import runplane") if m.startswith("runplane")}
    assert loaded == {"runplane"}


def test_defining_a_job_loads_nothing_heavy():
    loaded = _modules_after("from runplane import op, job, In, Out, Definitions, RetryPolicy, k8s_job_executor")
    heavy = {"pydantic", "sqlalchemy", "alembic", "kubernetes", "celery", "grpc", "rich", "yaml", "sqlite3"}
    assert not heavy & loaded


def test_a_name_that_is_not_there_says_so():
    with pytest.raises(ImportError, match="cannot import name 'zzz'"):
        exec("from runplane import zzz")
    with pytest.raises(AttributeError, match="Did you mean 'multiprocess_executor'"):
        runplane.multiproces_executor  # noqa: B018
    assert not hasattr(runplane, "zzz")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("schedule", "does not have Dagster's 'schedule'. Schedules and sensors are not in this version. Until then: "),
        ("QueuedRunCoordinator", "and will not. It is named in dagster.yaml"),
        ("DailyPartitionsDefinition", "Partitions are not in this version"),
    ],
)
def test_a_name_of_dagsters_that_is_not_there_fails_at_its_import_with_a_sentence(name, said):
    with pytest.raises(ImportError) as caught:
        exec(f"from runplane import {name}")

    assert said in str(caught.value)


def test_all_names_can_be_imported_at_once():
    found = {}
    exec("from runplane import *", found)

    assert set(runplane.__all__) <= set(found)


OPTIONAL = (
    "celery",
    "fsspec",
    "kubernetes",
    "obstore",
    "opentelemetry",
    "prometheus_client",
    "psycopg",
    "redis",
    "upath",
    "urllib3",
)


def _without_extras(code):
    blocked = f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL!r}))\n"
    return subprocess.run([sys.executable, "-c", blocked + code], capture_output=True, text=True)


def test_all_names_can_be_imported_without_the_extras():
    done = _without_extras("from runplane import *")

    assert done.returncode == 0, done.stderr


def test_an_op_that_makes_a_job_says_which_extra_it_needs():
    done = _without_extras(
        """
import runplane

@runplane.op
def makes_a_job(context):
    runplane.execute_k8s_job(context, image="busybox")

@runplane.job
def flow():
    makes_a_job()

flow.execute_in_process()
"""
    )

    assert "pip install 'runplane[kubernetes]'" in done.stderr
