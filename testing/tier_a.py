"""The tier A suite: wrong, lost or doubled work must be impossible, whatever dies when.

Inherit from ``TierA``, give it the fixture ``place`` (where the runs are kept) and `job` (which job, and so which executor)::

    class TestTierAOnSqlite(TierA):
        job = "tier_a_in_process"

        @pytest.fixture()
        def place(self, tmp_path):
            return Place.in_sqlite(tmp_path)

Crash points are numbered database calls of the run worker (``testing/crashing.py``), so that a failure names the point that shows it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from ..cli.code_options import open_pointer
from ..definitions.code_loading import load_job
from ..engine.snapshot import PlanSnapshot
from ..errors import ConflictError
from ..events.argv import RESUME_ARGS_ENV, RUN_ARGS_ENV
from ..events.causes import OWN_BUDGETS, FailureCause
from ..events.event import Event, NewEvent
from ..events.kinds import Category, EventKind, category_of
from ..events.origin import JobOrigin, ModuleCodePointer, RepositoryOrigin
from ..events.status import RunStatus
from ..executors.contract import engine_event
from ..instance.instance import LEASE_TTL_ENV, Instance, RunRequest
from ..instance.retrying import RetryStrategy, retry_request
from ..plan.compile import compile_plan
from .crashing import CRASH_AT_ENV
from .tier_a_job import BREAK_ENV, LOG_ENV, NAP_ENV, WIDTH_ENV
from .warm import WarmPython, idle

MODULE = "runplane.testing.tier_a_job"
BODIES = {"first": 1, "twice": 1, "flaky": 2, "nothing": 1, "spread": 1, "collect": 1, "gather": 1}
"""Steps of the job and how often each body ends in a run in which nothing dies; ``mapped[i]`` once each."""
WORKER_TIMEOUT_S = 120.0
IMPORTS = (
    "runplane.cli.api",
    "runplane.workers.run",
    "runplane.storage.sqlite",
    "runplane.storage.postgres",
    "runplane.executors.in_process",
    "runplane.executors.multiprocess",
    "runplane.testing.crashing",
)
"""What a run worker loads that is not the user's: a run is killed and resumed so often that this would be most of its time."""
CRASH_POINTS = 100
"""So many numbered points are tried one by one in the long lane."""
DEATHS = OWN_BUDGETS[FailureCause.LOST]
"""Of the workers of one sequence. All may fall on one step, which fails when it is lost once more."""
DEEPEST = 24


def crash_points(seed: str) -> tuple[int, ...]:
    """Where workers die, one after the other."""
    dice = random.Random(seed)
    return tuple(dice.randint(1, DEEPEST) for _ in range(DEATHS))


@dataclass
class Place:
    """Where the runs of a test are kept.

    Attributes:
        home: the instance's folder, with its dagster.yaml.
        log: where step bodies write that they ran.
    """

    home: Path
    log: Path
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, storage: Mapping[str, Any], run_launcher: Mapping[str, Any] | None = None) -> Place:
        """A folder whose dagster.yaml names a crashing database with this config, and the launcher, if it is not the default one."""
        home = folder / "home"
        home.mkdir()
        custom = {"module": "runplane.testing.crashing", "class": "CrashingDatabase", "config": storage}
        monitoring = {"enabled": True, "max_resume_run_attempts": DEATHS}
        config = {"storage": {"custom": custom}, "run_monitoring": monitoring}
        config |= {"run_launcher": run_launcher} if run_launcher else {}
        (home / "dagster.yaml").write_text(json.dumps(config), encoding="utf-8")
        log = folder / "bodies.jsonl"
        log.touch()
        return cls(home, log)

    @classmethod
    def in_sqlite(cls, folder: Path, run_launcher: Mapping[str, Any] | None = None) -> Place:
        """SQLite in the home."""
        return cls.of(folder, {"database": str(folder / "home" / "runs.db"), "schema": "runplane"}, run_launcher)

    @classmethod
    def in_postgres(cls, folder: Path, url: str, schema: str, run_launcher: Mapping[str, Any] | None = None) -> Place:
        """A schema of its own in a Postgres database."""
        return cls.of(folder, {"database": url, "schema": schema}, run_launcher)

    def instance(self) -> Instance:
        """The instance, in this process."""
        return Instance.from_home(self.home)

    def others_running(self) -> list[int]:
        """Process ids of what was started for this place, still lives and shows no variable of it (it was forked). A subclass knows."""
        return []

    def environment(self, **more: str) -> dict[str, str]:
        """A worker's environment."""
        return {
            **os.environ,
            "DAGSTER_HOME": str(self.home),
            LOG_ENV: str(self.log),
            LEASE_TTL_ENV: "2",
            **self.env,
            **more,
        }


class Runs:
    """Starts runs and their workers, and looks at what they did."""

    def __init__(self, place: Place, job: str, *, nap_s: float = 0.01, width: int = 3) -> None:
        self.place = place
        self.instance = place.instance()
        self.job = job
        self.extra = {NAP_ENV: str(nap_s), WIDTH_ENV: str(width)}
        self._workers: list[WarmPython] = []
        self._plan, self._origin = plan_and_origin(job)

    def create(self) -> str:
        """A new run; its id."""
        return self.instance.create(RunRequest(self.job, self._origin, self._plan)).run_id

    def worker(self, run_id: str, verb: str = "execute_run", **env: str) -> WarmPython:
        """A worker of this run: ``api execute_run``, or ``resume_run`` in place of one that is gone."""
        document = self.instance.document(self.instance.runs.get(run_id), resume=verb == "resume_run")
        given = {RESUME_ARGS_ENV if verb == "resume_run" else RUN_ARGS_ENV: document}
        environment = self.place.environment(**self.extra, **env, **given)
        worker = idle(IMPORTS)
        worker.start(
            "runplane.cli.main:main",
            ["api", verb],
            env=environment,
            cwd=self.place.home,
            output=self.place.home / "workers.log",
        )
        self._workers.append(worker)
        return worker

    def run_to_end(self, run_id: str, verb: str = "execute_run", **env: str) -> int:
        """Start a worker and wait for it; its exit code (negative: the signal that ended it)."""
        return self.worker(run_id, verb, **env).wait(WORKER_TIMEOUT_S)

    def again(self, run_id: str) -> str:
        """A new run of what is left of one that failed; its id."""
        failed = self.instance.runs.get(run_id)
        return self.instance.create(
            retry_request(self.instance, failed, open_pointer, RetryStrategy.FROM_FAILURE)
        ).run_id

    def events(self, run_id: str) -> list[Event]:
        """All events."""
        return self.instance.tail(run_id, 0, 100_000)

    def status(self, run_id: str) -> RunStatus:
        """Where the run stands."""
        return self.instance.journal.head(run_id).status

    def bodies(self, run_id: str) -> list[dict[str, Any]]:
        """What the bodies of this run wrote, in order."""
        lines = self.place.log.read_text(encoding="utf-8").splitlines()
        return [b for b in map(json.loads, lines) if b["run"] == run_id]

    def wait_for(self, what: str, is_there: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Wait for a named moment."""
        end = time.monotonic() + timeout_s
        while not is_there():
            if time.monotonic() > end:
                pytest.fail(f"{what} did not come within {timeout_s} s")
            time.sleep(0.01)

    def left_running(self) -> list[int]:
        """Process ids of everything that was started for this place and still lives."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(LOG_ENV) == str(self.place.log) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        # What was forked shows the environment that its parent was started with.
        found += [worker.pid for worker in self._workers if worker.pid is not None and worker.runs]
        found += self.place.others_running()
        return [pid for pid in found if pid != os.getpid()]

    def close(self) -> None:
        """End what is left."""
        for worker in self._workers:
            worker.kill()
        self.instance.close()


def plan_and_origin(job: str) -> tuple[PlanSnapshot, JobOrigin]:
    """What is submitted of a job of the tier A module."""
    pointer = ModuleCodePointer(MODULE, job)
    return compile_plan(load_job(pointer, job), {}), JobOrigin(job, RepositoryOrigin(sys.executable, pointer))


def check_events(events: Sequence[Event]) -> None:
    """What holds for every run: no gap, nothing after the end but annotations, one outcome for each attempt."""
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    outcomes: dict[tuple[str | None, int | None], str] = {}
    for e in events:
        if e.kind in (EventKind.STEP_SUCCESS, EventKind.STEP_FAILURE, EventKind.STEP_UP_FOR_RETRY):
            assert (e.step, e.n) not in outcomes, f"attempt {e.n} of {e.step} has two outcomes"
            outcomes[e.step, e.n] = e.kind
    ends = [e.seq for e in events if e.kind in (EventKind.RUN_SUCCESS, EventKind.RUN_FAILURE, EventKind.RUN_CANCELED)]
    assert len(ends) <= 1, "the run ended twice"
    late = [e.kind for e in events if ends and e.seq > ends[0] and category_of(e.kind) is not Category.ANNOTATION]
    assert late == [], "facts were stored after the run's end"


def check_no_success_ran_again(events: Sequence[Event], bodies: Sequence[dict[str, Any]]) -> None:
    """No body of a step whose success is stored started under a later attempt, and none started twice under one attempt."""
    succeeded = {e.step: e.n for e in events if e.kind == EventKind.STEP_SUCCESS}
    started: dict[tuple[str, int], int] = {}
    for body in bodies:
        if body["what"] == "start":
            key = (body["step"], body["n"])
            started[key] = started.get(key, 0) + 1
            assert body["n"] <= (succeeded.get(body["step"]) or body["n"]), (
                f"{body['step']} ran again after its success"
            )
    twice = {k: v for k, v in started.items() if v > 1}
    assert not twice, f"bodies started twice under one attempt: {twice}"


def check_that_it_ended_well(runs: Runs, run_id: str) -> None:
    """What holds for a run whose workers died, and whose steps did what they should."""
    events = runs.events(run_id)
    assert runs.status(run_id) is RunStatus.SUCCESS, reasons(events)
    check_events(events)
    check_no_success_ran_again(events, runs.bodies(run_id))
    assert runs.left_running() == []


def reasons(events: Sequence[Event]) -> str:
    """What a run says of its failures, and of its coordinators."""
    told = (EventKind.RUN_FAILURE, EventKind.RUN_RESUMED, EventKind.STEP_FAILURE, EventKind.STEP_UP_FOR_RETRY)
    return "\n".join(f"{e.seq} {e.kind} {e.step} {e.n} {json.dumps(e.body)}" for e in events if e.kind in told)


def check_it_stays_ended(runs: Runs, run_id: str) -> None:
    """Whoever comes late with the authority of the run's last coordinator moves nothing; a remark is still taken."""
    journal = runs.instance.journal
    ended = journal.head(run_id)
    success = NewEvent(EventKind.RUN_SUCCESS, None, None, {"message": "too late"}, time.time())
    with pytest.raises(ConflictError):
        journal.finalise(run_id, ended.epoch, success, cause=FailureCause.LOST.value)
    journal.annotate(run_id, [engine_event("too late")])
    assert runs.status(run_id) is ended.status
    check_events(runs.events(run_id))


class TierA:
    """The suite. See the module's docstring for what to give it."""

    job: str

    @pytest.fixture
    def runs(self, place: Place) -> Any:
        """Runs of this place; whatever is left running is ended afterwards."""
        made = Runs(place, self.job)
        yield made
        made.close()

    def test_a_run_without_accident_runs_each_body_once(self, runs: Runs) -> None:
        run_id = runs.create()
        code = runs.run_to_end(run_id)
        assert code == 0
        assert runs.status(run_id) is RunStatus.SUCCESS
        check_events(runs.events(run_id))
        ended = [b["step"] for b in runs.bodies(run_id) if b["what"] == "end"]
        expected = {**BODIES, **{f"mapped[{i}]": 1 for i in range(3)}}
        assert {s: ended.count(s) for s in ended} == expected
        assert runs.left_running() == []

    def test_killed_at_numbered_points_and_resumed(self, place: Place, crash_points: Sequence[int]) -> None:
        """Workers die one after the other, each at its point. When a run has come to its end before, the next run's first worker
        dies there: so deaths fall on all parts of a run. Each has as many mapped steps as that takes, even when commits are shared."""
        runs = Runs(place, self.job, nap_s=0.0, width=max(crash_points))
        try:
            run_id, verb = runs.create(), "execute_run"
            for point in crash_points:
                code = runs.run_to_end(run_id, verb, **{CRASH_AT_ENV: str(point)})
                if code == 0 and verb == "resume_run":
                    check_that_it_ended_well(runs, run_id)
                    run_id = runs.create()
                    code = runs.run_to_end(run_id, **{CRASH_AT_ENV: str(point)})
                assert code == -signal.SIGKILL, f"a whole run has fewer than {point} points"
                verb = "resume_run"
            assert runs.run_to_end(run_id, verb) == 0
            check_that_it_ended_well(runs, run_id)
        finally:
            runs.close()

    def test_canceled_at_a_random_moment(self, place: Place, cancel_seed: int) -> None:
        runs = Runs(place, self.job, nap_s=0.05)
        try:
            run_id = runs.create()
            worker = runs.worker(run_id)
            time.sleep(random.Random(cancel_seed).uniform(0.0, 1.2))
            runs.instance.cancel(run_id)
            worker.wait(WORKER_TIMEOUT_S)
            assert runs.left_running() == []
            events = runs.events(run_id)
            check_events(events)
            status = runs.status(run_id)
            canceling = [e.seq for e in events if e.kind == EventKind.RUN_CANCELING]
            assert status is (RunStatus.CANCELED if canceling else RunStatus.SUCCESS)
            after = [
                b
                for b in runs.bodies(run_id)
                if b["what"] == "start" and canceling and b["at"] > _at(events, canceling[0]) + 1.0
            ]
            assert after == [], "a body started after the cancel was stored"
            check_it_stays_ended(runs, run_id)
        finally:
            runs.close()

    def test_executed_again_from_its_failure(self, runs: Runs) -> None:
        failed = runs.create()
        assert runs.run_to_end(failed, **{BREAK_ENV: "mapped[1]"}) == 0
        assert runs.status(failed) is RunStatus.FAILURE

        run_id = runs.again(failed)

        assert runs.run_to_end(run_id) == 0
        assert runs.status(run_id) is RunStatus.SUCCESS
        check_events(runs.events(run_id))
        assert [b["step"] for b in runs.bodies(run_id) if b["what"] == "end"] == ["mapped[1]", "collect", "gather"]

    def test_frozen_replaced_and_thawed(self, place: Place) -> None:
        runs = Runs(place, self.job, nap_s=1.0)
        try:
            run_id = runs.create()
            frozen = runs.worker(run_id)
            runs.wait_for("the first body", lambda: any(b["what"] == "start" for b in runs.bodies(run_id)))
            frozen.send_signal(signal.SIGSTOP)
            runs.extra[NAP_ENV] = "0.1"
            second = runs.worker(run_id, "resume_run")
            runs.wait_for("the take-over", lambda: runs.instance.journal.head(run_id).epoch == 2, 30)
            frozen.send_signal(signal.SIGCONT)
            assert frozen.wait(WORKER_TIMEOUT_S) == 70, "a coordinator that was replaced leaves with FENCED"
            second.wait(WORKER_TIMEOUT_S)
            events = runs.events(run_id)
            check_events(events)
            assert runs.status(run_id) is RunStatus.SUCCESS
            assert runs.left_running() == []
        finally:
            runs.close()

    def test_a_second_worker_of_a_live_run_leaves(self, place: Place) -> None:
        runs = Runs(place, self.job, nap_s=0.5)
        try:
            run_id = runs.create()
            first = runs.worker(run_id)
            runs.wait_for("the first body", lambda: any(b["what"] == "start" for b in runs.bodies(run_id)))
            assert runs.run_to_end(run_id) == 0
            first.wait(WORKER_TIMEOUT_S)
            events = runs.events(run_id)
            assert [e.kind for e in events if e.kind == EventKind.RUN_RESUMED] == []
            check_no_success_ran_again(events, runs.bodies(run_id))
        finally:
            runs.close()

    def test_told_to_leave_it_hands_the_run_on(self, place: Place) -> None:
        runs = Runs(place, self.job, nap_s=0.5)
        try:
            run_id = runs.create()
            worker = runs.worker(run_id)
            runs.wait_for("the first body", lambda: any(b["what"] == "start" for b in runs.bodies(run_id)))
            worker.send_signal(signal.SIGTERM)
            worker.wait(WORKER_TIMEOUT_S)
            assert runs.status(run_id) is RunStatus.STARTED
            assert runs.left_running() == []
            runs.extra[NAP_ENV] = "0.01"
            assert runs.run_to_end(run_id, "resume_run") == 0
            assert runs.status(run_id) is RunStatus.SUCCESS
            check_no_success_ran_again(runs.events(run_id), runs.bodies(run_id))
        finally:
            runs.close()


def _at(events: Sequence[Event], seq: int) -> float:
    return events[seq - 1].at
