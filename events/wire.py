"""How requests, origins and instance refs look in Dagster's documents, and the readers and writers that use it.

The table below is the only place that knows stored names. Source: documents that Dagster 1.13 wrote.
"""

from __future__ import annotations

from typing import Any, TypeVar

from ..errors import DocumentError, nearest
from ..serdes.compression import compress, decode_utf8, decompress, is_compressed
from ..serdes.dagster_format import Codec, Field, Plain, Registry
from ..serdes.json_text import parse
from ..serdes.limits import Bounds
from ..serdes.shapes import (
    BOOL,
    FLAG,
    FREE,
    INT,
    JSON_MAP,
    TEXT,
    Instance,
    ListOf,
    MapOf,
    Member,
    Optional,
    OrEmpty,
    SetOf,
)
from .origin import (
    AutoloadDefsModuleCodePointer,
    CustomPointer,
    FileCodePointer,
    JobOrigin,
    ModuleCodePointer,
    PackageCodePointer,
    RepositoryOrigin,
)
from .requests import (
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
)

REQUEST_BOUNDS = Bounds(text=16 * 1024 * 1024)
"""A request of ours has some kB; one of Dagster's grows with the plan."""

REGISTRY = Registry()
"""Every class that a request may hold. It keeps what it does not know; the readers below use a strict view of it."""

_CLASS_DATA = Optional(Instance(ConfigurableClassData))
_POINTERS = (
    FileCodePointer,
    ModuleCodePointer,
    PackageCodePointer,
    AutoloadDefsModuleCodePointer,
    CustomPointer,
)
_DIRECTORY = Field("working_directory", Optional(TEXT))

REGISTRY.add_enum(RetryMode, "RetryMode")
REGISTRY.add(
    FileCodePointer,
    "FileCodePointer",
    [Field("python_file", TEXT, required=True), Field("fn_name", TEXT, required=True), _DIRECTORY],
)
REGISTRY.add(
    ModuleCodePointer,
    "ModuleCodePointer",
    [Field("module", TEXT, required=True), Field("fn_name", TEXT, required=True), _DIRECTORY],
)
REGISTRY.add(
    PackageCodePointer,
    "PackageCodePointer",
    [Field("module", TEXT, required=True), Field("attribute", TEXT, required=True), _DIRECTORY],
)
REGISTRY.add(
    AutoloadDefsModuleCodePointer,
    "AutoloadDefsModuleCodePointer",
    [Field("module", TEXT, required=True), _DIRECTORY],
)
REGISTRY.add(
    CustomPointer,
    "CustomPointer",
    [
        Field("reconstructor_pointer", Instance(*_POINTERS), required=True),
        Field("reconstructable_args", ListOf(FREE), required=True),
        Field("reconstructable_kwargs", ListOf(ListOf(FREE)), required=True),
    ],
)
REGISTRY.add(
    RepositoryOrigin,
    "RepositoryPythonOrigin",
    [
        Field("executable_path", TEXT, required=True),
        Field("code_pointer", Instance(*_POINTERS), required=True),
        Field("container_image", Optional(TEXT)),
        Field("entry_point", Optional(ListOf(TEXT))),
        Field("container_context", Optional(JSON_MAP)),
    ],
)
REGISTRY.add(
    JobOrigin,
    "PipelinePythonOrigin",
    [
        Field("job_name", TEXT, "pipeline_name", also=("job_name",), required=True),
        Field("repository_origin", Instance(RepositoryOrigin), required=True),
    ],
)
REGISTRY.add(
    ConfigurableClassData,
    "ConfigurableClassData",
    [
        Field("module", TEXT, "module_name", required=True),
        Field("class_name", TEXT, required=True),
        Field("config_yaml", TEXT, required=True),
    ],
)
REGISTRY.add(
    InstanceRef,
    "InstanceRef",
    [
        Field("local_artifact_storage", _CLASS_DATA, "local_artifact_storage_data", required=True),
        Field("compute_logs", _CLASS_DATA, "compute_logs_data", required=True),
        Field("scheduler", _CLASS_DATA, "scheduler_data", required=True),
        Field("run_coordinator", _CLASS_DATA, "run_coordinator_data", required=True),
        Field("run_launcher", _CLASS_DATA, "run_launcher_data", required=True),
        Field("settings", JSON_MAP, required=True),
        Field("run_storage", _CLASS_DATA, "run_storage_data", required=True),
        Field("event_storage", _CLASS_DATA, "event_storage_data", required=True),
        Field("schedule_storage", _CLASS_DATA, "schedule_storage_data", required=True),
        Field("custom_instance_class", _CLASS_DATA, "custom_instance_class_data"),
        Field("storage", _CLASS_DATA, "storage_data"),
        Field("secrets_loader", _CLASS_DATA, "secrets_loader_data"),
        Field("defs_state_storage", _CLASS_DATA, "defs_state_storage_data"),
    ],
    once=True,  # a process has one instance, and writes it into every request
)
REGISTRY.add(
    StepOutputHandle,
    "StepOutputHandle",
    [Field("step_key", TEXT, required=True), Field("output_name", TEXT), Field("mapping_key", Optional(TEXT))],
)
REGISTRY.add(
    StepOutputVersionData,
    "StepOutputVersionData",
    [
        Field("step_output_handle", Instance(StepOutputHandle), required=True),
        Field("version", TEXT, required=True),
    ],
)
REGISTRY.add(
    PastExecutionState,
    "PastExecutionState",
    [
        Field("run_id", TEXT, required=True),
        Field("produced_outputs", SetOf(Instance(StepOutputHandle)), required=True),
        Field("parent_state", Optional(Instance(PastExecutionState))),
    ],
)
REGISTRY.add(
    KnownExecutionState,
    "KnownExecutionState",
    [
        Field("previous_retry_attempts", OrEmpty(MapOf(INT), {})),
        Field("dynamic_mappings", OrEmpty(MapOf(MapOf(Optional(ListOf(TEXT)))), {})),
        Field("step_output_versions", OrEmpty(ListOf(Instance(StepOutputVersionData)), [])),
        Field("ready_outputs", OrEmpty(SetOf(Instance(StepOutputHandle)), {"__set__": []})),
        Field("parent_state", Optional(Instance(PastExecutionState))),
    ],
)

_REQUEST_FIELDS = [
    Field("instance", Optional(Instance(InstanceRef)), "instance_ref", required=True),
    Field("origin", Instance(JobOrigin), "pipeline_origin", also=("job_origin",), required=True),
    Field("run_id", TEXT, "pipeline_run_id", also=("run_id",), required=True),
]
_ISSUED = Codec(IssuedAttempt, None, [Field("attempt", INT, required=True), Field("epoch", INT, required=True)])
for _cls in (ExecuteRunArgs, ResumeRunArgs):
    REGISTRY.add(_cls, _cls.__name__, [*_REQUEST_FIELDS, Field("set_exit_code_on_failure", FLAG)])
REGISTRY.add(
    ExecuteStepArgs,
    "ExecuteStepArgs",
    [
        *_REQUEST_FIELDS,
        Field("step_keys", Optional(ListOf(TEXT)), "step_keys_to_execute", required=True),
        Field("known_state", Optional(Instance(KnownExecutionState))),
        Field("print_serialized_events", BOOL),
        Field("retry_mode", Optional(Member(RetryMode))),
        Field("should_verify_step", BOOL),
        Field("issued", Optional(Plain(_ISSUED)), "runplane", skip_if_null=True),
    ],
)

_STRICT = REGISTRY.as_strict()
_Request = TypeVar("_Request", ExecuteRunArgs, ResumeRunArgs, ExecuteStepArgs)


def to_text(value: Any) -> str:
    """The plain document of a request, an origin, an instance ref or anything in them. Raises DocumentError."""
    return REGISTRY.write(value, REQUEST_BOUNDS)


def to_compressed(value: Any) -> str:
    """The compressed document. Raises DocumentError."""
    return compress(to_text(value))


def from_text(text: str | bytes) -> Any:
    """Any document of this module, plain or compressed; classes it does not know are kept as ``UnknownObject``.

    Raises:
        DocumentError: it can not be read.
    """
    return REGISTRY.read(plain_text(text), REQUEST_BOUNDS)


def read_run_args(text: str | bytes) -> ExecuteRunArgs:
    """The request of ``api execute_run``, plain or compressed.

    Raises:
        DocumentError: not readable, another class, or an unknown class in one of its fields.
    """
    return _read(text, ExecuteRunArgs)


def read_resume_args(text: str | bytes) -> ResumeRunArgs:
    """The request of ``api resume_run``. Raises as ``read_run_args``."""
    return _read(text, ResumeRunArgs)


def read_step_args(text: str | bytes) -> ExecuteStepArgs:
    """The request of ``api execute_step``. Raises as ``read_run_args``."""
    return _read(text, ExecuteStepArgs)


def plain_text(text: str | bytes) -> str:
    """The JSON text of a document that may be compressed. Raises DocumentError."""
    found = decode_utf8(text) if isinstance(text, bytes) else text
    return decompress(found, REQUEST_BOUNDS) if found.strip() and is_compressed(found) else found


def _read(text: str | bytes, cls: type[_Request]) -> _Request:
    tree = parse(plain_text(text), REQUEST_BOUNDS)
    name = tree.get("__class__") if type(tree) is dict else None
    if name != cls.__name__:
        got = f"a {name[:80]}" if type(name) is str else "no __class__"
        close = nearest(name, REGISTRY.class_names) if type(name) is str and name not in REGISTRY.class_names else None
        hint = _verb_hint(name)
        raise DocumentError(
            "not the document this verb takes", got=got, expected=cls.__name__, nearest=close, hint=hint
        )
    found = _STRICT.read_tree(tree, REQUEST_BOUNDS)
    if not isinstance(found, cls):
        raise DocumentError("not the document this verb takes", expected=cls.__name__)
    return found


def _verb_hint(name: Any) -> str | None:
    verbs = {"ExecuteRunArgs": "execute_run", "ResumeRunArgs": "resume_run", "ExecuteStepArgs": "execute_step"}
    return f"That is the document of `api {verbs[name]}`." if type(name) is str and name in verbs else None
