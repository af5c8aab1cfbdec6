"""Documents beside a real Dagster in its own environment: what it wrote is read here, what we write is read there.

The environment is named by RUNPLANE_DAGSTER_PYTHON. Without it a laptop skips, CI fails.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runplane.events import argv
from runplane.events.causes import FailureCause
from runplane.events.dagster_run import run_from_dagster, run_to_dagster
from runplane.events.dagster_view import KEPT, entries_of, events_from_entries
from runplane.events.event import Event
from runplane.events.kinds import EventKind
from runplane.events.origin import (
    AutoloadDefsModuleCodePointer,
    CodePointer,
    CustomPointer,
    FileCodePointer,
    JobOrigin,
    ModuleCodePointer,
    PackageCodePointer,
    RepositoryOrigin,
)
from runplane.events.requests import (
    ExecuteRunArgs,
    ExecuteStepArgs,
    InstanceRef,
    IssuedAttempt,
    KnownExecutionState,
    PastExecutionState,
    ResumeRunArgs,
    RetryMode,
    StepOutputHandle,
    StepOutputVersionData,
)
from runplane.events.run import Run
from runplane.events.status import RunStatus
from runplane.events.wire import from_text, read_resume_args, read_run_args, read_step_args, to_text

HERE = Path(__file__).parent
TEXT_8 = (HERE.parent / "fixtures" / "description" / "text8.json").read_text()
RUN_ID = "aaa0b6f8-b717-4aef-a4aa-4e1c590b960f"
POINTERS: dict[str, CodePointer] = {
    "file": FileCodePointer("x.py", "defs"),
    "module": ModuleCodePointer("a.b", "f", "/app"),
    "package": PackageCodePointer("pkg", "attr", "/app"),
    "autoload": AutoloadDefsModuleCodePointer("m", "/app"),
    "custom": CustomPointer(ModuleCodePointer("a.b", "f", "/app"), (1, ["a"]), (("k", None),)),
}
HANDLE = StepOutputHandle("work[1]", "result", "k")
KNOWN = KnownExecutionState(
    {"a": 2},
    {"dyn": {"result": ("1", "2"), "none": None}},
    (StepOutputVersionData(HANDLE, "v1"),),
    frozenset({HANDLE, StepOutputHandle("a")}),
    PastExecutionState("parent", frozenset({HANDLE}), PastExecutionState("root")),
)


def origin_of(name: str) -> JobOrigin:
    context = {"k8s": {"env": [{"name": "USER", "value": "é"}], "namespace": "n"}}
    return JobOrigin("a_job", RepositoryOrigin("/usr/bin/python", POINTERS[name], "image:1", ("dagster",), context))


def requests_of(instance: InstanceRef | None) -> dict[str, Any]:
    """The requests that the Dagster side makes too, by the same names."""
    found: dict[str, Any] = {}
    for name in POINTERS:
        origin = origin_of(name)
        found[f"run_{name}"] = ExecuteRunArgs(instance, origin, RUN_ID, name == "file")
        found[f"resume_{name}"] = ResumeRunArgs(None, origin, RUN_ID)
        found[f"step_{name}"] = ExecuteStepArgs(
            instance,
            origin,
            RUN_ID,
            ("a",) if name == "file" else None,
            KNOWN,
            name == "module",
            RetryMode.DEFERRED,
            True,
        )
    return found


def ours_only(instance: InstanceRef | None) -> dict[str, Any]:
    """What only we write: our attempt, no known state, no entry point."""
    origin = JobOrigin("a_job", RepositoryOrigin("/usr/bin/python", POINTERS["file"]))
    return {
        "issued": ExecuteStepArgs(
            instance, origin, RUN_ID, ("a",), retry_mode=RetryMode.DISABLED, issued=IssuedAttempt(3, 2)
        ),
        "bare": ExecuteRunArgs(None, origin, RUN_ID),
    }


ERROR = {"message": "ValueError: x\n", "stack": ["  line\n"], "cls_name": "ValueError", "cause": None, "context": None}
BODIES: dict[str, dict[str, Any]] = {
    "STEP_WORKER_STARTED": {"pid": 3},
    "STEP_OUTPUT": {"output": "result", "mapping_key": "k", "metadata": {"n": 1, "f": 1.5, "b": True, "none": None, "j": [1], "m": {"__class__": "MarkdownMetadataEntryData", "md_str": "# x"}}},
    "STEP_INPUT": {"input": "x", "type_check": {"success": False, "label": "Int", "description": "no"}},
    "LOADED_INPUT": {"input": "x", "upstream_step": "b", "upstream_output": "result"},
    "HANDLED_OUTPUT": {"output": "result", "metadata": {"path": {"__class__": "PathMetadataEntryData", "path": "/x"}}},
    "STEP_SUCCESS": {"duration_ms": 1.5},
    "STEP_FAILURE": {"error": {**ERROR, "cause": ERROR}, "cause": "USER_CODE", "user_failure": {"label": "l", "description": "d", "metadata": {"n": 1}}},
    "STEP_UP_FOR_RETRY": {"seconds_to_wait": 0.5, "error": ERROR},
    "STEP_SKIPPED": {"because": ["a.result"]},
    "STEP_ABANDONED": {"because": ["boom"]},
    "LOGS_CAPTURED": {"log_key": "abcdefgh", "step_keys": ["a"], "pid": 3},
    "ENGINE_EVENT": {"message": "m", "metadata": {"pid": "3"}, "error": ERROR, "marker_start": "s"},
    "RUN_FAILURE": {"reason": "VERSION_SKEW", "error": ERROR, "failed": ["a"]},
    "RUN_CANCELED": {"error": ERROR},
    "RUN_ENQUEUED": {"code_location_name": "loc", "repository_name": "r"},
    "HOOK_ERRORED": {"error": ERROR},
    "STEP_EXPECTATION_RESULT": {"success": False, "label": "l", "description": "d", "metadata": {"n": 1}},
    "RESOURCE_INIT_STARTED": {"resources": ["io_manager"]},
    "LOG": {"message": "hello", "level": 30},
}  # fmt: skip
NO_DATA = ("ASSET_", "OBJECT_STORE")  # their data is Dagster's own, passed through


def our_events() -> list[Event]:
    found = []
    for kind in EventKind:
        if not kind.value.startswith(NO_DATA):
            step = (
                "sub.a[k]"
                if kind.value.startswith(("STEP_", "HOOK_", "LOADED", "HANDLED", "RESOURCE", "LOG"))
                else None
            )
            found.append(Event(RUN_ID, 1, kind.value, step, step and 2, BODIES.get(kind.value, {}), 1700000000.25, 0.0))
    found += [
        Event(RUN_ID, 1, "STEP_FAILURE", "a", 1, {"cause": c.value, "error": ERROR}, 1.0, 0.0) for c in FailureCause
    ]
    return found


def our_runs() -> list[Run]:
    return [
        Run(RUN_ID, "a_job", origin_of("file"), {"ops": {}}, {"a": "1"}, RunStatus.CANCELING, ("a*",), ("a",), ("x/y", "b"), RUN_ID, RUN_ID),
        Run(RUN_ID, "a_job"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def dagster() -> dict[str, Any]:
    """What the Dagster side answers. One process for all tests of this module."""
    python = os.environ.get("RUNPLANE_DAGSTER_PYTHON")
    if not python:
        if os.environ.get("CI"):
            pytest.fail("RUNPLANE_DAGSTER_PYTHON is not set, and CI skips nothing")
        pytest.skip("RUNPLANE_DAGSTER_PYTHON names no Python with a Dagster in it")
    instance = read_step_args(TEXT_8).instance
    given = {
        "instance_ref": to_text(instance),
        "requests": {name: to_text(r) for name, r in {**requests_of(instance), **ours_only(instance)}.items()},
        "entries": [text for e in our_events() for text in entries_of(e, "a_job")],
        "runs": [run_to_dagster(run) for run in our_runs()],
    }
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "DAGSTER_HOME")}
    done = subprocess.run(
        [python, str(HERE / "documents_dagster_side.py")],
        input=json.dumps(given), env=env, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    answer["given"] = given
    return answer


def test_the_dagster_is_of_the_line_that_is_promised(dagster: dict[str, Any]) -> None:
    assert dagster["version"].startswith("1.13.")


def test_what_dagster_wrote_is_read_here_and_written_back_exactly(dagster: dict[str, Any]) -> None:
    expected = requests_of(read_step_args(TEXT_8).instance)
    readers = {"run": read_run_args, "resume": read_resume_args, "step": read_step_args}
    assert set(dagster["wrote"]) == set(expected)
    for name, wrote in dagster["wrote"].items():
        reader: Any = readers[name.partition("_")[0]]
        args = reader(wrote["text"])
        assert args == expected[name], name
        assert json.loads(to_text(args)) == as_we_write(json.loads(wrote["text"])), name


def as_we_write(tree: Any) -> Any:
    """Dagster writes a set or a frozenset as its own field happens to hold; the reader takes both, we write a set."""
    if isinstance(tree, dict):
        return {("__set__" if key == "__frozenset__" else key): as_we_write(item) for key, item in tree.items()}
    return [as_we_write(item) for item in tree] if isinstance(tree, list) else tree


def test_what_we_write_dagster_reads_field_by_field(dagster: dict[str, Any]) -> None:
    for name, wrote in dagster["wrote"].items():
        read = dagster["read"][name]
        assert read["fields"] == wrote["fields"], name
        assert as_we_write(json.loads(read["again"])) == as_we_write(json.loads(wrote["text"])), name


def test_what_only_we_write_dagster_reads_too(dagster: dict[str, Any]) -> None:
    issued = dagster["read"]["issued"]
    document = json.loads(dagster["given"]["requests"]["issued"])
    assert document.pop("runplane") == {"attempt": 3, "epoch": 2}
    assert json.loads(issued["again"]) == document
    assert (issued["fields"]["known_state"], issued["fields"]["retry_mode"], issued["fields"]["step_keys"]) == (
        False,
        "DISABLED",
        ["a"],
    )
    assert dagster["read"]["bare"]["fields"]["flag"] is None


def test_command_lines_are_the_same(dagster: dict[str, Any]) -> None:
    for name, request in requests_of(read_step_args(TEXT_8).instance).items():
        theirs = dagster["wrote"][name]
        if isinstance(request, ExecuteStepArgs):
            assert theirs["argv"][:3] == argv.step_command(request)
            assert list(theirs["env"]) == list(argv.step_environment(request))
            assert read_step_args(theirs["env"][argv.COMPRESSED_STEP_ARGS_ENV]) == request
        else:
            assert theirs["argv"][:3] == argv.run_command(request)[:3]
            assert from_text(theirs["argv"][3]) == request


def test_events_of_ours_are_read_there_without_loss(dagster: dict[str, Any]) -> None:
    ours = dagster["given"]["entries"]
    assert len(ours) > 35
    assert list(map(json.loads, dagster["entries"])) == list(map(json.loads, ours))


def test_runs_of_ours_are_read_there_without_loss(dagster: dict[str, Any]) -> None:
    ours = list(map(json.loads, dagster["given"]["runs"]))
    theirs = list(map(json.loads, dagster["runs"]))
    assert as_we_write(theirs) == as_we_write(ours)


def test_a_log_that_dagster_wrote_just_now(dagster: dict[str, Any]) -> None:
    events = events_from_entries(dagster["log"])
    assert {"STEP_UP_FOR_RETRY", "STEP_RESTARTED", "STEP_FAILURE", "RUN_FAILURE", "LOG"} <= {e.kind for e in events}
    assert [entries_of(e, "a_job")[-1] for e in events] == dagster["log"]
    assert [e.kind for e in events if KEPT in e.body] == []
    found = run_from_dagster(dagster["run"])
    assert run_to_dagster(*found) == dagster["run"]
    assert (found.run.status, found.run.tags["a"]) == (RunStatus.FAILURE, "1")
