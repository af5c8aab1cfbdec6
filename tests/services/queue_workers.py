"""Workers of step queues, each one really started, for a ``System``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services import other_versions
from services.system import System

CODE = """
import ctypes, os, sys, threading
from runplane import DynamicOut, DynamicOutput, celery_executor, in_process_executor, job, op

QUEUE, PRIORITY = "dagster-celery/queue", "dagster-celery/priority"
NAP = float(os.environ.get("NAP", "0.3"))
WIDTH = 1
ON = celery_executor.configured({"broker": "THE BROKER"})
IMPORTED_IN, AT_IMPORT = os.getpid(), os.environ.get("AT_IMPORT")
HAD_DRIVER = "runplane.storage.sqlite" in sys.modules
if AT_IMPORT == "a thread":
    threading.Thread(target=_time.sleep, args=(600,), name="forgotten", daemon=True).start()
if AT_IMPORT == "an error":
    raise ValueError("not today")


def nap(context, seconds=NAP):
    say(context, "start", imported_in=IMPORTED_IN, had_driver=HAD_DRIVER)
    _time.sleep(seconds)
    say(context, "end")


def steps(name, queue, count):
    def make(i):
        @op(name=f"{name}_{i}", tags={QUEUE: queue})
        def body(context):
            nap(context)

        return body

    return [make(i) for i in range(count)]


@job(executor_def=ON)
def two_queues():
    for body in [*steps("narrow", "narrow", 5), *steps("wide", "wide", 6)]:
        body()


@job(executor_def=ON)
def four():
    for body in steps("work", "work", 4):
        body()


@job(executor_def=ON)
def four_held():
    for number in range(4):
        @op(name=f"work_{number}", tags={QUEUE: "work"})
        def body(context):
            say(context, "start")
            while not os.path.exists(os.environ["GATE"]):
                _time.sleep(0.05)
            say(context, "end")

        body()


@job(executor_def=ON)
def turns():
    for number in range(WIDTH):
        @op(name=f"work_{number}", tags={QUEUE: "work"})
        def body(context):
            say(context, "start")
            while not os.path.exists(f"{os.environ['GATE']}-{context.step_key}"):
                _time.sleep(0.05)
            say(context, "end")

        body()


@job(executor_def=ON)
def many():
    for body in [*steps("narrow", "narrow", WIDTH), *steps("wide", "wide", WIDTH)]:
        body()


@op(tags={QUEUE: "work", PRIORITY: 9})
def holds_the_lock(context):
    # No thread of Python's goes on meanwhile in this process; how long one of them was silent is said.
    beats, library, is_over = [], ctypes.PyDLL(None), threading.Event()

    def beat():
        while not is_over.wait(0.01):
            beats.append(_time.monotonic())

    def wait_for_a_beat():
        count = len(beats)
        while len(beats) == count:
            _time.sleep(0.01)

    threading.Thread(target=beat).start()
    say(context, "start")
    wait_for_a_beat()
    library.sleep(int(NAP))
    wait_for_a_beat()
    is_over.set()
    say(context, "end", silent_s=max(after - before for before, after in zip(beats, beats[1:])))


@op(tags={QUEUE: "work", PRIORITY: 1})
def takes_no_time(context):
    nap(context, 0.0)


@job(executor_def=ON)
def lock_held():
    holds_the_lock()
    takes_no_time()


@op(tags={QUEUE: "work"})
def says_much(context):
    for number in range(300):
        context.log.info(str(number))


@job(executor_def=ON)
def one_that_says_much():
    says_much()


@job(executor_def=ON)
def one():
    takes_no_time()


@op(tags={QUEUE: "work"})
def succeeds(context):
    say(context, "start")


@op(tags={QUEUE: "work"})
def hangs(context):
    say(context, "start")
    _time.sleep(600)


@op(tags={QUEUE: "work"})
def dies(context):
    say(context, "start")
    os.kill(os.getpid(), 9)


@job(executor_def=ON)
def contract():
    succeeds()
    hangs()
    dies()


@job(executor_def=ON)
def by_priority():
    for number in (1, 9, 5, 3):
        @op(name=f"p{number}", tags={QUEUE: "work", PRIORITY: number})
        def body(context):
            nap(context, 0.0)

        body()
"""


def code(config: str, width: int) -> str:
    """The jobs, with this configuration of their executor."""
    return CODE.replace('{"broker": "THE BROKER"}', config).replace("WIDTH = 1\n", f"WIDTH = {width}\n")


_IMPATIENT = """
import runpy, sys
import runplane.workers.rounds as rounds
rounds.HANG_S = float(sys.argv.pop(1))
runpy.run_module("runplane", run_name="__main__", alter_sys=True)
"""


def impatient_worker(hangs_after_s: float) -> list[str]:
    """What starts `runplane` so that a worker's main thread hangs when it has not come round for so long."""
    return [sys.executable, "-c", _IMPATIENT, str(hangs_after_s)]


class QueueSystem(System):
    """A system whose steps stand in queues of `broker`. `width`: of ``turns`` and of each half of ``many``.

    Its result backend answers nobody: none is asked for.
    """

    def __init__(
        self,
        folder: Path,
        broker: str,
        nap_s: float,
        yaml: str = "",
        config_source: Mapping[str, Any] | None = None,
        width: int = 1,
    ) -> None:
        config = {
            "broker": broker,
            "backend": "redis://127.0.0.1:1/0",
            **({"config_source": dict(config_source)} if config_source else {}),
        }
        self._gate = folder / "gate"
        env = {"NAP": str(nap_s), "GATE": str(self._gate)}
        super().__init__(folder, code(repr(config), width), yaml, env)
        self.settings = folder / "celery.yaml"
        self.settings.write_text(json.dumps({"execution": {"config": config}}), encoding="utf-8")
        self._logs: dict[int, Path] = {}

    def queue_worker(
        self, *words: str, level: str | None = None, hangs_after_s: float | None = None, **env: str
    ) -> subprocess.Popen[bytes]:
        """A worker, when it has beaten. `level`: it is of a version of this protocol level. `hangs_after_s`: it has less patience with itself."""
        program = other_versions.command(level) if hangs_after_s is None else impatient_worker(hangs_after_s)
        log = self.folder / f"queue-worker-{len(self._logs)}"
        file = log.with_suffix(".json")
        with log.open("wb") as out:
            worker = subprocess.Popen(
                [*program, "celery", "worker", "start", "-y", str(self.settings), *words],
                env=self.environment(RUNPLANE_CELERY_WORKER_FILE=str(file), **env),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._workers.append(worker)
        self._errors[worker.pid] = log
        self._logs[worker.pid] = file
        self.wait_for("the worker's first word", lambda: file.exists() or worker.poll() is not None, 60)
        assert worker.poll() is None, log.read_text(encoding="utf-8")
        return worker

    def open_gate(self, step: str | None = None) -> None:
        """Let the bodies of ``four_held`` end, or that of one step of ``turns``."""
        gate = self._gate if step is None else self._gate.with_name(f"{self._gate.name}-{step}")
        gate.touch()

    def launch(self, job: str) -> str:
        """Have the instance's launcher launch a run of a job of the file; its id."""
        run_id = self.create(job)
        self.instance.coordinator.submit(self.instance.runs.get(run_id))
        return run_id

    def file_of(self, worker: subprocess.Popen[bytes]) -> Path:
        """The worker's file, which its probe reads."""
        return self._logs[worker.pid]

    def state(self, worker: subprocess.Popen[bytes]) -> dict[str, Any]:
        """What the worker wrote into its file last."""
        found: dict[str, Any] = json.loads(self.file_of(worker).read_text(encoding="utf-8"))
        return found

    def probe(self, worker: subprocess.Popen[bytes], *words: str) -> subprocess.CompletedProcess[str]:
        """``celery worker status`` of that worker."""
        return self.cli("celery", "worker", "status", *words, RUNPLANE_CELERY_WORKER_FILE=str(self.file_of(worker)))

    def most_at_once(self, run_id: str, begins: str) -> int:
        """How many bodies of these steps ran at the same time, as they say themselves."""
        bodies = [b for b in self.bodies(run_id) if b["step"].startswith(begins)]
        now = most = 0
        for body in sorted(bodies, key=lambda b: (b["at"], b["what"] == "start")):
            now += 1 if body["what"] == "start" else -1
            most = max(most, now)
        return most

    def completed(self, run_id: str) -> Counter[str]:
        """How often the body of each step came to its end."""
        return Counter(b["step"] for b in self.bodies(run_id, "end"))

    def queued(self) -> int:
        """Rows of attempts in queues, of all runs."""
        sql = self.instance.journal.rules.named("SELECT count(*) FROM {queued_step}")
        return int(self.instance.database.read(sql, {})[0][0])
