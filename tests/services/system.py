"""A whole system in a folder: a dagster.yaml, a file of jobs, and the processes that run them, each one really started.

Tests that use it look from outside, as an operator does: at exit codes, events, process tables and files.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from runplane.engine.snapshot import PlanSnapshot
from runplane.events.argv import RUN_ARGS_ENV
from runplane.events.event import Event
from runplane.events.kinds import EventKind
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.requests import ExecuteStepArgs, IssuedAttempt
from runplane.events.status import RunStatus
from runplane.events.wire import to_text
from runplane.instance.instance import LEASE_TTL_ENV, Instance, RunRequest
from runplane.locations.subprocess_source import SubprocessCodeSource
from runplane.locations.target import CodeRequest, CodeTarget
from runplane.storage.contract import Accepted, AttemptRef, Issue, RunClaim
from runplane.storage.liveness import this_process
from runplane.workers.authority import acquire

MARK_ENV = "RUNPLANE_TEST_SYSTEM"
"""In the environment of everything that is started here, so that what is left over can be found."""
PATIENCE_S = 90.0
TEMPLATES = {"runplane.executors.template", "runplane.cli.step_template"}
"""Programs that import code and fork."""
OUTCOMES = frozenset({EventKind.STEP_SUCCESS, EventKind.STEP_FAILURE, EventKind.STEP_UP_FOR_RETRY})
ENDS = frozenset({EventKind.RUN_SUCCESS, EventKind.RUN_FAILURE, EventKind.RUN_CANCELED})

SAY = '''
import json as _json, os as _os, time as _time

def say(context, what, **more):
    """One line to the log of bodies, in one write: what ran, when, under which attempt, in which process."""
    line = dict(step=context.step_key, n=context.attempt, run=context.run_id, what=what, pid=_os.getpid(), at=_time.time(), **more)
    fd = _os.open(_os.environ["BODIES"], _os.O_WRONLY | _os.O_APPEND | _os.O_CREAT, 0o666)
    _os.write(fd, (_json.dumps(line) + "\\n").encode())
    _os.close(fd)
'''
"""What every file of jobs begins with."""


def postgres_yaml(url: str) -> str:
    """A dagster.yaml that keeps runs in this database."""
    return f"storage:\n  postgres:\n    postgres_url: {url!r}\n"


_COMPILED: dict[tuple[str, str], tuple[PlanSnapshot, FileCodePointer]] = {}


def compiled(text: str, job: str, file: Path) -> tuple[PlanSnapshot, FileCodePointer]:
    """The plan of a job of a file, and where the job is in it: read by a process of its own, once for files of the same text."""
    if (text, job) not in _COMPILED:
        with SubprocessCodeSource(CodeRequest(target=CodeTarget(python_file=str(file)))) as source:
            plan = source.snapshot(job)
            pointer = source.origin(job).repository_origin.code_pointer
        assert isinstance(plan, PlanSnapshot), plan
        assert isinstance(pointer, FileCodePointer)
        assert pointer.working_directory is None
        _COMPILED[text, job] = plan, pointer
    return _COMPILED[text, job]


class System:
    """A home, a file of jobs, and their processes.

    Args:
        folder: an empty folder of the test.
        code: the file of jobs, after ``SAY``.
        yaml: the dagster.yaml.
        env: more environment for every process.
    """

    def __init__(self, folder: Path, code: str, yaml: str = "", env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(exist_ok=True)
        (self.home / "dagster.yaml").write_text(yaml, encoding="utf-8")
        self.file = folder / "jobs.py"
        self.file.write_text(SAY + code, encoding="utf-8")
        self.bodies_file = folder / "bodies.jsonl"
        self.bodies_file.touch()
        self.env = dict(env or {})
        self.instance = self._instance()
        self._workers: list[subprocess.Popen[bytes]] = []
        self._errors: dict[int, Path] = {}

    # Runs and their processes -----------------------------------------------------------------------------------------------

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of whatever is started."""
        mine = {"DAGSTER_HOME": str(self.home), "BODIES": str(self.bodies_file), MARK_ENV: str(self.folder)}
        return {**os.environ, LEASE_TTL_ENV: "2", **mine, **self.env, **more}

    def create(self, job: str, tags: Mapping[str, str] | None = None) -> str:
        """Store a run of a job of the file, NOT_STARTED; its id."""
        return self.instance.create(self.request(job, tags)).run_id

    def request(self, job: str, tags: Mapping[str, str] | None = None) -> RunRequest:
        """What is asked for a run of a job of the file."""
        text = self.file.read_text(encoding="utf-8")
        plan, pointer = compiled(text, job, self.file)
        here = replace(pointer, python_file=str(self.file))
        return RunRequest(job, JobOrigin(job, RepositoryOrigin(sys.executable, here)), plan, tags=tags or {})

    def worker(self, run_id: str, verb: str = "execute_run", **env: str) -> subprocess.Popen[bytes]:
        """Start a worker of a run; it leads a process group."""
        return self.worker_of(self.instance.document(self.instance.runs.get(run_id)), verb, **env)

    def worker_of(self, document: str, verb: str = "execute_run", **env: str) -> subprocess.Popen[bytes]:
        """The same with a document that was made before."""
        errors = self.folder / f"stderr-{len(self._workers)}"
        with errors.open("wb") as err:
            worker = subprocess.Popen(
                [sys.executable, "-m", "runplane", "api", verb],
                env=self.environment(**env, **{RUN_ARGS_ENV: document}),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=err,
                start_new_session=True,
            )
        self._workers.append(worker)
        self._errors[worker.pid] = errors
        return worker

    def coordinate(self, run_id: str) -> RunClaim:
        """Become the run's coordinator in the test's own process."""
        run = self.instance.runs.get(run_id)
        claim = acquire(self.instance.journal, run, this_process(), resumes_allowed=3)
        assert isinstance(claim, RunClaim), claim
        return claim

    def issue(self, run_id: str, claim: RunClaim, batch: int, step: str, n: int = 1) -> str:
        """Issue an attempt of a step; the document for whoever is to execute it."""
        done = self.instance.journal.commit(run_id, claim.epoch, batch, [Issue(AttemptRef(step, n))])
        assert isinstance(done.results[0], Accepted), done
        run = self.instance.runs.get(run_id)
        assert run.origin is not None
        issued = IssuedAttempt(n, claim.epoch)
        return to_text(ExecuteStepArgs(self.instance.ref, run.origin, run_id, (step,), issued=issued))

    def stderr(self, worker: subprocess.Popen[bytes]) -> str:
        """What a worker has written to stderr so far."""
        return self._errors[worker.pid].read_text(encoding="utf-8", errors="replace")

    def run_to_end(self, run_id: str, timeout_s: float = PATIENCE_S, **env: str) -> int:
        """Start a worker and wait for its end; the exit code, negative for a signal."""
        return self.worker(run_id, **env).wait(timeout_s)

    def cli(self, *words: str, timeout_s: float = PATIENCE_S, **env: str) -> subprocess.CompletedProcess[str]:
        """The command, as a person calls it."""
        return subprocess.run(
            [sys.executable, "-m", "runplane", *words],
            check=False,
            env=self.environment(**env),
            cwd=self.folder,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=timeout_s,
        )

    # Looking ------------------------------------------------------------------------------------------------------------------

    def status(self, run_id: str) -> RunStatus:
        """Where the run stands."""
        return self.instance.journal.head(run_id).status

    def events(self, run_id: str) -> list[Event]:
        """All its events."""
        return self.instance.tail(run_id, 0, 2_000_000)

    def kinds(self, run_id: str) -> Counter[str]:
        """How many events of each kind."""
        return Counter(str(e.kind) for e in self.events(run_id))

    def bodies(self, run_id: str | None = None, what: str | None = None) -> list[dict[str, Any]]:
        """What the bodies of steps said."""
        lines = map(json.loads, self.bodies_file.read_text(encoding="utf-8").splitlines())
        return [b for b in lines if run_id in (None, b["run"]) and what in (None, b["what"])]

    def story(self, run_id: str) -> str:
        """What happened, for a test that fails."""
        told = (f"{e.kind} {e.step} {e.body}" for e in self.events(run_id))
        return "\n".join([*told, *(p.read_text(errors="replace") for p in self._errors.values())])

    def last(self, run_id: str, kind: str) -> Event:
        """The newest event of a kind."""
        return [e for e in self.events(run_id) if e.kind == kind][-1]

    def processes(self) -> list[psutil.Process]:
        """Everything that was started for this folder and lives."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                marked = process.environ().get(MARK_ENV) == str(self.folder)
                if marked and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def templates(self) -> list[psutil.Process]:
        """Processes that import the code and fork the steps."""
        found: dict[int, tuple[psutil.Process, int]] = {}
        for process in self.processes():
            try:
                words, parent = process.cmdline(), process.ppid()
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if TEMPLATES & set(words) and "template" in words:
                found[process.pid] = process, parent
        # What is forked has the words of its parent. It may have the smaller number: numbers begin anew.
        return [process for process, parent in found.values() if parent not in found]

    def slots_held(self) -> int:
        """Pool slots that are taken, over all runs."""
        sql = self.instance.journal.rules.named("SELECT count(*) FROM {slot}")
        return int(self.instance.database.read(sql, {})[0][0])

    def wait_for(self, what: str, is_there: Callable[[], object], timeout_s: float = 30.0) -> None:
        """Wait for a named moment."""
        end = time.monotonic() + timeout_s
        while not is_there():
            assert time.monotonic() < end, f"{what} did not come within {timeout_s} s"
            time.sleep(0.01)

    def wait_for_status(self, run_id: str, *wanted: RunStatus, timeout_s: float = 30.0) -> None:
        """Wait until the run stands at one of these."""
        self.wait_for(f"{wanted} of run {run_id}", lambda: self.status(run_id) in wanted, timeout_s)

    def close(self) -> None:
        """End whatever is left."""
        for worker in self._workers:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.instance.close()

    # What holds for every run -------------------------------------------------------------------------------------------------

    def check(self, run_id: str) -> list[Event]:
        """No gap, one end, one outcome for each attempt, no body that started twice under one attempt or after its success."""
        events = self.events(run_id)
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        assert sum(e.kind in ENDS for e in events) <= 1
        outcomes = Counter((e.step, e.n) for e in events if e.kind in OUTCOMES)
        assert not {k for k, count in outcomes.items() if count > 1}, "two outcomes of one attempt"
        succeeded = {e.step: e.n or 0 for e in events if e.kind == EventKind.STEP_SUCCESS}
        started = Counter((b["step"], b["n"]) for b in self.bodies(run_id, "start"))
        assert not {k for k, count in started.items() if count > 1}, "bodies that started twice under one attempt"
        assert not {k for k in started if k[1] > succeeded.get(k[0], k[1])}, "bodies that ran after their success"
        if events[-1:] and self.status(run_id).is_final:
            # Said when the runner closes: after the run's last event, before the worker leaves.
            self.wait_for("the end of each log", lambda: self.open_logs(run_id) == [])
        return events

    def open_logs(self, run_id: str) -> list[tuple[str, ...]]:
        """The logs of a run that may still grow, as far as their store knows."""
        keys = self.instance.journal.log_keys(run_id)
        return [key for key in keys if not self.instance.logs.read(key, "out", 0, 1 << 30).complete]

    def _instance(self) -> Instance:
        before = {name: os.environ.get(name) for name in self.env}
        os.environ.update(self.env)
        try:
            made = Instance.from_home(self.home)
            made.journal  # noqa: B018 - its storage is found while the environment is there
            return made
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
