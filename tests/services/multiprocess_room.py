"""What the tests of the multiprocess runner share: a program whose steps end in every way, and a room that hears the signals."""

from __future__ import annotations

import os
import queue
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from runplane.engine.snapshot import StepPlan
from runplane.events.event import NewEvent
from runplane.events.run import Run
from runplane.executors.cgroup import Cgroups
from runplane.executors.contract import RunnerNote, RunnerSignal, StepGone, StepOrder, StepRefused, StepWrote
from runplane.executors.multiprocess import MultiprocessRunner
from runplane.executors.processes.contract import ProcessSettings
from runplane.executors.processes.step_processes import StepProcesses
from runplane.executors.values import NoValues
from runplane.storage.compute_logs import ComputeLogStore, LocalComputeLogStore
from runplane.storage.contract import AttemptRef

PATIENCE_S = 30.0
OUTCOMES = {"STEP_SUCCESS", "STEP_FAILURE", "STEP_UP_FOR_RETRY"}

PROGRAM = '''
import atexit, ctypes, os, resource, signal, subprocess, sys, threading, time
from pathlib import Path
from runplane.definitions.errors import DagsterExecutionInterruptedError
from runplane.events.event import NewEvent
from runplane.executors.template.host import serve

STATE = {"edited": False}

class Steps:
    def __init__(self, task, emit):
        self.task, self.emit = task, emit

    def tell(self, kind, **body):
        self.emit(NewEvent(kind, self.task.ref.step, self.task.ref.n, body, time.time()))

    def ok(self):
        self.tell("STEP_SUCCESS", pid=os.getpid(), parent=os.getppid())

    def silent(self):
        pass

    def exit_code(self):
        self.tell("LOG", message="before")
        os._exit(3)

    def sys_exit(self):
        sys.exit(4)

    def kill(self):
        self.tell("LOG", message="before")
        os.kill(os.getpid(), signal.SIGKILL)

    def segv(self):
        ctypes.string_at(0)

    def bus(self):
        os.kill(os.getpid(), signal.SIGBUS)

    def abort(self):
        os.abort()

    def memory(self):
        raise MemoryError

    def broken(self):
        raise RuntimeError("ours")

    def close_pipe(self):
        os.closerange(3, 100)
        time.sleep(600)

    def close_pipe_and_write(self):
        os.closerange(3, 100)
        for _ in range(20):
            os.open(os.environ["PRECIOUS"], os.O_WRONLY | os.O_APPEND)
        self.tell("STEP_SUCCESS")

    def garbage(self):
        for fd in range(3, 100):
            try:
                os.write(fd, b"\\xff" * 100)
            except OSError:
                pass
        time.sleep(600)

    def torn(self):
        """Die in the middle of a frame."""
        self.tell("LOG", message="whole")
        for fd in range(3, 100):
            try:
                os.write(fd, b"\\x00\\x00\\x10\\x00[\\"event\\",")
            except OSError:
                pass
        os.kill(os.getpid(), signal.SIGKILL)

    def hang_at_exit(self):
        self.tell("STEP_SUCCESS", pid=os.getpid())
        threading.Thread(target=time.sleep, args=(600,)).start()

    def at_exit(self):
        atexit.register(lambda: print("said at exit", flush=True))
        self.tell("STEP_SUCCESS")

    def forever(self):
        self.tell("LOG", message="running", pid=os.getpid())
        try:
            while True:
                time.sleep(600)
        except DagsterExecutionInterruptedError as error:
            print("interrupted", flush=True)
            self.tell("STEP_FAILURE", cause=error.why.value)

    def stubborn(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.tell("LOG", message="running", pid=os.getpid())
        time.sleep(600)

    def grandchild(self):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        self.tell("LOG", message="running", pid=os.getpid(), grandchild=child.pid)
        time.sleep(600)

    def leave_grandchild(self):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        self.tell("STEP_SUCCESS", grandchild=child.pid)

    def forked_grandchild(self):
        """One that holds the connection open."""
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
            os._exit(0)
        self.tell("LOG", grandchild=pid)
        os._exit(5)

    def edit(self):
        self.tell("STEP_SUCCESS", saw=STATE["edited"])
        STATE["edited"] = True

    def printing(self):
        print("to out")
        print("to err", file=sys.stderr)
        os.system("echo by a child of the step")
        os.kill(os.getpid(), signal.SIGKILL)

    def prints_and_fails(self):
        print("on its way with token=tulip")
        os.system("echo by a child of the step")
        print("so it ends here", file=sys.stderr)
        self.tell("STEP_FAILURE", cause="USER_CODE")

    def floods_and_fails(self):
        line = "x" * 1023 + "\\n"
        for _ in range(4096):
            sys.stdout.write(line)
        print("the end")
        self.tell("STEP_FAILURE", cause="USER_CODE")

    def flood(self):
        line = "x" * 1023 + "\\n"
        for _ in range(int(os.environ["FLOOD_KB"])):
            sys.stdout.write(line)
        self.tell("STEP_SUCCESS", rss_kb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    def events(self):
        for i in range(1000):
            self.tell("LOG", i=i)
        self.tell("STEP_SUCCESS")

    def many_events(self):
        for i in range(20_000):
            self.tell("LOG", i=i, text="z" * 100)
        self.tell("STEP_SUCCESS")

    def large_event(self):
        self.tell("LOG", message="y" * 5_000_000)
        self.tell("STEP_SUCCESS")

    def large_input(self):
        self.tell("STEP_SUCCESS", inputs=sum(len(v) for v in self.task.inputs.values()))

def load(argument):
    for name in argument.get("run", []):
        exec(argument["code"], {"__name__": "user_code"})
    def perform(task, emit, ask):
        Path(os.environ["BEGAN"]).write_text(repr(time.monotonic()))
        getattr(Steps(task, emit), task.ref.step.split("[")[0])()
    return perform

if __name__ == "__main__":
    serve(load)
'''


class Room:
    """A runner with ears.

    Args:
        folder: for the program, the logs and whatever a step writes.
        user_code: run when the program is loaded: what a user's module does at import.
        store: where what steps print is kept; None: in files.
        settings: more for ``ProcessSettings``.
    """

    def __init__(
        self,
        folder: Path,
        user_code: str = "",
        *,
        store: ComputeLogStore | None = None,
        env: dict[str, str] | None = None,
        memory_proc: Path = Path("/proc"),
        **settings: Any,
    ) -> None:
        program = folder / "program.py"
        program.write_text(PROGRAM)
        argument = {"run": ["once"] if user_code else [], "code": user_code}
        self.signals: list[RunnerSignal] = []
        self._inbox: queue.SimpleQueue[RunnerSignal] = queue.SimpleQueue()
        self.store = LocalComputeLogStore(folder / "logs")
        self._began = folder / "began"
        environment = {
            **os.environ,
            "BEGAN": str(self._began),
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            **(env or {}),
        }
        self.processes = StepProcesses(
            ProcessSettings([sys.executable, str(program)], argument, env=environment, **settings)
        )
        self.runner = MultiprocessRunner(
            self._inbox.put, self.processes, "run", store or self.store, NoValues(), Cgroups(memory_proc, memory_proc)
        )

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *exc: object) -> None:
        self.runner.close()

    def start(self, key: str, n: int = 1, **order: Any) -> AttemptRef:
        """Start a step; its key, up to a bracket, says what it does."""
        ref = AttemptRef(key, n)
        self.runner.start(StepOrder(Run("run", "job"), StepPlan(key, key, key), ref, nonce=f"nonce of {key}", **order))
        return ref

    def hear(self, until: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Take signals until something is so."""
        limit = time.monotonic() + patience_s
        while not until():
            left = limit - time.monotonic()
            if left <= 0:
                raise AssertionError(f"not within {patience_s} s; heard: {self.signals[-20:]}")
            try:
                self.signals.append(self._inbox.get(timeout=left))
            except queue.Empty:
                continue

    def listen(self, seconds: float) -> None:
        """Take signals until nothing comes for so long."""
        while True:
            try:
                self.signals.append(self._inbox.get(timeout=seconds))
            except queue.Empty:
                return

    def gone(self, ref: AttemptRef) -> StepGone:
        """Wait for the end of an attempt."""
        self.hear(lambda: any(isinstance(s, StepGone) and s.ref == ref for s in self.signals))
        return next(s for s in self.signals if isinstance(s, StepGone) and s.ref == ref)

    def began(self) -> float:
        """When the body that was started last began, by the clock ``time.monotonic``."""
        return float(self._began.read_text())

    def all_gone(self) -> list[AttemptRef]:
        """The attempts whose end was told so far."""
        return [s.ref for s in self.signals if isinstance(s, StepGone)]

    def refused(self, ref: AttemptRef) -> StepRefused:
        """Wait until an attempt is refused."""
        self.hear(lambda: any(isinstance(s, StepRefused) and s.ref == ref for s in self.signals))
        return next(s for s in self.signals if isinstance(s, StepRefused) and s.ref == ref)

    def outcome(self, ref: AttemptRef) -> NewEvent:
        """Wait for an attempt's outcome."""
        self.hear(lambda: any(e.kind in OUTCOMES for e in self.events(ref)))
        return next(e for e in self.events(ref) if e.kind in OUTCOMES)

    def said(self, ref: AttemptRef, message: str) -> NewEvent:
        """Wait until an attempt has logged something."""
        self.hear(lambda: any(e.body.get("message") == message for e in self.events(ref)))
        return next(e for e in self.events(ref) if e.body.get("message") == message)

    def events(self, ref: AttemptRef) -> list[NewEvent]:
        """What an attempt has written so far."""
        return [e for s in self.signals if isinstance(s, StepWrote) and s.ref == ref for e in s.events]

    def notes(self, kind: str = "ENGINE_EVENT") -> list[NewEvent]:
        """What the runner has said so far."""
        return [e for s in self.signals if isinstance(s, RunnerNote) for e in s.events if e.kind == kind]

    def printed(self, ref: AttemptRef, stream: Any = "out") -> bytes:
        """What a step has printed."""
        captured = [e for e in self.notes("LOGS_CAPTURED") if e.body["step_keys"] == [ref.step]]
        return b"".join(self.store.read(e.body["log_key"], stream, 0, 10_000_000).data for e in captured)


def alive(pid: int) -> bool:
    """Whether there is such a process and it is no zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text[text.rindex(")") + 2] not in "ZX"


def wait_until_gone(pids: Sequence[int], patience_s: float) -> None:
    """Return when none of the processes is there any more."""
    limit = time.monotonic() + patience_s
    while any(alive(p) for p in pids):
        assert time.monotonic() < limit, f"still there: {[p for p in pids if alive(p)]}"
        time.sleep(0.01)
