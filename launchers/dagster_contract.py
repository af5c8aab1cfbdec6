"""Dagster's contract of a run launcher: what a class written for it is given and may answer.

A launcher of that kind changes its import and nothing else::

    from runplane.launchers.dagster_contract import CheckRunHealthResult, RunLauncher, WorkerStatus

Inheriting is not needed; the adapter (``instance/dagster_shaped.py``) looks at the methods only.
Source: https://docs.dagster.io/api/dagster/internals (RunLauncher), and the contract's members as listed there.
"""

from __future__ import annotations

import abc
import sys
import weakref
from collections.abc import Mapping
from enum import Enum
from typing import Any

from ..events import Run, RunStatus
from ..events.argv import entry_command
from ..events.origin import JobOrigin
from ..serdes.record import record


class DagsterRun:
    """A run under Dagster's names of its fields."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def run_id(self) -> str:
        """UUID text."""
        return self._run.run_id

    @property
    def job_name(self) -> str:
        """The job's name."""
        return self._run.job_name

    @property
    def run_config(self) -> Mapping[str, Any]:
        """As the user gave it, environment sources unresolved."""
        return self._run.run_config

    @property
    def tags(self) -> Mapping[str, str]:
        """Text to text."""
        return self._run.tags

    @property
    def status(self) -> RunStatus:
        """Where the run stands."""
        return self._run.status

    @property
    def is_finished(self) -> bool:
        """Whether the status is final."""
        return self._run.status.is_final

    @property
    def job_code_origin(self) -> JobOrigin | None:
        """Where the job's code is."""
        return self._run.origin

    @property
    def step_keys_to_execute(self) -> tuple[str, ...] | None:
        """The steps asked for, or None for all."""
        return self._run.step_keys

    @property
    def parent_run_id(self) -> str | None:
        """The run that this one repeats."""
        return self._run.parent_run_id

    @property
    def root_run_id(self) -> str | None:
        """The first run of the lineage."""
        return self._run.root_run_id

    def tags_for_storage(self) -> Mapping[str, str]:
        """The tags."""
        return self._run.tags


@record
class LaunchRunContext:
    """What `launch_run` is given.

    Attributes:
        dagster_run: the run.
        workspace: always None: code is found by the run's origin.
        document: the text for `api execute_run`; ours, Dagster's launchers build it themselves.
        env: variables that the worker needs; ours.
    """

    dagster_run: DagsterRun
    workspace: None
    document: str
    env: Mapping[str, str]

    @property
    def job_code_origin(self) -> JobOrigin | None:
        """The run's origin."""
        return self.dagster_run.job_code_origin

    @property
    def command(self) -> list[str]:
        """The argument list of the worker: the origin's entry point, `api`, the verb, the document."""
        origin = self.job_code_origin
        entry = entry_command(origin) if origin else [sys.executable, "-m", "runplane"]
        return [*entry, "api", self._verb, self.document]

    @property
    def _verb(self) -> str:
        return "execute_run"


@record
class ResumeRunContext(LaunchRunContext):
    """What `resume_run` is given. `resume_attempt_number` counts from 1."""

    resume_attempt_number: int = 1

    @property
    def _verb(self) -> str:
        return "resume_run"


class WorkerStatus(Enum):
    """Dagster's answers to "how is the worker?"."""

    RUNNING = "RUNNING"
    NOT_FOUND = "NOT_FOUND"
    FAILED = "FAILED"
    SUCCESS = "SUCCESS"
    UNKNOWN = "UNKNOWN"


@record
class CheckRunHealthResult:
    """The answer of `check_run_worker_health`; `transient` says that asking again may give another one."""

    status: WorkerStatus
    msg: str | None = None
    transient: bool | None = None
    run_worker_id: str | None = None


class RunLauncher(abc.ABC):
    """The base that a launcher of Dagster's kind derives from. `launch_run` and `terminate` are wanted, the rest has defaults."""

    _instance_ref: weakref.ref[Any] | None = None
    inst_data: Any = None

    @classmethod
    def config_type(cls) -> Any:
        """The shape of `config`: a mapping of names to Python types or schemas."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> RunLauncher:
        """Build it from the checked and resolved `config`. Every key becomes an argument of the constructor."""
        launcher = cls(**config_value)
        launcher.inst_data = inst_data
        return launcher

    @abc.abstractmethod
    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the worker and return."""

    @abc.abstractmethod
    def terminate(self, run_id: str) -> bool:
        """Tell the worker to end; whether that was delivered. Idempotent."""

    def register_instance(self, instance: Any) -> None:
        """Called once, before anything else. The launcher does not keep the instance alive."""
        self._instance_ref = weakref.ref(instance)

    @property
    def _instance(self) -> Any:
        """The instance. Raises RuntimeError before `register_instance` and after the instance is gone."""
        instance = self._instance_ref() if self._instance_ref else None
        if instance is None:
            raise RuntimeError(
                f"{type(self).__name__} has no instance: it was not registered with one, or it is closed"
            )
        return instance

    @property
    def supports_resume_run(self) -> bool:
        """Whether `resume_run` is there."""
        return False

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether `check_run_worker_health` is there."""
        return False

    def join(self, timeout: int = 30) -> None:
        """Wait for the runs that this process holds. By default there are none."""
        return

    def dispose(self) -> None:
        """Called when the instance closes. By default there is nothing to close."""
        return
