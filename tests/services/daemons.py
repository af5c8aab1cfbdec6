"""Real daemons on one database, with a launcher that only writes down what it is asked for. The test plays the workers.

The stub's file holds a line per launch, written before ``launch`` returns: ``run id, pid of the daemon``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from runplane.daemon.local_file import FILE_ENV
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.status import ACTIVE, RunStatus
from runplane.instance.instance import DAEMON_TTL_ENV, Instance, RunRequest
from runplane.storage.contract import Finish, RunFilter
from runplane.storage.liveness import this_process

LAUNCHER = '''
"""Writes down what it is asked for. `STUB_HANGS` in a run's tags: never returns. `STUB_RAISES`: raises."""
import os, time
from runplane.launchers.contract import Health, HealthState, TerminateResult, WorkerHandle

class StubLauncher:
    def launch(self, request):
        run = request.run
        if "STUB_RAISES" in run.tags:
            raise ValueError("no such cluster")
        line = f"{run.run_id} {os.getpid()} {request.resume_attempt}\\n".encode()
        fd = os.open(os.environ["STUB_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(fd, line)
        os.close(fd)
        if "STUB_HANGS" in run.tags:
            time.sleep(3600)
        return WorkerHandle("stub", {"run": run.run_id})

    resume = launch

    def terminate(self, run_id, handle):
        return TerminateResult.DELIVERED

    def check(self, run_id, handle):
        gone = os.path.exists(os.environ["STUB_FILE"] + "." + run_id + ".gone")
        return Health(HealthState.GONE if gone else HealthState.ALIVE, "as the test says")
'''
TTL_S = 3.0
PATIENCE_S = 60.0


_HASTY = """
import runpy, sys
import runplane.daemon.loops as loops
every_s, loops_of = float(sys.argv.pop(1)), loops.loops_of

def hasty(*words, **more):
    found = loops_of(*words, **more)
    for loop in found:
        loop.interval_s = every_s
    return found

loops.loops_of = hasty
runpy.run_module("runplane", run_name="__main__", alter_sys=True)
"""


def start_event() -> NewEvent:
    return NewEvent(EventKind.RUN_START, None, None, {}, time.time())


class DaemonRoom:
    """A home with a stub launcher, and the daemons that serve it.

    Args:
        folder: of the test.
        yaml: the dagster.yaml besides the launcher.
        ttl_s: of the daemons' leases.
    """

    def __init__(self, folder: Path, yaml: str, ttl_s: float = TTL_S) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        (folder / "stub_launcher.py").write_text(LAUNCHER, encoding="utf-8")
        text = yaml + "\nrun_launcher: {module: stub_launcher, class: StubLauncher}\n"
        (self.home / "dagster.yaml").write_text(text, encoding="utf-8")
        self.stub_file = folder / "launches"
        self.stub_file.touch()
        self.ttl_s = ttl_s
        self.instance = Instance.from_home(self.home)
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.killed: set[int] = set()

    # Daemons ----------------------------------------------------------------------------------------------------------------

    def environment(self, **more: str) -> dict[str, str]:
        path = os.pathsep.join(filter(None, [str(self.folder), os.environ.get("PYTHONPATH")]))
        mine = {
            "DAGSTER_HOME": str(self.home),
            "STUB_FILE": str(self.stub_file),
            "PYTHONPATH": path,
            DAEMON_TTL_ENV: str(self.ttl_s),
        }
        return {**os.environ, **mine, **more}

    def start(self, *words: str, every_s: float | None = None, **env: str) -> subprocess.Popen[bytes]:
        """One more daemon. `every_s`: each of its loops is called so often, in place of its own interval."""
        program = ["-m", "runplane"] if every_s is None else ["-c", _HASTY, str(every_s)]
        name = f"daemon-{len(self.daemons)}"
        file = self.folder / f"{name}.json"
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *program, "daemon", "run", *words],
                env=self.environment(**{FILE_ENV: str(file)}, **env),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.daemons.append(process)
        return process

    def kill(self, daemon: subprocess.Popen[bytes]) -> None:
        """As a power cut does."""
        self.killed.add(daemon.pid)
        daemon.kill()
        daemon.wait()

    def cli(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "runplane", *words],
            check=False,
            env=self.environment(**env),
            cwd=self.folder,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=PATIENCE_S,
        )

    def wait_until_live(self, daemons: int) -> None:
        """Wait until so many have been heard of."""

        def live() -> bool:
            found = json.loads(self.cli("daemon", "status", "--json").stdout)["daemons"]
            return len([one for one in found if one["is_live"]]) >= daemons

        self.wait_for(f"{daemons} daemons", live)

    def logs(self) -> str:
        """What the daemons said, for a test that fails."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    # Runs -------------------------------------------------------------------------------------------------------------------

    def submit(self, **tags: str) -> str:
        """A run that nobody could really execute."""
        pointer = FileCodePointer(str(self.folder / "none.py"), "job", str(self.folder))
        origin = JobOrigin("job", RepositoryOrigin(sys.executable, pointer))
        named = {key.replace("__", "/"): value for key, value in tags.items()}
        return self.instance.submit(RunRequest("job", origin, tags=named, run_id=str(uuid.uuid4()))).run_id

    def status(self, run_id: str) -> RunStatus:
        return self.instance.journal.head(run_id).status

    def count(self, *statuses: RunStatus) -> int:
        return self.instance.runs.count(RunFilter(statuses=statuses))

    def launches(self) -> list[tuple[str, int]]:
        """Run and daemon of each launch that was asked for, in order."""
        lines = self.stub_file.read_text(encoding="utf-8").splitlines()
        return [(run_id, int(pid)) for run_id, pid, _ in (line.split() for line in lines)]

    def finish(self, run_id: str, instance: Instance | None = None) -> bool:
        """Be the worker of a run: claim it and end it with success. False when it is not to be claimed."""
        journal = (instance or self.instance).journal
        claim = journal.claim_run(run_id, this_process(), [], start_event())
        if claim is None:
            return False
        journal.commit(run_id, claim.epoch, 1, [Finish(NewEvent(EventKind.RUN_SUCCESS, None, None, {}, time.time()))])
        return True

    def wait_for(self, what: str, is_there: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
        end = time.monotonic() + timeout_s
        while not is_there():
            assert time.monotonic() < end, f"{what} did not come within {timeout_s:g} s\n{self.logs()}"
            time.sleep(0.02)

    def assert_each_launched_once(self, expected: int) -> None:
        """Every run was launched, and again only if the daemon that did it was killed in between."""
        found = Counter(run_id for run_id, _ in self.launches())
        assert len(found) == expected
        for run_id, count in found.items():
            if count > 1:
                pids = [pid for one, pid in self.launches() if one == run_id]
                assert set(pids[:-1]) <= self.killed, f"{run_id} was launched {count} times, by {pids}"

    def close(self) -> None:
        for daemon in self.daemons:
            if daemon.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    daemon.send_signal(signal.SIGCONT)
                daemon.kill()
                daemon.wait()
        self.instance.close()


class Workers:
    """Ends runs that were launched, a little later, in a thread; watches how many are active."""

    def __init__(self, room: DaemonRoom, *, keep: int = 0) -> None:
        self._room = room
        self._keep = keep
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._instance = room.instance.sibling()
        self.finished: list[str] = []
        self.most_active = 0
        self.problem: BaseException | None = None

    def __enter__(self) -> Workers:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
        self._instance.close()
        if exc[0] is None and self.problem is not None:
            raise self.problem

    def _work(self) -> None:
        try:
            done: set[str] = set()
            while not self._stop.is_set():
                self.most_active = max(self.most_active, self._instance.runs.count(RunFilter(statuses=tuple(ACTIVE))))
                for run_id, _ in self._room.launches():
                    if run_id not in done and self._room.finish(run_id, self._instance):
                        self.finished.append(run_id)
                    done.add(run_id)
                time.sleep(0.005)
        except BaseException as e:  # raised in the test's own thread
            self.problem = e


def queue_yaml(storage: str, queue: Mapping[str, object]) -> str:
    """A dagster.yaml with this storage and queue."""
    items = ", ".join(f"{key}: {value}" for key, value in queue.items())
    return f"{storage}\nrun_queue: {{{items}}}\n"
