"""Run by the Python of a real Dagster: reads what we wrote, and writes documents of its own.

In: JSON on stdin, ``{"requests": {name: text}, "entries": [text], "runs": [text]}``. Out: JSON on stdout,
``{"version", "read": {name: {"again", "fields"}}, "entries": [again], "runs": [again], "wrote": {name: {...}}, "log": [text], "run": text}``.
"""

import json
import sys
import warnings

warnings.simplefilter("ignore")

import dagster  # noqa: E402
from dagster import DagsterInstance, DynamicOut, DynamicOutput, RetryPolicy, job, op  # noqa: E402
from dagster._core.code_pointer import (  # noqa: E402
    AutoloadDefsModuleCodePointer,
    CustomPointer,
    FileCodePointer,
    ModuleCodePointer,
    PackageCodePointer,
)
from dagster._core.execution.plan.outputs import StepOutputHandle  # noqa: E402
from dagster._core.execution.plan.state import KnownExecutionState, PastExecutionState  # noqa: E402
from dagster._core.execution.retries import RetryMode  # noqa: E402
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin  # noqa: E402
from dagster._grpc.types import ExecuteRunArgs, ExecuteStepArgs, ResumeRunArgs  # noqa: E402
from dagster._serdes import deserialize_value, serialize_value  # noqa: E402

RUN_ID = "aaa0b6f8-b717-4aef-a4aa-4e1c590b960f"


def fields(args):
    """What Dagster sees, attribute by attribute, through nothing of its serialiser."""
    origin = args.job_origin
    repository = origin.repository_origin
    pointer = repository.code_pointer
    instance = args.instance_ref
    seen = {
        "class": type(args).__name__,
        "run_id": args.run_id,
        "job_name": origin.job_name,
        "executable_path": repository.executable_path,
        "container_image": repository.container_image,
        "entry_point": repository.entry_point and list(repository.entry_point),
        "container_context": repository.container_context and dict(repository.container_context),
        "pointer": type(pointer).__name__,
        "working_directory": getattr(pointer, "working_directory", None),
        "launcher": instance and [instance.run_launcher_data.module_name, instance.run_launcher_data.class_name],
        "launcher_config": instance and instance.run_launcher_data.config_yaml,
        "settings": instance and dict(instance.settings),
    }
    if isinstance(args, ExecuteStepArgs):
        seen["step_keys"] = args.step_keys_to_execute and list(args.step_keys_to_execute)
        seen["retry_mode"] = args.retry_mode and args.retry_mode.name
        seen["known_state"] = args.known_state is not None
        seen["verify"] = args.should_verify_step
        seen["print"] = args.print_serialized_events
    else:
        seen["flag"] = args.set_exit_code_on_failure
    return seen


def own_requests(instance):
    module = ModuleCodePointer("a.b", "f", "/app")
    pointers = {
        "file": FileCodePointer("x.py", "defs", None),
        "module": module,
        "package": PackageCodePointer("pkg", "attr", "/app"),
        "autoload": AutoloadDefsModuleCodePointer(module="m", working_directory="/app"),
        "custom": CustomPointer(module, [1, ["a"]], [["k", None]]),
    }
    context = {"k8s": {"env": [{"name": "USER", "value": "é"}], "namespace": "n"}}
    handle = StepOutputHandle("work[1]", "result", "k")
    past = PastExecutionState("parent", {handle}, PastExecutionState("root", set(), None))
    known = KnownExecutionState(
        {"a": 2}, {"dyn": {"result": ["1", "2"], "none": None}}, {handle: "v1"}, {handle, StepOutputHandle("a")}, past
    )
    found = {}
    for name, pointer in pointers.items():
        repository = RepositoryPythonOrigin("/usr/bin/python", pointer, "image:1", ["dagster"], context)
        origin = JobPythonOrigin("a_job", repository)
        found[f"run_{name}"] = ExecuteRunArgs(origin, RUN_ID, instance, set_exit_code_on_failure=name == "file" or None)
        found[f"resume_{name}"] = ResumeRunArgs(origin, RUN_ID, None)
        found[f"step_{name}"] = ExecuteStepArgs(
            origin,
            RUN_ID,
            ["a"] if name == "file" else None,
            instance_ref=instance,
            retry_mode=RetryMode.DEFERRED,
            known_state=known,
            should_verify_step=True,
            print_serialized_events=name == "module",
        )
    return found


@op(out=DynamicOut())
def dyn():
    yield DynamicOutput(1, mapping_key="k", metadata={"nan": float("nan"), "n": 1})


@op(retry_policy=RetryPolicy(max_retries=1, delay=0))
def flaky(context, x):
    context.log.warning("once")
    if context.retry_number == 0:
        raise ValueError("first")
    return x


@op
def boom(x):
    raise RuntimeError("x") from KeyError("k")


@job
def a_job():
    dyn().map(flaky).map(boom)


def main():
    given = json.load(sys.stdin)
    with DagsterInstance.ephemeral() as instance:
        ref = deserialize_value(given["instance_ref"])
        result = a_job.execute_in_process(instance=instance, raise_on_error=False, tags={"a": 1})
        own = own_requests(ref)
        out = {
            "version": dagster.__version__,
            "read": {},
            "entries": [serialize_value(deserialize_value(text)) for text in given["entries"]],
            "runs": [serialize_value(deserialize_value(text)) for text in given["runs"]],
            "wrote": {},
            "log": [serialize_value(entry) for entry in instance.all_logs(result.run_id)],
            "run": serialize_value(instance.get_run_by_id(result.run_id)),
        }
    for name, text in given["requests"].items():
        args = deserialize_value(text)
        out["read"][name] = {
            "again": serialize_value(args),
            "fields": fields(args),
            "argv": list(args.get_command_args()),
        }
    for name, args in own.items():
        wrote = {"text": serialize_value(args), "fields": fields(args), "argv": list(args.get_command_args())}
        if isinstance(args, ExecuteStepArgs):
            wrote["env"] = {entry["name"]: entry["value"] for entry in args.get_command_env()}
        out["wrote"][name] = wrote
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()
