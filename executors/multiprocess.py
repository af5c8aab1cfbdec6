"""The executor called ``multiprocess``: each step in a process of its own on the run's machine.

The coordinator imports no user code. A template imports it once and forks a child for each step (``template/``); where the import
left something that does not survive a fork, the run says what it was and starts each step anew.

``start_method`` as in Dagster, and one more:

- ``template`` (the default on Linux): as above;
- ``spawn`` (the default elsewhere): each step imports the code itself;
- ``forkserver``: the template again. With ``preload_modules`` it imports those instead of the user's code, which each child then
  imports itself; without, it is ``template``.

Source: https://docs.dagster.io/api/dagster/execution (multiprocess_executor).
"""

from __future__ import annotations

import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import executors
from ..errors import UnsupportedError
from ..events.causes import FailureCause
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.messages import duration as in_words
from ..serdes.record import record
from ..storage.compute_logs import ComputeLogStore, PodLogStore, new_log_key, place_of
from ..storage.contract import AttemptRef
from .cgroup import Cgroups
from .concurrency import max_concurrent_of
from .contract import PartFailed, RunnerNote, RunnerSignal, StepGone, StepOrder, StepRefused, StepWrote, engine_event
from .database_values import answered
from .processes.contract import READY_AHEAD, End, Job, ProcessSettings
from .processes.ends import signal_name
from .processes.started import JOB_PROGRAM
from .processes.step_processes import StepProcesses
from .settings import DriverSettings, ExecutorContext, driver_settings, values_of
from .template.job_argument import JobArgument
from .template.wire import OUTCOMES, Task
from .values import ValueReader
from .wanted_lines import BAD_ENDS

_MOST_KEYS_SHOWN = 1000
_STOPPING = "Multiprocess executor: received termination signal - forwarding to active child processes"
_STOPPED = "Multiprocess executor: interrupted all active child processes"


class MultiprocessRunner:
    """Runs each attempt in a process of its own.

    Args:
        report: takes signals; called from this runner's thread too.
        processes: makes the processes. It belongs to the runner from here on.
        run_id: the run.
        logs: where what the steps print is kept.
        values: reads values that the database keeps.
        cgroups: the control groups that tell of kills for memory; None: this process'.
    """

    def __init__(
        self,
        report: Callable[[RunnerSignal], None],
        processes: StepProcesses,
        run_id: str,
        logs: ComputeLogStore,
        values: ValueReader,
        cgroups: Cgroups | None = None,
    ) -> None:
        self.worker_id = f"multiprocess-{secrets.token_hex(8)}"
        self.has_enough: Callable[[], bool] = lambda: False
        self._report = report
        self._processes = processes
        self._run_id = run_id
        self._logs = logs
        self._values = values
        self._cgroups = cgroups or Cgroups()
        self._oom_kills = self._cgroups.oom_kills()
        # Where a step's log is its pod's, nobody can look at the end of it later.
        self._pod = logs.pod if isinstance(logs, PodLogStore) else None
        self._output = executors.pod_output.PodOutput(self.failed) if self._pod is not None else None
        self._attempts: dict[AttemptRef, _Attempt] = {}
        self._gone: set[AttemptRef] = set()
        self._stopping: dict[AttemptRef, FailureCause] = {}
        self._interrupted: set[AttemptRef] = set()
        self._began = time.perf_counter()
        processes.attach(self)

    def prepare(self) -> None:
        """Import the code where it will run.

        Raises:
            CodeLoadError: it can not be imported; the error is the user's own.
        """
        self._processes.prepare()

    # StepRunner -------------------------------------------------------------------------------------------------------------

    def start(self, order: StepOrder) -> None:
        """See ``StepRunner``."""
        attempt = _Attempt(order.nonce or "", new_log_key(self._run_id))
        self._attempts[order.ref] = attempt
        task = Task(order.step, order.ref, order.retry_number, order.retries_enabled, order.inputs)
        self._processes.submit(
            Job(task, lambda: self._open_output(order.ref, attempt), lambda pid: self._announce_logs(order.ref, pid))
        )

    def stop(self, ref: AttemptRef, grace_s: float, cause: FailureCause) -> None:
        """See ``StepRunner``."""
        if ref not in self._attempts:
            self._tell_gone(ref, cause, "no process of this coordinator runs it")
            return
        if ref in self._stopping:
            return
        self._stopping[ref] = cause
        if cause is FailureCause.CANCELED:
            if not self._interrupted:
                self._note(_STOPPING)
            self._interrupted.add(ref)
        self._processes.stop(ref, grace_s)

    def probe(self, ref: AttemptRef) -> None:
        """Processes of steps end with their coordinator: what a former one started is gone, or can write nothing any more."""
        if ref not in self._attempts:
            self._tell_gone(ref, FailureCause.LOST, "it ran under the run's former coordinator, and ended with it")

    def close(self) -> None:
        """See ``StepRunner``."""
        self._processes.close()
        if self._output is not None:
            self._output.close()
        for attempt in self._attempts.values():
            self._logs.finish(attempt.log_key)

    def inherit_logs(self, log_keys: Sequence[Sequence[str]]) -> None:
        """See ``InheritsLogs``."""
        for key in log_keys:
            self._logs.finish(key)

    def claim_body(self, ref: AttemptRef) -> Mapping[str, Any]:
        """See ``WritesThroughDriver``."""
        return {"message": f'Executing step "{ref.step}" in subprocess.', "marker_end": "step_process_start"}

    # Announces --------------------------------------------------------------------------------------------------------------

    def opening(self, step_keys: Sequence[str]) -> Sequence[NewEvent]:
        """See ``Announces``."""
        shown = str(list(step_keys[:_MOST_KEYS_SHOWN]))
        if len(step_keys) > _MOST_KEYS_SHOWN:
            shown += f" and {len(step_keys) - _MOST_KEYS_SHOWN} more"
        text = f"Executing steps using multiprocess executor: parent process (pid: {os.getpid()})"
        events = [engine_event(text, {"pid": str(os.getpid()), "step_keys": shown})]
        if self._processes.findings:
            events.append(_unsafe_note(self._processes.findings))
        return events

    def closing(self) -> Sequence[NewEvent]:
        """See ``Announces``."""
        took = in_words(1000 * (time.perf_counter() - self._began))
        text = f"Multiprocess executor: parent process exiting after {took} (pid: {os.getpid()})"
        return [engine_event(text, {"pid": str(os.getpid())})]

    def launching(self, ref: AttemptRef) -> Sequence[NewEvent]:
        """See ``Announces``."""
        body = {
            "message": f'Launching subprocess for "{ref.step}".',
            "metadata": {},
            "marker_start": "step_process_start",
        }
        return [NewEvent(EventKind.STEP_WORKER_STARTING, ref.step, ref.n, body, time.time())]

    # Listener ---------------------------------------------------------------------------------------------------------------

    def wrote(self, ref: AttemptRef, events: Sequence[NewEvent], size: int) -> None:
        """See ``Listener``."""
        written = [e for event in events for e in (*self._last_lines(ref, event), event)]
        if ref in self._interrupted and any(e.kind in OUTCOMES for e in events):
            # Said together with the last outcome: what follows from that outcome may be the run's end.
            written += self._settled(ref)
        self._report(StepWrote(ref, self._attempts[ref].nonce, written, size))

    def is_full(self) -> bool:
        """See ``Listener``."""
        return self.has_enough()

    def ended(self, ref: AttemptRef, end: End) -> None:
        """See ``Listener``."""
        attempt = self._attempts.pop(ref)
        self._logs.finish(attempt.log_key)
        printed = self._forget_output(ref)
        stopped = self._stopping.pop(ref, None)
        if stopped is not None:
            for note in self._settled(ref):
                self._report(RunnerNote([note]))
            # Even with an outcome: it may be the interrupt's, which is not the cause of an attempt that ran out of time.
            self._tell_gone(ref, stopped, _evidence_of_stop(end))
        elif not end.outcome:
            cause, evidence = self._verdict(end)
            self._note(f"Multiprocess executor: child process for step {ref.step} {_exited(end)}.")
            self._tell_gone(ref, cause, f"{evidence}\n{printed}" if printed else evidence)

    def refused(self, ref: AttemptRef, why: str) -> None:
        """See ``Listener``."""
        self._attempts.pop(ref)
        self._forget_output(ref)
        stopped = self._stopping.pop(ref, None)
        self._gone.add(ref)
        self._report(StepGone(ref, stopped, why) if stopped is not None else StepRefused(ref, why))

    def unsafe_to_fork(self, findings: Sequence[str]) -> None:
        """See ``Listener``."""
        self._report(RunnerNote([_unsafe_note(findings)]))

    def wants(self, ref: AttemptRef, kind: str, details: Any, answer: Callable[[bytes | None], None]) -> None:
        """See ``Listener``. The database may be away: a thread of its own waits, and nobody waits for that at the end."""

        def read() -> None:
            try:
                answer(answered(self._values, kind, details))
            except BaseException as error:  # noqa: BLE001 - the run ends with it
                self._report(PartFailed(error))

        threading.Thread(target=read, name=f"value for {ref.step}", daemon=True).start()

    def failed(self, error: BaseException) -> None:
        """See ``Listener``."""
        self._report(PartFailed(error))

    # Inside -----------------------------------------------------------------------------------------------------------------

    def _open_output(self, ref: AttemptRef, attempt: _Attempt) -> tuple[int, int]:
        return self._logs.open(attempt.log_key) if self._output is None else self._output.open(ref)

    def _last_lines(self, ref: AttemptRef, event: NewEvent) -> Sequence[NewEvent]:
        """Before the outcome of a step that failed by itself: what it printed last, if that is nowhere else."""
        if self._output is None or event.kind not in BAD_ENDS or event.body.get("cause") == FailureCause.CANCELED:
            return ()
        if not (text := self._output.last(ref)):
            return ()
        told = engine_event(
            f"Step {ref.step}, attempt {ref.n}, failed in pod {self._pod}. {text}",
            {"Kubernetes Pod name": self._pod},
            ref,
        )
        return [told._replace(body={**told.body, "evidence": text})]

    def _forget_output(self, ref: AttemptRef) -> str:
        """What it printed last, if that is nowhere else."""
        if self._output is None:
            return ""
        printed: str = self._output.last(ref)
        self._output.forget(ref)
        return printed

    def _announce_logs(self, ref: AttemptRef, pid: int) -> None:
        attempt = self._attempts[ref]
        if attempt.announced:
            return
        self._attempts[ref] = replace(attempt, announced=True)
        body = {
            "message": f"Capturing logs for process (pid: {pid}).",
            "log_key": list(attempt.log_key),
            "file_key": attempt.log_key[-1],
            "step_keys": [ref.step],
            "pid": pid,
            **place_of(self._logs),
        }
        self._report(RunnerNote([NewEvent(EventKind.LOGS_CAPTURED, None, None, body, time.time())]))

    def _tell_gone(self, ref: AttemptRef, cause: FailureCause, evidence: str) -> None:
        """Once for each attempt: the second seal of one attempt would be a story of its own."""
        if ref not in self._gone:
            self._gone.add(ref)
            self._report(StepGone(ref, cause, evidence))

    def _settled(self, ref: AttemptRef) -> list[NewEvent]:
        """An interrupted attempt has come to its end; what there is to say when it was the last."""
        if ref not in self._interrupted:
            return []
        self._interrupted.discard(ref)
        return [] if self._interrupted else [engine_event(_STOPPED, {"pid": str(os.getpid())})]

    def _note(self, message: str) -> None:
        self._report(RunnerNote([engine_event(message, {"pid": str(os.getpid())})]))

    def _verdict(self, end: End) -> tuple[FailureCause, str]:
        """Why a process ended without an outcome."""
        if end.status is None and end.left is None:
            return FailureCause.LOST, end.why_killed or "its process is gone"
        if end.left == "failed":
            return FailureCause.FRAMEWORK, f"the code can not be imported in the step's process: {end.detail}"
        if end.left == "MemoryError":
            return FailureCause.OUT_OF_MEMORY, "Python found no more memory (MemoryError)"
        if end.left == "sys.exit":
            return FailureCause.CRASHED, f"it called sys.exit({end.detail})"
        if end.left == "return":
            return FailureCause.FRAMEWORK, "its code returned without an outcome"
        if end.why_killed is not None:
            return FailureCause.CRASHED, end.why_killed
        if end.left is not None:
            return FailureCause.FRAMEWORK, f"it ended by an error outside of user code: {end.detail}"
        code = os.waitstatus_to_exitcode(end.status or 0)
        if code >= 0:
            return FailureCause.CRASHED, f"its process left with exit code {code} in the middle of the step (os._exit)"
        if code == -9 and self._memory_ran_out():
            return FailureCause.OUT_OF_MEMORY, "the kernel killed its process because memory ran out (SIGKILL)"
        return FailureCause.CRASHED, f"its process was killed by {signal_name(-code)}"

    def _memory_ran_out(self) -> bool:
        """Whether the kernel killed something of ours for memory since this was asked last."""
        before, self._oom_kills = self._oom_kills, self._cgroups.oom_kills()
        return before is not None and self._oom_kills is not None and self._oom_kills > before


class MultiprocessExecutor:
    """The executor called ``multiprocess``."""

    def __init__(self, settings: DriverSettings, processes: ProcessSettings, context: ExecutorContext) -> None:
        self.settings = settings
        self._context = context
        self._processes = StepProcesses(processes, context.template)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], context: ExecutorContext) -> MultiprocessExecutor:
        """Made from validated config: ``max_concurrent``, ``start_method``, ``retries``, ``tag_concurrency_limits``,
        ``step_dependency_config``.

        Raises:
            UnsupportedError: on Windows.
            ConfigErrors: ``max_concurrent`` can not be used.
        """
        if sys.platform == "win32":
            raise UnsupportedError(
                "the multiprocess executor does not run on Windows; use the in_process executor or WSL."
            )
        most = max_concurrent_of(config.get("max_concurrent"), os.environ)
        argument = JobArgument(context.run, context.home, context.log_settings)
        made = process_settings(
            config.get("start_method") or {}, argument, min(most, READY_AHEAD, len(context.plan.steps))
        )
        return cls(driver_settings(config, max_concurrent=most), made, context)

    def prepare(self) -> None:
        """Import the code in the template. Raises ``CodeLoadError``."""
        self._processes.prepare()

    def make_runner(self, report: Callable[[RunnerSignal], None]) -> MultiprocessRunner:
        """See ``Executor``."""
        run_id, logs = self._context.run.run_id, self._context.logs
        return MultiprocessRunner(report, self._processes, run_id, logs, values_of(self._context))


def process_settings(start_method: Mapping[str, Any], argument: JobArgument, ready_ahead: int) -> ProcessSettings:
    """How processes are made by a ``start_method`` of the executor's config; ``{}`` and ``template`` mean the platform's default."""
    preload = tuple((start_method.get("forkserver") or {}).get("preload_modules") or ())
    # Only where /proc shows it can be seen whether forking is safe; who asks for a fork server by name gets one all the same.
    if "spawn" in start_method or (sys.platform != "linux" and "forkserver" not in start_method):
        return ProcessSettings(JOB_PROGRAM, argument, fork=False, import_here=False)
    return ProcessSettings(
        JOB_PROGRAM, argument, import_here=not preload, preload=preload, ready_ahead=max(1, ready_ahead)
    )


@record
class _Attempt:
    nonce: str
    log_key: tuple[str, ...]
    announced: bool = False


def _exited(end: End) -> str:
    if end.status is None:
        return "is gone"
    return f"unexpectedly exited with code {os.waitstatus_to_exitcode(end.status)}"


def _evidence_of_stop(end: End) -> str:
    if end.why_killed is not None:
        return f"it was told to stop; {end.why_killed}"
    return "it was told to stop and has ended"


def _unsafe_note(findings: Sequence[str]) -> NewEvent:
    text = (
        "Multiprocess executor: each step is started anew instead of forked, because the import of the code left what does not "
        f"survive a fork: {'; '.join(findings)}."
    )
    return engine_event(text, {"start_method": "spawn", "findings": list(findings)})
