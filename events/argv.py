"""Requests as command lines and environments, in Dagster's forms.

| request | command line | document |
|---|---|---|
| run, resume | ``exe api execute_run <plain>`` | argument, never compressed |
| step, by a Kubernetes executor | ``exe api execute_step`` | ``DAGSTER_COMPRESSED_EXECUTE_STEP_ARGS`` |
| step, by a Celery executor | ``exe api execute_step --compressed-input-json <compressed>`` | argument |

A launcher on the same machine gives run documents by an inherited descriptor, because ``ps`` shows arguments to everybody.
"""

from __future__ import annotations

from .origin import JobOrigin
from .requests import ExecuteRunArgs, ExecuteStepArgs, ResumeRunArgs
from .wire import to_compressed, to_text

RUN_ARGS_ENV = "DAGSTER_EXECUTE_RUN_ARGS"
COMPRESSED_RUN_ARGS_ENV = "DAGSTER_COMPRESSED_EXECUTE_RUN_ARGS"
STEP_ARGS_ENV = "DAGSTER_EXECUTE_STEP_ARGS"
COMPRESSED_STEP_ARGS_ENV = "DAGSTER_COMPRESSED_EXECUTE_STEP_ARGS"
RESUME_ARGS_ENV = "RUNPLANE_RESUME_RUN_ARGS"
COMPRESSED_RESUME_ARGS_ENV = "RUNPLANE_COMPRESSED_RESUME_RUN_ARGS"
"""Ours, both: Dagster's ``resume_run`` takes its document as an argument only."""
DOCUMENT_FD_ENV = "RUNPLANE_DOCUMENT_FD"
"""Number of an inherited descriptor from which a worker reads its document, plain (``launchers/document.py``)."""
PARENT_ENV = "RUNPLANE_PARENT_PID"
"""Id of the process with which a worker is to end (``job execute``): its run is canceled then. Of a step: it is killed then."""
WATCHER_ENV = "RUNPLANE_WATCHER_PID"
"""Id of the process that watches a run's worker, which is killed with it: its run is gone on with by somebody else."""


def entry_command(origin: JobOrigin) -> list[str]:
    """The words before ``api``: the code location's entry point, or this package run by its Python."""
    repository = origin.repository_origin
    return list(repository.entry_point) if repository.entry_point else [repository.executable_path, "-m", "runplane"]


def run_command(args: ExecuteRunArgs | ResumeRunArgs) -> list[str]:
    """The whole command line of a run or a resume, the plain document as its last word. Raises DocumentError."""
    return [*run_entry(args), to_text(args)]


def run_entry(args: ExecuteRunArgs | ResumeRunArgs) -> list[str]:
    """The same without the document, for a process that gets it in another way."""
    verb = "execute_run" if isinstance(args, ExecuteRunArgs) else "resume_run"
    return [*entry_command(args.origin), "api", verb]


def step_command(args: ExecuteStepArgs) -> list[str]:
    """The command line of a step whose document is in ``step_environment``."""
    return [*entry_command(args.origin), "api", "execute_step"]


def step_environment(args: ExecuteStepArgs) -> dict[str, str]:
    """The document of a step as an environment variable, compressed. Raises DocumentError."""
    return {COMPRESSED_STEP_ARGS_ENV: to_compressed(args)}


def step_command_with_document(args: ExecuteStepArgs) -> list[str]:
    """The whole command line of a step, the compressed document as its last word. Raises DocumentError."""
    return [*step_command(args), "--compressed-input-json", to_compressed(args)]
