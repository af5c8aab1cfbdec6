"""The monitor: who does not start, who does not end, who lost its worker; each with its cause, and nobody else."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from storage_runs import event

from daemon_houses import DaemonHouse, FakeClock, RecordingLauncher
from runplane.coordinators.limits import QueueLimits
from runplane.daemon.monitor_loop import GRACE_S, MonitorLoop, MonitorSettings
from runplane.daemon.queue_loop import QueueLoop
from runplane.errors import FencedError
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from runplane.launchers.contract import Health, HealthState, LaunchRequest, WorkerHandle
from runplane.storage.compute_logs import new_log_key
from runplane.storage.contract import AttemptRef, Issue, Owner, RunClaim
from runplane.storage.pools import Pools

ELSEWHERE = Owner("w", "another host", "boot", 7, 7)


class WatchedLauncher(RecordingLauncher):
    """Says of its workers what the test says, and can resume."""

    def __init__(self) -> None:
        super().__init__()
        self.health = HealthState.ALIVE
        self.is_hopeless = False
        self.left: list[str] = []
        self.resumed: list[int] = []

    def check(self, run_id: str, handle: WorkerHandle) -> Health:
        return Health(self.health, f"the pod is {self.health.value.lower()}", self.is_hopeless)

    def stop_all(self, run_id: str, handle: WorkerHandle | None) -> list[str]:
        return self.left

    def resume(self, request: LaunchRequest) -> WorkerHandle:
        self.resumed.append(request.resume_attempt)
        return WorkerHandle("recorded", {})


class Watch:
    """A monitor and its clock. `pass_time` looks as often as the daemon would."""

    def __init__(self, house: DaemonHouse, launcher: WatchedLauncher) -> None:
        self.house, self.launcher, self.clock = house, launcher, FakeClock()

    def monitor(self, **changed: float) -> MonitorLoop:
        given = MonitorSettings(180, 180, 0, 10, 3, None, 16)
        self.loop = MonitorLoop(given._replace(**changed), clock=self.clock)  # type: ignore[arg-type]
        return self.loop

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / self.loop.interval_s)):
            self.clock.now += self.loop.interval_s
            assert self.house.run_once(self.loop).problems == ()

    def starting(self) -> str:
        run_id = self.house.submit()
        self.house.run_once(QueueLoop(QueueLimits(-1), interval_s=5, ttl_s=8))
        return run_id

    def started(self, owner: Owner = ELSEWHERE) -> tuple[str, RunClaim]:
        run_id = self.starting()
        claim = self.house.instance.journal.claim_run(run_id, owner, [], event(EventKind.RUN_START))
        assert claim is not None
        self.house.instance.runs.put_handle(run_id, {"kind": "recorded", "data": {}})
        return run_id, claim

    def age(self, run_id: str, kind: EventKind, seconds: float) -> None:
        """Have the run's event of this kind happen so long ago."""
        sql = self.house.instance.journal.rules.named(
            "UPDATE {event} SET at = at - :s WHERE run_id = :run AND kind = :k"
        )
        self.house.instance.database.read(sql, {"s": seconds, "run": run_id, "k": kind.value})

    def kinds(self, run_id: str) -> list[str]:
        return [str(e.kind) for e in self.house.instance.tail(run_id)]


@pytest.fixture
def watch() -> Iterator[Watch]:
    launcher = WatchedLauncher()
    house = DaemonHouse(launcher)
    yield Watch(house, launcher)
    house.instance.close()


def test_a_run_that_does_not_start_in_time_fails_and_a_late_worker_is_refused(watch: Watch) -> None:
    run_id = watch.starting()
    watch.monitor()
    watch.pass_time(20)
    assert watch.house.status(run_id) is RunStatus.STARTING

    watch.age(run_id, EventKind.RUN_STARTING, 181)
    watch.pass_time(20)

    assert watch.house.status(run_id) is RunStatus.FAILURE
    failure = watch.house.last(run_id, EventKind.RUN_FAILURE)
    assert failure["message"].startswith("Run timed out due to taking longer than 180 seconds to start.")
    assert watch.house.instance.runs.get(run_id).tags["dagster/failure_reason"] == "START_TIMEOUT"
    late = watch.house.instance.journal.claim_run(run_id, ELSEWHERE, [], event(EventKind.RUN_START))
    assert late is None


def test_a_worker_that_dies_before_it_claims_the_run_is_replaced(watch: Watch) -> None:
    run_id = watch.starting()
    watch.house.instance.runs.put_handle(run_id, {"kind": "recorded", "data": {}})
    watch.monitor(resumes=2)
    watch.pass_time(20)
    assert watch.launcher.resumed == [], "it lives, and may take its time"

    watch.launcher.health = HealthState.GONE
    watch.pass_time(40)

    assert watch.launcher.resumed == [1, 2]
    assert watch.house.status(run_id) is RunStatus.FAILURE
    failure = watch.house.last(run_id, EventKind.RUN_FAILURE)["message"]
    assert "it never claimed the run; the pod is gone" in failure
    assert failure.endswith("The maximum of 2 attempts to resume it is used up.")


def test_a_worker_that_can_never_start_is_not_replaced(watch: Watch) -> None:
    run_id = watch.starting()
    watch.house.instance.runs.put_handle(run_id, {"kind": "recorded", "data": {}})
    watch.monitor()
    watch.launcher.health, watch.launcher.is_hopeless = HealthState.GONE, True

    watch.pass_time(10)

    assert watch.launcher.resumed == []
    assert watch.house.status(run_id) is RunStatus.FAILURE


def test_a_lost_run_ends_when_nothing_of_it_is_left(watch: Watch) -> None:
    run_id, _ = watch.started()
    watch.monitor(resumes=0)
    watch.launcher.left = ["pod p on node n"]
    watch.pass_time(60)
    assert watch.house.status(run_id) is RunStatus.STARTED, "a step of it runs"

    watch.launcher.left = []
    watch.pass_time(4)

    assert watch.house.status(run_id) is RunStatus.FAILURE
    assert "Still there" not in watch.house.last(run_id, EventKind.RUN_FAILURE)["message"]


@pytest.mark.parametrize("canceled", [False, True])
def test_what_does_not_go_away_is_named_by_the_end_of_a_lost_run(watch: Watch, canceled: bool) -> None:
    run_id, _ = watch.started()
    if canceled:
        watch.house.cancel(run_id)
    watch.monitor(resumes=0)
    watch.launcher.left = ["pod p on node n"]

    watch.pass_time(220)

    end = (RunStatus.CANCELED, EventKind.RUN_CANCELED) if canceled else (RunStatus.FAILURE, EventKind.RUN_FAILURE)
    assert watch.house.status(run_id) is end[0]
    assert watch.house.last(run_id, end[1])["message"].endswith("Still there: pod p on node n.")


def test_a_run_whose_worker_beats_is_left_alone(watch: Watch) -> None:
    run_id, claim = watch.started()
    watch.monitor()
    watch.launcher.health = HealthState.UNKNOWN

    for _ in range(40):
        watch.house.instance.journal.beat(run_id, claim.epoch)
        watch.pass_time(4)

    assert watch.launcher.resumed == []
    assert watch.house.status(run_id) is RunStatus.STARTED


def test_a_gap_in_the_contact_is_no_evidence(watch: Watch) -> None:
    run_id, _ = watch.started()
    watch.monitor(poll_s=1000)
    watch.pass_time(4)

    for _ in range(5):
        watch.clock.now += 500
        watch.house.run_once(watch.loop)

    assert watch.launcher.resumed == []
    assert watch.house.status(run_id) is RunStatus.STARTED


def test_a_worker_that_is_not_heard_of_is_replaced_and_the_next_one_is_given_time(watch: Watch) -> None:
    run_id, _ = watch.started()
    watch.monitor()

    watch.pass_time(60)

    assert watch.launcher.resumed == [1]
    said = [e.body["message"] for e in watch.house.instance.tail(run_id) if e.kind == EventKind.ENGINE_EVENT]
    assert "its worker has not been heard of for 16 s" in said[0]
    assert said[1] == "Launching a new run worker to resume run (attempt 1 of 3)"


def test_the_launchers_word_counts_when_nothing_is_heard_of_the_worker(watch: Watch) -> None:
    run_id, claim = watch.started()
    watch.monitor(poll_s=2, ttl_s=160)
    watch.launcher.health = HealthState.GONE
    for _ in range(10):
        watch.house.instance.journal.beat(run_id, claim.epoch)
        watch.pass_time(4)
        assert watch.launcher.resumed == [], "it beats, so somebody is there"

    watch.pass_time(100)

    assert watch.launcher.resumed[0] == 1


def test_whoever_ends_a_run_says_that_its_logs_are_complete(watch: Watch) -> None:
    run_id, _ = watch.started()
    instance, key = watch.house.instance, new_log_key("run")
    instance.journal.annotate(run_id, [event(EventKind.LOGS_CAPTURED, log_key=list(key))])
    watch.monitor(resumes=0)

    watch.pass_time(30)

    assert watch.house.status(run_id) is RunStatus.FAILURE
    assert instance.logs.read(key, "out", 0, 1).complete


def test_without_a_budget_the_run_is_taken_over_and_fails_with_its_cause(watch: Watch) -> None:
    run_id, claim = watch.started()
    journal = watch.house.instance.journal
    Pools(watch.house.instance.database).set_limit("db", 1)
    journal.commit(run_id, claim.epoch, 1, [Issue(AttemptRef("a", 1), ("db",), worker="w")])
    watch.monitor(resumes=0)

    watch.pass_time(30)

    assert watch.launcher.resumed == [], "an explicit 0 is 0"
    assert watch.house.status(run_id) is RunStatus.FAILURE
    failure = watch.house.last(run_id, EventKind.RUN_FAILURE)
    assert "its worker has not been heard of for 16 s" in failure["message"]
    assert watch.house.instance.runs.get(run_id).tags["dagster/failure_reason"] == "UNEXPECTED_TERMINATION"
    assert watch.kinds(run_id)[-3:] == [EventKind.RUN_RESUMED, EventKind.STEP_SEALED, EventKind.RUN_FAILURE]
    assert Pools(watch.house.instance.database).get("db").used == 0
    with pytest.raises(FencedError):
        journal.beat(run_id, claim.epoch)
    assert set(watch.launcher.terminated) == {run_id}


def test_when_the_budget_is_used_up_the_run_fails(watch: Watch) -> None:
    run_id, _ = watch.started()
    watch.monitor(resumes=2)
    watch.launcher.health = HealthState.GONE

    watch.pass_time(200)

    assert watch.launcher.resumed == [1, 2], "each further worker was gone before it claimed the run"
    assert watch.house.status(run_id) is RunStatus.FAILURE
    assert watch.house.last(run_id, EventKind.RUN_FAILURE)["message"].endswith(
        "The maximum of 2 attempts to resume it is used up."
    )


def test_a_worker_that_gave_the_run_up_is_replaced_at_once(watch: Watch) -> None:
    run_id, claim = watch.started()
    watch.house.instance.journal.give_up(run_id, claim.epoch)
    watch.monitor()

    watch.pass_time(2)

    assert watch.launcher.resumed == [1]


def test_a_cancel_that_takes_too_long_ends_the_run_and_names_why(watch: Watch) -> None:
    run_id, claim = watch.started()
    watch.house.cancel(run_id)
    watch.monitor()
    watch.house.instance.journal.beat(run_id, claim.epoch)
    watch.pass_time(10)
    assert watch.house.status(run_id) is RunStatus.CANCELING

    watch.age(run_id, EventKind.RUN_CANCELING, 181)
    watch.pass_time(20)

    assert watch.house.status(run_id) is RunStatus.CANCELED
    assert "longer than 180 seconds to cancel" in watch.house.last(run_id, EventKind.RUN_CANCELED)["message"]


def test_a_canceled_run_whose_worker_is_gone_is_canceled(watch: Watch) -> None:
    run_id, _ = watch.started()
    watch.house.cancel(run_id)
    watch.monitor()

    watch.pass_time(40)

    assert watch.house.status(run_id) is RunStatus.CANCELED
    assert watch.launcher.resumed == []


def test_a_run_that_was_canceled_before_its_worker_came_is_ended(watch: Watch) -> None:
    run_id = watch.starting()
    watch.house.cancel(run_id)
    watch.monitor()

    watch.pass_time(4)

    assert watch.house.status(run_id) is RunStatus.CANCELED


@pytest.mark.parametrize(("tag", "setting", "asked"), [("5", 0, True), ("5000", 5, False), (None, 5, True)])
def test_a_run_over_its_time_whose_worker_does_not_end_it_is_asked_to(
    watch: Watch, tag: str | None, setting: float, asked: bool
) -> None:
    run_id, claim = watch.started()
    if tag is not None:
        watch.house.instance.runs.put_tags(run_id, {"dagster/max_runtime": tag})
    watch.monitor(max_runtime_s=setting)
    watch.house.instance.journal.beat(run_id, claim.epoch)
    watch.age(run_id, EventKind.RUN_START, GRACE_S + 6)

    watch.pass_time(4)

    assert watch.house.instance.journal.head(run_id).intent == ("deadline" if asked else "none")


def test_slots_that_ended_runs_left_are_freed_after_their_time(watch: Watch) -> None:
    run_id, claim = watch.started()
    pools = Pools(watch.house.instance.database)
    pools.set_limit("db", 1)
    journal = watch.house.instance.journal
    journal.commit(run_id, claim.epoch, 1, [Issue(AttemptRef("a", 1), ("db",), worker="w")])
    journal.finalise(run_id, claim.epoch, event(EventKind.RUN_FAILURE), cause="lost")
    for sql in (
        f"INSERT INTO slot (run_id, step, n, pool) VALUES ('{run_id}', 'a', 1, 'db')",
        "UPDATE pool SET used = 1",
        f"UPDATE run SET ended_at = {time.time() - 100}",
    ):
        watch.house.instance.database.read(sql, {})
    watch.monitor(free_slots_s=200)
    watch.pass_time(20)
    assert pools.get("db").used == 1

    watch.monitor(free_slots_s=50)
    watch.pass_time(20)

    assert pools.get("db").used == 0
    assert pools.holders("db") == []
