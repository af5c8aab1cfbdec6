"""What the programs of runplane load when they really run: a start is paid for by every run and every step, in every pod.

The bounds are a little above what is loaded now on the Python that loads most (3.13), so that an import that creeps in is seen
where it comes in. A count is of modules beyond those of a bare interpreter; `python -m pytest -s` shows them all.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.events.argv import RUN_ARGS_ENV, STEP_ARGS_ENV
from runplane.events.status import RunStatus
from services.system import System

HEAVY = {"kubernetes", "celery", "grpc", "rich", "pydantic", "alembic", "sqlalchemy"}
NOT_IN_A_STEP = {
    "asyncio",
    "multiprocessing",
    "psycopg",
    "http",
    "xml",
    "unittest",
    "pkg_resources",
    "importlib.metadata",
}
CODE = """
import gc, sys
from pathlib import Path
from runplane import Definitions, in_process_executor, job, k8s_job_executor, multiprocess_executor, op

COLLECTS = [gc.isenabled()]

@op
def nothing():
    Path("in-the-step").write_text(" ".join(sys.modules))
    COLLECTS.append(gc.isenabled())
    Path("collects").write_text(str(COLLECTS))

@job(executor_def=in_process_executor)
def here():
    nothing()

@job(executor_def=multiprocess_executor.configured({"max_concurrent": 1}))
def apart():
    nothing()

@job(executor_def=k8s_job_executor)
def in_pods():
    nothing()
"""
AT_EXIT = """
import atexit, os, sys
with open(os.environ["MODULES_TO"] + "-started", "a") as started:
    print(os.getpid(), file=started)
atexit.register(lambda: open(os.environ["MODULES_TO"] + "." + str(os.getpid()), "w").write(" ".join(sys.modules)))
"""


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    made = System(tmp_path, CODE)
    (tmp_path / "spy").mkdir()
    (tmp_path / "spy" / "sitecustomize.py").write_text(AT_EXIT)
    yield made
    made.close()


@pytest.fixture(scope="module")
def bare() -> set[str]:
    return imported("pass")


def imported(statement: str) -> set[str]:
    """What a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def loaded_by(system: System, verb: str, **env: str) -> set[str]:
    """What `api <verb>` had loaded when it ended well."""
    path = os.pathsep.join([str(system.folder / "spy"), *(p for p in sys.path if p)])
    words = [sys.executable, "-m", "runplane", "api", verb]
    modules = system.folder / "modules"
    environment = system.environment(PYTHONPATH=path, MODULES_TO=str(modules), **env)
    process = subprocess.Popen(words, env=environment, cwd=system.folder, stderr=subprocess.PIPE, text=True)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return set(Path(f"{modules}.{process.pid}").read_text().split())


def started(system: System) -> list[int]:
    """All Pythons that it started, forks not among them."""
    return [int(pid) for pid in (system.folder / "modules-started").read_text().split()]


def the_collector_worked(system: System) -> bool:
    """While the user's file was imported, and in the step."""
    return (system.folder / "collects").read_text() == str([True, True])


def few(loaded: set[str], bare: set[str], most: int, *, what: str, without: set[str] = HEAVY) -> None:
    new = {name for name in loaded - bare if name != "sitecustomize"}
    print(
        f"{what}: {len(new)} modules, {sum(n.startswith('runplane') for n in new)} of them runplane's (at most {most})"
    )
    assert without & {part for name in new for part in (name, name.partition(".")[0])} == set()
    assert len(new) <= most, sorted(new)
    assert {name for name in new if name.startswith("runplane.kube")} == set(), "there is no cluster here"
    assert {name for name in new if name.startswith("runplane.definitions.assets")} == set(), "there are no assets here"


@pytest.mark.parametrize(
    ("statement", "most"),
    [
        ("import runplane", 36),
        ("import runplane.events.wire", 88),
        ("from runplane import job, op, k8s_job_executor", 120),
    ],
)
def test_an_import_loads_little(statement: str, most: int, bare: set[str]) -> None:
    few(imported(statement), bare, most, what=statement)


@pytest.mark.parametrize("job", ["here", "in_pods"])
def test_execute_step_loads_little(system: System, bare: set[str], job: str) -> None:
    run_id = system.create(job)
    document = system.issue(run_id, system.coordinate(run_id), 1, "nothing")

    loaded = loaded_by(system, "execute_step", **{STEP_ARGS_ENV: document})

    assert system.kinds(run_id)["STEP_SUCCESS"] == 1
    few(loaded, bare, 318, what="api execute_step", without=HEAVY | NOT_IN_A_STEP)
    assert the_collector_worked(system)


@pytest.mark.parametrize(("job", "most"), [("here", 342), ("apart", 333)])
def test_execute_run_loads_little(system: System, bare: set[str], job: str, most: int) -> None:
    run_id = system.create(job)
    document = system.instance.document(system.instance.runs.get(run_id))

    loaded = loaded_by(system, "execute_run", **{RUN_ARGS_ENV: document})

    assert system.status(run_id) is RunStatus.SUCCESS
    few(loaded, bare, most, what=f"api execute_run, {job}")
    in_the_step = set((system.folder / "in-the-step").read_text().split())
    few(in_the_step, bare, most if job == "here" else 204, what=f"a step of {job}")
    assert the_collector_worked(system)
    assert len(started(system)) == (1 if job == "here" else 2)


def test_a_worker_that_is_refused_leaves_no_process_behind(system: System) -> None:
    """The program of the steps is started before the run is claimed."""
    run_id = system.create("apart")
    system.coordinate(run_id)
    document = system.instance.document(system.instance.runs.get(run_id))

    loaded_by(system, "execute_run", **{RUN_ARGS_ENV: document})

    assert len(started(system)) == 2
    assert [pid for pid in started(system) if Path(f"/proc/{pid}").exists()] == []


def test_the_coordinator_of_a_multiprocess_run_does_not_load_what_runs_user_code(system: System) -> None:
    run_id = system.create("apart")
    document = system.instance.document(system.instance.runs.get(run_id))

    loaded = loaded_by(system, "execute_run", **{RUN_ARGS_ENV: document})

    assert system.status(run_id) is RunStatus.SUCCESS
    assert {n for n in loaded if n.startswith("jobs")} == set(), "the user's file was imported"
    assert "runplane.executors.perform" not in loaded


def test_a_step_imports_few_frozen_dataclasses() -> None:
    """Each costs ten times what a record costs (docs/decisions/0013-records.md)."""
    code = """
import sys
import runplane.cli.api, runplane.workers.step
modules = [m for name, m in list(sys.modules.items()) if name.startswith("runplane.")]
found = {c for m in modules for c in vars(m).values() if isinstance(c, type) and c.__module__.startswith("runplane.")}
made = [c for c in found if "__dataclass_params__" in vars(c) and c.__dataclass_params__.frozen]
print("\\n".join(sorted(f"{c.__module__}.{c.__name__}" for c in made)))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    frozen = done.stdout.split()
    print(f"{len(frozen)} frozen dataclasses")
    assert 0 < len(frozen) <= 4, frozen
