"""Requests: the description's documents, round trips, what is refused, sizes, command lines."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from runplane.errors import DocumentError
from runplane.events import argv
from runplane.events.origin import (
    AutoloadDefsModuleCodePointer,
    CustomPointer,
    FileCodePointer,
    JobOrigin,
    ModuleCodePointer,
    PackageCodePointer,
    RepositoryOrigin,
)
from runplane.events.requests import (
    ConfigurableClassData,
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
    request_origin,
)
from runplane.events.wire import from_text, read_resume_args, read_run_args, read_step_args, to_compressed, to_text
from runplane.serdes.compression import compress, decompress
from scale import scaled

DESCRIPTION = Path(__file__).parents[2] / "fixtures" / "description"
TEXT_7 = (DESCRIPTION / "text7.b64").read_text().strip()
TEXT_8 = (DESCRIPTION / "text8.json").read_text()
POD_6 = yaml.safe_load((DESCRIPTION / "text6.yaml").read_text())["spec"]["containers"][0]
TEXT_6 = POD_6["args"][3]
NEWER_FIELD = '"defs_state_storage_data": null, '  # the description's Dagster did not have it yet


# ---------------------------------------------------------------------------------------------- the description's documents


def test_the_run_of_the_description() -> None:
    args = read_run_args(TEXT_6)
    assert args.run_id == "aaa0b6f8-b717-4aef-a4aa-4e1c590b960f"
    assert args.set_exit_code_on_failure is False
    assert args.origin.job_name == "process_numbers_k8s"
    assert args.origin.repository_origin.code_pointer == FileCodePointer("workflows/definitions.py", "defs", "/app")
    assert args.instance is not None
    assert args.instance.run_launcher is not None
    assert (args.instance.run_launcher.module, args.instance.run_launcher.class_name) == (
        "dagster_k8s",
        "K8sRunLauncher",
    )
    assert to_text(args).replace(NEWER_FIELD, "") == TEXT_6
    assert argv.run_command(args)[:3] == POD_6["args"][:3]


def test_the_step_of_the_description_plain_and_compressed() -> None:
    args = read_step_args(TEXT_7)
    assert args == read_step_args(TEXT_8)
    assert args.step_keys == ("generate_numbers",)
    assert args.retry_mode is RetryMode.DEFERRED
    assert args.should_verify_step is True
    assert args.known_state == KnownExecutionState()
    assert args.issued is None
    assert json.loads(to_text(args).replace(NEWER_FIELD, "")) == json.loads(TEXT_8)


def test_text_7_decodes_to_text_8_and_compresses_to_itself() -> None:
    plain = decompress(TEXT_7)
    assert json.loads(plain) == json.loads(TEXT_8)
    assert compress(plain) == TEXT_7
    assert compress(to_text(read_step_args(TEXT_7)).replace(NEWER_FIELD, "")) == TEXT_7


def test_the_pods_around_the_documents_are_kept_too() -> None:
    pod = yaml.safe_load((DESCRIPTION / "text7.yaml").read_text())["spec"]["containers"][0]
    assert argv.step_command(read_step_args(TEXT_7)) == pod["args"]
    env = {entry["name"]: entry.get("value") for entry in pod["env"]}
    assert env[argv.COMPRESSED_STEP_ARGS_ENV] == TEXT_7


# ----------------------------------------------------------------------------------------------------------- round trips

names = st.text(max_size=12)
maybe = st.none() | names
plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | names,
    lambda i: st.lists(i, max_size=3) | st.dictionaries(names, i, max_size=3),
    max_leaves=6,
)
json_maps = st.dictionaries(names, plain_json, max_size=3)
extras = st.dictionaries(st.text(min_size=1, max_size=8).map("newer_".__add__), plain_json, max_size=2)
class_data = st.builds(ConfigurableClassData, names, names, names, extras)
maybe_class = st.none() | class_data
instances = st.builds(
    InstanceRef, maybe_class, maybe_class, maybe_class, maybe_class, maybe_class, json_maps, *[maybe_class] * 7, extras
)
simple_pointers = st.one_of(
    st.builds(FileCodePointer, names, names, maybe, extras),
    st.builds(ModuleCodePointer, names, names, maybe, extras),
    st.builds(PackageCodePointer, names, names, maybe, extras),
    st.builds(AutoloadDefsModuleCodePointer, names, maybe, extras),
)
pointers = simple_pointers | st.builds(
    CustomPointer,
    simple_pointers,
    st.lists(names | st.integers() | st.frozensets(names, max_size=2), max_size=2).map(tuple),
    st.lists(st.tuples(names, names | st.none()), max_size=2).map(tuple),
    extras,
)
origins = st.builds(
    JobOrigin,
    names,
    st.builds(
        RepositoryOrigin,
        names,
        pointers,
        maybe,
        st.none() | st.lists(names, max_size=2).map(tuple),
        st.none() | json_maps,
        extras,
    ),
    extras,
)
handles = st.builds(StepOutputHandle, names, names, maybe)
pasts = st.recursive(
    st.builds(PastExecutionState, names, st.frozensets(handles, max_size=2)),
    lambda inner: st.builds(PastExecutionState, names, st.frozensets(handles, max_size=2), inner, extras),
    max_leaves=3,
)
known_states = st.builds(
    KnownExecutionState,
    st.dictionaries(names, st.integers(), max_size=2),
    st.dictionaries(
        names, st.dictionaries(names, st.none() | st.lists(names, max_size=2).map(tuple), max_size=2), max_size=2
    ),
    st.lists(st.builds(StepOutputVersionData, handles, names, extras), max_size=2).map(tuple),
    st.frozensets(handles, max_size=3),
    st.none() | pasts,
    extras,
)
requests = st.one_of(
    st.builds(ExecuteRunArgs, st.none() | instances, origins, names, st.booleans(), extras),
    st.builds(ResumeRunArgs, st.none() | instances, origins, names, st.booleans(), extras),
    st.builds(
        ExecuteStepArgs,
        st.none() | instances,
        origins,
        names,
        st.none() | st.lists(names, max_size=3).map(tuple),
        st.none() | known_states,
        st.booleans(),
        st.none() | st.sampled_from(RetryMode),
        st.booleans(),
        st.none() | st.builds(IssuedAttempt, st.integers(1), st.integers(0), extras),
        extras,
    ),
)
READERS: dict[type, Callable[[str], Any]] = {
    ExecuteRunArgs: read_run_args,
    ResumeRunArgs: read_resume_args,
    ExecuteStepArgs: read_step_args,
}


@given(requests)
@settings(max_examples=scaled(50, long=2_000))
def test_round_trip(request: Any) -> None:
    # kwargs of a custom pointer come back as lists; that is what a document can say
    text = to_text(request)
    read = READERS[type(request)](text)
    assert to_text(read) == text
    assert read == request
    assert from_text(to_compressed(request)) == request
    assert text == json.dumps(json.loads(text), sort_keys=True)


# -------------------------------------------------------------------------------------------------------- what is refused

ALL = [read_run_args, read_resume_args, read_step_args, from_text]


def read_all(text: str | bytes) -> int:
    """How many readers took it. Anything but DocumentError fails the test by itself."""
    taken = 0
    for reader in ALL:
        try:
            reader(text)
            taken += 1
        except DocumentError:
            pass
    return taken


@pytest.mark.parametrize("seed", range(40))
def test_a_mutilated_document_gives_one_typed_error(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        text = bytearray(rng.choice([TEXT_6, TEXT_7, TEXT_8]).encode())
        for _ in range(rng.randint(1, 3)):
            kind, at = rng.randrange(4), rng.randrange(len(text))
            if kind == 0:
                text[at] = rng.randrange(256)
            elif kind == 1:
                del text[at:]
                text.append(32)
            elif kind == 2:
                del text[at : at + rng.randint(1, 30)]
                text.append(32)
            else:
                text[at:at] = rng.choice([b'"', b"{", b"[", b"null", b"9" * 5000, b"\x00", b"[" * 3000])
        read_all(bytes(text))
        read_all(bytes(text).decode("utf-8", "surrogateescape"))


def test_bits_flipped_inside_the_stream_are_noticed() -> None:
    data = bytearray(base64.b64decode(TEXT_7))
    rng = random.Random(7)
    for _ in range(300):
        at, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
        data[at] ^= bit
        with pytest.raises(DocumentError):
            read_step_args(base64.b64encode(bytes(data)).decode())
        data[at] ^= bit
    assert read_step_args(base64.b64encode(bytes(data)).decode()) == read_step_args(TEXT_7)


@given(st.text() | st.binary())
def test_anything_else_gives_one_typed_error(text: str | bytes) -> None:
    assert read_all(text) in (0, 1)  # `null` and the like are values, of no request


def paths(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [at, *(path for key, item in inner for path in paths(item, (*at, key)))]


def test_a_wrong_type_at_any_place_is_refused_or_kept() -> None:
    document = json.loads(TEXT_8)
    for path in paths(document)[1:]:
        for wrong in (
            None,
            True,
            7,
            1.5,
            "x",
            [],
            {},
            [[]],
            {"__class__": "X"},
            {"__set__": 1},
            {"__enum__": "RetryMode.X"},
            {"__class__": "StepOutputHandle", "step_key": "a"},
        ):
            changed = json.loads(TEXT_8)
            parent = changed
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = wrong
            read_all(json.dumps(changed))


def test_bombs_and_depth() -> None:
    bomb = base64.b64encode(zlib.compress(b'{"a": "' + b"x" * 50_000_000 + b'"}')).decode()
    with pytest.raises(DocumentError, match="too large once inflated"):
        read_step_args(bomb)
    with pytest.raises(DocumentError, match="nested too deeply"):
        read_run_args('{"__class__": "ExecuteRunArgs", "x": ' + "[" * 50_000 + "]" * 50_000 + "}")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(__class__="ExecuteRunArg"), "got a ExecuteRunArg, expected ExecuteRunArgs.* Did you mean 'ExecuteRunArgs'"),
        (lambda d: d.update(__class__="ExecuteStepArgs"), "That is the document of `api execute_step`"),
        (lambda d: d.pop("__class__"), "no __class__"),
        (lambda d: d.pop("instance_ref"), "lacks the field 'instance_ref'"),
        (lambda d: d.pop("pipeline_run_id"), "lacks the field 'pipeline_run_id'"),
        (lambda d: d.update(pipeline_run_id=3), "pipeline_run_id: not text"),
        (lambda d: d.update(pipeline_origin=None), "pipeline_origin: not the right class .got None, expected PipelinePythonOrigin"),
        (lambda d: d["pipeline_origin"].update(__class__="PipelinePythonOrigine"), "pipeline_origin: unknown class .* Did you mean 'PipelinePythonOrigin'"),
        (
            lambda d: d["pipeline_origin"]["repository_origin"]["code_pointer"].update(__class__="FilesCodePointer"),
            r"pipeline_origin.repository_origin.code_pointer: unknown class 'FilesCodePointer'. Did you mean 'FileCodePointer'",
        ),
        (lambda d: d["instance_ref"].update(compute_logs_data=d["pipeline_origin"]), "instance_ref.compute_logs_data: not the right class"),
        (lambda d: d.update(run_id="another"), "'pipeline_run_id' and 'run_id' are the same field and differ"),
    ],
)  # fmt: skip
def test_a_document_that_the_verb_can_not_use(change: Callable[[dict[str, Any]], Any], says: str) -> None:
    document = json.loads(TEXT_6)
    change(document)
    with pytest.raises(DocumentError, match=says):
        read_run_args(json.dumps(document))


def test_python_names_are_read_too() -> None:
    document = json.loads(TEXT_6)
    document["run_id"] = document.pop("pipeline_run_id")
    document["job_origin"] = document.pop("pipeline_origin")
    document["job_origin"]["job_name"] = document["job_origin"].pop("pipeline_name")
    assert read_run_args(json.dumps(document)) == read_run_args(TEXT_6)


def test_what_a_newer_dagster_adds_is_kept() -> None:
    document = json.loads(TEXT_8)
    document["new_field"] = {"__class__": "NewThing", "a": {"__set__": [1]}}
    document["instance_ref"]["vault"] = None
    document["pipeline_origin"]["repository_origin"]["code_pointer"]["sha"] = "abc"
    again = json.loads(to_text(read_step_args(json.dumps(document))))
    again["instance_ref"].pop("defs_state_storage_data")
    assert again == document


# ------------------------------------------------------------------------------------------------------- ours: form, size


def our_step(plan_size: int = 1) -> ExecuteStepArgs:
    theirs = read_step_args(TEXT_8)
    origin = request_origin(theirs.origin)
    return ExecuteStepArgs(
        theirs.instance,
        origin,
        theirs.run_id,
        (f"step_{plan_size}",),
        retry_mode=RetryMode.DEFERRED,
        issued=IssuedAttempt(12, 3),
    )


def test_a_step_document_of_ours_says_its_attempt_and_no_known_state() -> None:
    document = json.loads(to_text(our_step()))
    assert document["runplane"] == {"attempt": 12, "epoch": 3}
    assert document["known_state"] is None
    assert "runplane" not in json.loads(to_text(replace(our_step(), issued=None)))


def test_a_document_is_one_kilobyte_plus_the_instance_whatever_the_plan() -> None:
    step = our_step()
    run = ExecuteRunArgs(step.instance, step.origin, step.run_id, True)
    instance = len(to_text(step.instance))
    for request in (step, run, ResumeRunArgs(step.instance, step.origin, step.run_id)):
        assert len(to_text(request)) <= 1000 + instance
        assert len(to_text(replace(request, instance=None))) <= 1000
    sizes = {len(to_text(our_step(size))) - len(str(size)) for size in (1, 1000, 100_000)}
    assert len(sizes) == 1
    # and the container context is what made it larger
    assert len(to_text(request_origin(step.origin))) < len(to_text(read_step_args(TEXT_8).origin)) - 400


def test_the_flag_is_true_or_null() -> None:
    step = our_step()
    assert '"set_exit_code_on_failure": true' in to_text(ExecuteRunArgs(None, step.origin, "r", True))
    assert '"set_exit_code_on_failure": null' in to_text(ExecuteRunArgs(None, step.origin, "r", False))


# -------------------------------------------------------------------------------------------------------- command lines


def test_command_lines() -> None:
    origin = JobOrigin("j", RepositoryOrigin("/usr/bin/python3", ModuleCodePointer("m", "f"), entry_point=("dagster",)))
    run, resume = ExecuteRunArgs(None, origin, "r"), ResumeRunArgs(None, origin, "r")
    step = ExecuteStepArgs(None, origin, "r", ("a",))
    assert argv.run_command(run) == ["dagster", "api", "execute_run", to_text(run)]
    assert argv.run_command(resume) == ["dagster", "api", "resume_run", to_text(resume)]
    assert argv.step_command(step) == ["dagster", "api", "execute_step"]
    assert argv.step_environment(step) == {"DAGSTER_COMPRESSED_EXECUTE_STEP_ARGS": to_compressed(step)}
    assert argv.step_command_with_document(step)[3:] == ["--compressed-input-json", to_compressed(step)]


@pytest.mark.parametrize("entry_point", [None, ()])
def test_without_an_entry_point_the_locations_python_runs_this_package(entry_point: tuple[str, ...] | None) -> None:
    origin = JobOrigin("j", RepositoryOrigin("/usr/bin/python3", ModuleCodePointer("m", "f"), entry_point=entry_point))
    assert argv.entry_command(origin) == ["/usr/bin/python3", "-m", "runplane"]


def test_importing_requests_and_their_readers_stays_light() -> None:
    code = "import sys, runplane.events.requests, runplane.events.argv; print(*sorted(sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    )
    heavy = {
        "yaml",
        "msgspec",
        "pydantic",
        "sqlalchemy",
        "click",
        "rich",
        "asyncio",
        "subprocess",
        "socket",
        "logging",
        "typing_extensions",
    }
    assert not loaded & heavy
