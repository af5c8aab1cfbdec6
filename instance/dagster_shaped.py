"""A launcher written for Dagster's contract behind ours.

Dagster asks a launcher what it can do by flags (`supports_resume_run`, `supports_check_run_worker_health`); here an ability is a
method that is there or not. So the flags are read once, when the launcher is wrapped, and choose the wrapper's class.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ..errors import RunplaneError
from ..events import Run
from ..launchers.contract import Health, HealthState, LaunchRequest, RunLauncher, TerminateResult, WorkerHandle
from ..launchers.dagster_contract import DagsterRun, LaunchRunContext, ResumeRunContext

GetRun = Callable[[str], Run]
"""Reads a run by its id: Dagster's health check wants the run, ours knows its id."""

_log = logging.getLogger(__name__)
_STATES = {
    "RUNNING": HealthState.ALIVE,
    "SUCCESS": HealthState.GONE,
    "FAILED": HealthState.GONE,
    "NOT_FOUND": HealthState.GONE,
    "UNKNOWN": HealthState.UNKNOWN,
}


class DagsterShapedLauncher:
    """Our ``RunLauncher`` around one of Dagster's. Use :func:`as_run_launcher` to make one.

    Attributes:
        wrapped: the launcher of Dagster's kind.
        kind: the handle's kind: the class of `wrapped`.
    """

    def __init__(self, wrapped: Any, get_run: GetRun) -> None:
        self.wrapped = wrapped
        self._get_run = get_run
        self.kind = f"{type(wrapped).__module__}:{type(wrapped).__qualname__}"

    def bind(self, instance: Any) -> None:
        """Give the wrapped launcher the instance, if it wants it (`register_instance`). Called once."""
        register = getattr(self.wrapped, "register_instance", None)
        if register is not None:
            register(instance)

    def launch(self, request: LaunchRequest) -> WorkerHandle:
        """``launch_run``; what it raises fails the run."""
        self.wrapped.launch_run(
            LaunchRunContext(DagsterRun(request.run), workspace=None, document=request.document, env=request.env)
        )
        return WorkerHandle(self.kind)

    def terminate(self, run_id: str, handle: WorkerHandle) -> TerminateResult:
        """``terminate``: true is delivered, false is that there was nothing to tell, an exception is no answer."""
        try:
            delivered = self.wrapped.terminate(run_id)
        except Exception:  # noqa: BLE001 - a plug-in's any failure means that we do not know
            _log.warning("%s could not terminate the worker of run %s", self.kind, run_id, exc_info=True)
            return TerminateResult.UNKNOWN
        return TerminateResult.DELIVERED if delivered else TerminateResult.NOT_FOUND

    def close(self) -> None:
        """``dispose``."""
        dispose = getattr(self.wrapped, "dispose", None)
        if dispose is not None:
            dispose()


class _Checking(DagsterShapedLauncher):
    def check(self, run_id: str, handle: WorkerHandle) -> Health:
        """``check_run_worker_health``. A transient answer, an exception and a word that is not known are UNKNOWN."""
        try:
            result = self.wrapped.check_run_worker_health(DagsterRun(self._get_run(run_id)))
        except Exception as error:  # noqa: BLE001 - unknown is not gone, whatever went wrong
            return Health(HealthState.UNKNOWN, f"{self.kind} could not say: {type(error).__name__}: {error}")
        word = str(getattr(result.status, "value", result.status))
        state = HealthState.UNKNOWN if getattr(result, "transient", None) else _STATES.get(word, HealthState.UNKNOWN)
        message = getattr(result, "msg", None)
        return Health(state, f"{self.kind} says {word}" + (f": {message}" if message else ""))


class _Resuming(DagsterShapedLauncher):
    def resume(self, request: LaunchRequest) -> WorkerHandle:
        """``resume_run``; what it raises is the caller's to judge."""
        context = ResumeRunContext(
            DagsterRun(request.run),
            workspace=None,
            document=request.document,
            env=request.env,
            resume_attempt_number=request.resume_attempt,
        )
        self.wrapped.resume_run(context)
        return WorkerHandle(self.kind)


class _CheckingAndResuming(_Checking, _Resuming):
    pass


_BY_ABILITIES: dict[tuple[bool, bool], type[DagsterShapedLauncher]] = {
    (False, False): DagsterShapedLauncher,
    (True, False): _Checking,
    (False, True): _Resuming,
    (True, True): _CheckingAndResuming,
}


def as_run_launcher(launcher: Any, get_run: GetRun, *, where: str) -> RunLauncher:
    """`launcher` itself if it follows our contract, else the wrapper around one of Dagster's kind.

    Raises RunplaneError if it is neither: `where` names the place in the configuration that named its class.
    """
    if isinstance(launcher, RunLauncher):
        return launcher
    missing = [name for name in ("launch_run", "terminate") if not callable(getattr(launcher, name, None))]
    if missing:
        raise RunplaneError(
            f"the class {type(launcher).__qualname__!r} is not a run launcher",
            where=where,
            got="no " + " and no ".join(missing),
            expected="launch(request) and terminate(run_id, handle), or Dagster's launch_run(context) and terminate(run_id)",
        )
    checks = bool(getattr(launcher, "supports_check_run_worker_health", False))
    resumes = bool(getattr(launcher, "supports_resume_run", False))
    return _BY_ABILITIES[checks, resumes](launcher, get_run)
