"""The driver over a real journal (SQLite in memory) and a scripted runner: what is stored, in which order, and what is started."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from storage_runs import StartedRun

from runplane.engine.limits import Limits
from runplane.engine.snapshot import InputPlan, OutputPlan, OutputRef, PlanSnapshot, RetryPlan, StepPlan, StoredOutput
from runplane.errors import FencedError
from runplane.events import Event, EventKind, NewEvent, Run, RunStatus
from runplane.events.causes import FailureCause
from runplane.executors.contract import PartFailed, RunnerNews, engine_event
from runplane.executors.driver import ControlSeen, Driver, EndAsked, LeaveAsked, canceled_event, canceling_event
from runplane.executors.room import RoomSeen
from runplane.executors.settings import DriverSettings
from runplane.storage.contract import AttemptRef, Claimed, Issue, RunClaim, Seal
from runplane.storage.journal import Journal
from runplane.storage.liveness import this_process
from runplane.storage.sqlite import SqliteDatabase
from runplane.testing.scripted_runner import Script, ScriptedRunner


class World:
    """A journal with one claimed run, and what it takes to drive it."""

    def __init__(self, plan: PlanSnapshot) -> None:
        self.journal = Journal(SqliteDatabase(None))
        self.plan = plan
        self.run = Run(str(uuid.uuid4()), plan.job_name, created_at=time.time())
        self.journal.create(self.run)
        self.runner: ScriptedRunner | None = None
        self.driver: Driver | None = None

    def claim(self) -> RunClaim:
        start = NewEvent(EventKind.RUN_START, None, None, {}, time.time())
        claim = self.journal.claim_run(self.run.run_id, this_process(), [], start)
        assert claim is not None
        return claim

    def take_over(self) -> RunClaim:
        event = NewEvent(EventKind.RUN_RESUMED, None, None, {}, time.time())
        claim = self.journal.take_over(self.journal.head(self.run.run_id), this_process(), event)
        assert claim is not None
        return claim

    def make_driver(
        self,
        claim: RunClaim,
        scripts: Mapping[str, Script] | None = None,
        settings: DriverSettings | None = None,
        max_runtime_s: float | None = None,
    ) -> Driver:
        def make(report: Callable[[Any], None]) -> ScriptedRunner:
            self.runner = ScriptedRunner(report, scripts)
            return self.runner

        self.driver = Driver(self.journal, self.run, self.plan, claim, make, settings, max_runtime_s)
        return self.driver

    def drive(self, scripts: Mapping[str, Script] | None = None, **how: Any) -> RunStatus | None:
        return self.make_driver(self.claim(), scripts, **how).drive()

    def kinds(self, step: str) -> list[str]:
        return [str(e.kind) for e in self.journal.tail(self.run.run_id, 0) if e.step == step]

    def started(self) -> list[str]:
        assert self.runner is not None
        return [f"{o.ref.step}@{o.ref.n}" for o in self.runner.orders]


def step(key: str, *sources: str, **more: Any) -> StepPlan:
    inputs = tuple(InputPlan(f"in_{i}", (OutputRef(s, "result"),)) for i, s in enumerate(sources))
    return StepPlan(key, key, key, inputs=inputs, **more)


def plan(*steps: StepPlan) -> PlanSnapshot:
    return PlanSnapshot("j", steps)


@pytest.fixture
def diamond() -> World:
    return World(plan(step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c")))


def test_runs_steps_in_the_order_of_the_plan(diamond: World) -> None:
    assert diamond.drive() is RunStatus.SUCCESS
    assert diamond.started() == ["a@1", "b@1", "c@1", "d@1"]
    assert diamond.journal.head(diamond.run.run_id).status is RunStatus.SUCCESS


def test_nothing_is_started_before_its_issue_and_claim_are_stored(diamond: World) -> None:
    seen: list[list[str]] = []

    def look(runner: ScriptedRunner, order: Any) -> None:
        seen.append(diamond.kinds(order.ref.step))
        runner.succeed(order)

    diamond.drive(dict.fromkeys("abcd", look))
    assert seen == [["STEP_ISSUED", "STEP_WORKER_STARTED"]] * 4


def test_an_op_costs_one_commit(diamond: World) -> None:
    before = diamond.claim()
    calls: list[int] = []
    transact = diamond.journal.database.transact
    diamond.journal.database.transact = lambda s: (calls.append(len(s)), transact(s))[1]  # type: ignore[method-assign]
    settings = DriverSettings(Limits(max_concurrent=1))
    diamond.make_driver(before, settings=settings).drive()
    # One for the first issue, one for each op: the last of them ends the run as well, or one more does.
    assert len(calls) <= 1 + 4 + 1


def test_inputs_say_where_the_values_are(diamond: World) -> None:
    diamond.drive()
    assert diamond.runner is not None
    last = diamond.runner.orders[-1]
    assert {name: [(o.run_id, o.step, o.output) for o in found] for name, found in last.inputs.items()} == {
        "in_0": [(diamond.run.run_id, "b", "result")],
        "in_1": [(diamond.run.run_id, "c", "result")],
    }


def test_what_is_told_beside_the_last_outcome_does_not_fail_the_run(diamond: World) -> None:
    def succeed_and_tell(runner: ScriptedRunner, order: Any) -> None:
        runner.succeed(order)
        runner.tell(order, [engine_event("told late")])

    assert diamond.drive({"d": succeed_and_tell}) is RunStatus.SUCCESS

    events = diamond.journal.tail(diamond.run.run_id, 0)
    assert [e.kind for e in events[-2:]] == [EventKind.RUN_SUCCESS, EventKind.ENGINE_EVENT]


def test_a_failure_abandons_what_depends_on_it_and_fails_the_run(diamond: World) -> None:
    assert diamond.drive({"b": ScriptedRunner.fail}) is RunStatus.FAILURE
    assert diamond.started() == ["a@1", "b@1", "c@1"]
    assert diamond.kinds("d") == ["STEP_ABANDONED"]


def test_a_retry_gets_the_next_attempt_number() -> None:
    world = World(plan(step("a")))

    def once(runner: ScriptedRunner, order: Any) -> None:
        (runner.retry if order.ref.n == 1 else runner.succeed)(order)

    assert world.drive({"a": once}) is RunStatus.SUCCESS
    assert world.started() == ["a@1", "a@2"]
    assert world.runner is not None
    assert [o.retry_number for o in world.runner.orders] == [0, 1]


def test_a_crash_without_a_policy_fails_the_step_with_its_cause() -> None:
    world = World(plan(step("a")))
    assert world.drive({"a": ScriptedRunner.die}) is RunStatus.FAILURE
    failure = next(e for e in world.journal.tail(world.run.run_id, 0) if e.kind == EventKind.STEP_FAILURE)
    assert failure.body["cause"] == "CRASHED"
    assert "scripted: CRASHED" in failure.body["error"]["message"]


def test_a_crash_uses_the_retry_policy() -> None:
    world = World(plan(step("a", retry=RetryPlan(max_retries=1))))

    def crash_once(runner: ScriptedRunner, order: Any) -> None:
        (runner.die if order.ref.n == 1 else runner.succeed)(order)

    assert world.drive({"a": crash_once}) is RunStatus.SUCCESS
    assert world.kinds("a").count("STEP_SEALED") == 1


def test_the_retry_of_a_crashed_attempt_has_the_jitter_that_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runplane.executors.driver.random.random", lambda: 0.0)
    world = World(plan(step("a", retry=RetryPlan(max_retries=1, delay_s=0.3, jitter="FULL"))))

    def crash_once(runner: ScriptedRunner, order: Any) -> None:
        (runner.die if order.ref.n == 1 else runner.succeed)(order)

    assert world.drive({"a": crash_once}) is RunStatus.SUCCESS
    retry = next(e for e in world.journal.tail(world.run.run_id, 0) if e.kind == EventKind.STEP_UP_FOR_RETRY)
    assert retry.body["seconds_to_wait"] == 0.0


def test_a_lost_attempt_is_run_again_without_delay_or_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runplane.executors.driver.random.random", lambda: 0.9)
    world = World(plan(step("a", retry=RetryPlan(max_retries=1, delay_s=3600.0, jitter="PLUS_MINUS"))))

    def lost_once(runner: ScriptedRunner, order: Any) -> None:
        if order.ref.n == 1:
            runner.die(order, FailureCause.LOST)
        else:
            runner.succeed(order)

    assert world.drive({"a": lost_once}) is RunStatus.SUCCESS


def test_an_attempt_that_can_never_start_fails_at_once() -> None:
    world = World(plan(step("a", retry=RetryPlan(max_retries=5))))
    assert world.drive({"a": ScriptedRunner.refuse}) is RunStatus.FAILURE
    assert world.started() == ["a@1"]


def test_a_time_limit_stops_the_attempt_and_is_the_cause() -> None:
    world = World(plan(step("a", timeout_s=0.05)))
    assert world.drive({"a": lambda runner, order: None}) is RunStatus.FAILURE
    assert world.runner is not None
    assert [r.n for r in world.runner.stopped] == [1]
    failure = next(e for e in world.journal.tail(world.run.run_id, 0) if e.kind == EventKind.STEP_FAILURE)
    assert failure.body["cause"] == "TIMED_OUT"


def test_the_runs_time_limit_ends_it_as_a_failure() -> None:
    world = World(plan(step("a"), step("b")))
    hang: dict[str, Script] = {"a": lambda runner, order: None, "b": lambda runner, order: None}
    assert world.drive(hang, max_runtime_s=0.05) is RunStatus.FAILURE
    end = world.journal.tail(world.run.run_id, 0)[-1]
    assert end.body["message"].startswith("Exceeded maximum runtime")


def test_limits_hold_and_priorities_go_first() -> None:
    world = World(plan(step("low"), step("high", priority=5), step("mid", priority=1)))
    assert world.drive(settings=DriverSettings(Limits(max_concurrent=1))) is RunStatus.SUCCESS
    assert world.started() == ["high@1", "mid@1", "low@1"]


def test_mapped_steps_and_their_collector() -> None:
    mapped = StepPlan(
        "w[?]", "w", "w", inputs=(InputPlan("x", (OutputRef("s", "result"),)),), mapped_over=OutputRef("s", "result")
    )
    collector = StepPlan("c", "c", "c", inputs=(InputPlan("xs", (OutputRef("w[?]", "result"),), collect=True),))
    world = World(plan(StepPlan("s", "s", "s", outputs=(OutputPlan("result", dynamic=True),)), mapped, collector))
    spread: Script = lambda runner, order: runner.succeed(order, [("result", "p"), ("result", "q")])
    assert world.drive({"s": spread}) is RunStatus.SUCCESS
    assert world.started() == ["s@1", "w[p]@1", "w[q]@1", "c@1"]
    assert world.runner is not None
    assert [o.step for o in world.runner.orders[-1].inputs["xs"]] == ["w[p]", "w[q]"]


def test_a_cancel_stops_what_runs_and_starts_nothing_more(diamond: World) -> None:
    def cancel(runner: ScriptedRunner, order: Any) -> None:
        assert diamond.driver is not None
        diamond.driver.tell(EndAsked("cancel"))

    assert diamond.drive({"a": cancel}) is RunStatus.CANCELED
    assert diamond.started() == ["a@1"]
    assert diamond.runner is not None
    assert diamond.runner.stopped
    assert diamond.runner.closed


def test_a_cancel_that_somebody_else_stored_is_noticed_by_the_next_commit(diamond: World) -> None:
    def cancel_elsewhere(runner: ScriptedRunner, order: Any) -> None:
        diamond.journal.intend(diamond.run.run_id, "cancel", canceling_event("cancel", "x"), canceled_event())
        runner.succeed(order)

    assert diamond.drive({"a": cancel_elsewhere}) is RunStatus.CANCELED
    assert diamond.started() == ["a@1"]


def test_a_replaced_coordinator_ends_its_children_and_leaves(diamond: World) -> None:
    def replaced(runner: ScriptedRunner, order: Any) -> None:
        diamond.take_over()
        runner.succeed(order)

    with pytest.raises(FencedError, match="another coordinator"):
        diamond.drive({"a": replaced})
    assert diamond.runner is not None
    assert diamond.runner.closed
    assert diamond.kinds("a") == ["STEP_ISSUED", "STEP_WORKER_STARTED"]


def test_a_heartbeat_that_sees_another_coordinator_ends_the_driver(diamond: World) -> None:
    def fenced(runner: ScriptedRunner, order: Any) -> None:
        assert diamond.driver is not None
        diamond.driver.tell(ControlSeen("none", fenced=True))

    with pytest.raises(FencedError):
        diamond.drive({"a": fenced})


def test_a_part_of_the_coordinator_that_fails_ends_it_with_that_error(diamond: World) -> None:
    def broken(runner: ScriptedRunner, order: Any) -> None:
        assert diamond.driver is not None
        diamond.driver.tell(PartFailed(ZeroDivisionError("by nothing")))

    with pytest.raises(ZeroDivisionError, match="by nothing"):
        diamond.drive({"a": broken})

    assert diamond.runner is not None
    assert diamond.runner.closed


def test_told_to_leave_it_gives_its_steps_to_the_next_coordinator(diamond: World) -> None:
    def leave(runner: ScriptedRunner, order: Any) -> None:
        assert diamond.driver is not None
        diamond.driver.tell(LeaveAsked())
        runner.fail(order, FailureCause.CANCELED)

    settings = DriverSettings(drain_s=0.01)
    assert diamond.drive({"a": leave}, settings=settings) is None
    assert diamond.journal.head(diamond.run.run_id).status is RunStatus.STARTED

    assert diamond.make_driver(diamond.take_over()).drive() is RunStatus.SUCCESS
    assert diamond.started() == ["a@2", "b@1", "c@1", "d@1"]


def test_a_coordinator_that_takes_over_runs_only_what_is_not_done(diamond: World) -> None:
    def die(runner: ScriptedRunner, order: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diamond.drive({"c": die}, settings=DriverSettings(Limits(max_concurrent=1)))

    assert diamond.make_driver(diamond.take_over()).drive() is RunStatus.SUCCESS
    assert diamond.runner is not None
    assert [r.step for r in diamond.runner.probed] == ["c"]
    assert diamond.started() == ["c@2", "d@1"]


def test_a_full_pool_is_asked_again() -> None:
    world = World(plan(step("a", pools=("db",)), step("b", pools=("db",))))
    world.journal.default_pool_slots = 1
    assert world.drive() is RunStatus.SUCCESS
    assert sorted(world.started()) == ["a@1", "b@1"]


def test_a_launch_is_announced_when_there_is_room_for_it_and_not_each_time_it_is_asked_for() -> None:
    world = World(plan(step("a", pools=("db",))))
    world.journal.default_pool_slots = 1
    other = StartedRun(world.journal)
    other.commit(Issue(AttemptRef("x", 1), ("db",)))
    asked: list[str] = []

    class Announcing(ScriptedRunner):
        def opening(self, step_keys: Sequence[str]) -> Sequence[NewEvent]:
            return []

        def closing(self) -> Sequence[NewEvent]:
            return []

        def launching(self, ref: AttemptRef) -> Sequence[NewEvent]:
            asked.append(ref.step)
            if len(asked) == 2:
                other.commit(Seal(AttemptRef("x", 1), "LOST", "gone"))
            return [NewEvent(EventKind.STEP_WORKER_STARTING, ref.step, ref.n, {}, time.time())]

    driver = Driver(world.journal, world.run, world.plan, world.claim(), Announcing)
    driver.room.await_room = lambda key, names: driver.tell(RoomSeen(key))  # type: ignore[method-assign]

    driver.drive()

    assert len(asked) > 1
    assert world.kinds("a").count("STEP_WORKER_STARTING") == 1


def test_a_re_execution_leaves_mapped_steps_alone_that_are_done_without_an_output() -> None:
    mapped = StepPlan(
        "w[?]",
        "w",
        "w",
        inputs=(InputPlan("x", (OutputRef("s", "result"),)),),
        outputs=(OutputPlan("result", required=False),),
        mapped_over=OutputRef("s", "result"),
    )
    known = tuple(StoredOutput("parent", "s", "result", key, None) for key in ("p", "q"))
    world = World(PlanSnapshot("j", (mapped,), known_outputs=known, known_steps=("w[p]",)))
    assert world.drive() is RunStatus.SUCCESS
    assert world.started() == ["w[q]@1"]


class _Remote(ScriptedRunner):
    """Its attempts claim and write for themselves, as a pod does; the driver hears of them from the log."""

    claim_body = None  # type: ignore[assignment]

    def __init__(self, report: Callable[[Any], None], world: World) -> None:
        super().__init__(report)
        del self.worker_id
        self._world = world

    def start(self, order: Any) -> None:
        self.orders.append(order)
        journal, run_id = self._world.journal, self._world.run.run_id
        event = NewEvent(EventKind.STEP_WORKER_STARTED, order.ref.step, order.ref.n, {}, time.time())
        claimed = journal.claim(run_id, order.ref, "pod", event)
        assert isinstance(claimed, Claimed)
        rows = [(EventKind.STEP_OUTPUT, {"output": "result"}), (EventKind.STEP_SUCCESS, {})]
        events = [NewEvent(kind, order.ref.step, order.ref.n, body, time.time()) for kind, body in rows]
        assert journal.append_as_attempt(run_id, order.ref, claimed.nonce, 1, events)
        self._report(ControlSeen("none"))  # type: ignore[arg-type]


def test_attempts_that_write_for_themselves_are_heard_of_from_the_log(diamond: World) -> None:
    claim = diamond.claim()
    driver = Driver(diamond.journal, diamond.run, diamond.plan, claim, lambda report: _Remote(report, diamond))
    assert driver.follows_log
    assert driver.drive() is RunStatus.SUCCESS


class _Listens(_Remote):
    """Hears what stands in the log, and remarks each success."""

    def __init__(self, report: Callable[[Any], None], world: World) -> None:
        super().__init__(report, world)
        self.heard_of: list[tuple[str | None, str]] = []
        self._remarks: list[NewEvent] = []

    def heard(self, events: Sequence[Event]) -> None:
        self.heard_of += [(e.step, str(e.kind)) for e in events]
        self._remarks += [engine_event(f"{e.step} is done") for e in events if e.kind == EventKind.STEP_SUCCESS]
        self._report(RunnerNews())

    def news(self) -> Sequence[NewEvent]:
        news, self._remarks = self._remarks, []
        return news


def test_a_runner_hears_what_its_attempts_wrote_and_its_news_are_stored_while_the_run_goes_on(diamond: World) -> None:
    runner: list[_Listens] = []

    def make(report: Callable[[Any], None]) -> _Listens:
        runner.append(_Listens(report, diamond))
        return runner[0]

    driver = Driver(diamond.journal, diamond.run, diamond.plan, diamond.claim(), make)

    assert driver.drive() is RunStatus.SUCCESS
    assert [step for step, kind in runner[0].heard_of if kind == EventKind.STEP_SUCCESS] == list("abcd")
    told = [e.body.get("message") for e in diamond.journal.tail(diamond.run.run_id, 0)]
    assert told.index("a is done") < told.index("b is done") < told.index('Finished execution of run for "j".')


def test_a_runner_hears_after_a_take_over_what_was_there_before() -> None:
    world = World(plan(step("a"), step("b", "a")))
    first = Driver(world.journal, world.run, world.plan, world.claim(), lambda report: _Remote(report, world))
    first.tell(LeaveAsked())
    assert first.drive() is None
    runner: list[_Listens] = []

    def make(report: Callable[[Any], None]) -> _Listens:
        runner.append(_Listens(report, world))
        return runner[0]

    assert Driver(world.journal, world.run, world.plan, world.take_over(), make).drive() is RunStatus.SUCCESS

    assert (
        runner[0].heard_of
        == [(e.step, str(e.kind)) for e in world.journal.tail(world.run.run_id, 0)][: len(runner[0].heard_of)]
    )
    assert (None, "RUN_RESUMED") in runner[0].heard_of


def test_a_sealed_attempt_that_had_an_outcome_keeps_it() -> None:
    world = World(plan(step("a"), step("b", "a")))

    class DiesAfterItsOutcome(_Remote):
        def start(self, order: Any) -> None:
            self._report, report = lambda _: None, self._report
            super().start(order)
            self._report = report
            self.die(order)

    driver = Driver(world.journal, world.run, world.plan, world.claim(), lambda r: DiesAfterItsOutcome(r, world))
    assert driver.drive() is RunStatus.SUCCESS
    assert world.kinds("a").count("STEP_SEALED") == 0


def test_a_cancel_that_came_before_the_last_failure_was_stored_ends_the_run_as_canceled() -> None:
    world = World(plan(step("a")))

    def cancel_elsewhere(runner: ScriptedRunner, order: Any) -> None:
        world.journal.intend(world.run.run_id, "cancel", canceling_event("cancel", "x"), canceled_event())
        runner.fail(order)

    assert world.drive({"a": cancel_elsewhere}) is RunStatus.CANCELED
