"""Run retries: asked for with the run's end, made once, exactly what did not succeed, and never more than wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from storage_runs import event

from daemon_houses import DaemonHouse
from runplane.daemon.retry_loop import RetryLoop
from runplane.engine.snapshot import InputPlan, OutputRef, PlanSnapshot, StepPlan, StoredOutput
from runplane.errors import RunplaneError
from runplane.events.causes import RunFailureReason
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.run import Run
from runplane.instance.instance import RunRequest
from runplane.storage.contract import Accepted, Append, AttemptRef, Finish, Issue, Op, Owner
from runplane.storage.retry_requests import RetryRequests, RetryRule

PLAN = PlanSnapshot(
    "job",
    (StepPlan("a", "a", "a"), StepPlan("b", "b", "b", inputs=(InputPlan("x", (OutputRef("a", "result"),)),))),
)
ORIGIN = JobOrigin("job", RepositoryOrigin("python", FileCodePointer("f.py", "job")))


class Code:
    """A code location that knows one plan, and cuts it as it is told."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str] | None] = []
        self.broken = False

    @contextmanager
    def open(self, _: object) -> Iterator[Any]:
        if self.broken:
            raise RunplaneError("the code can not be loaded")
        yield self

    def snapshot(
        self, job: str, *, selection: Any, assets: Any, run_config: Any, step_keys: Any, known: Sequence[StoredOutput]
    ) -> PlanSnapshot:
        self.asked.append(step_keys)
        return PlanSnapshot(job, tuple(s for s in PLAN.steps if step_keys is None or s.key in step_keys))


class Retries:
    """An instance that retries twice, and a failed run in it."""

    def __init__(self, house: DaemonHouse) -> None:
        self.house, self.code = house, Code()
        self.journal = house.instance.journal
        self.journal.retries = RetryRule(2, True)
        self.requests = RetryRequests(house.instance.database)
        self.loop = RetryLoop(self.code.open)

    def run(self, **tags: str) -> str:
        named = {k.replace("__", "/"): v for k, v in tags.items()}
        return self.house.instance.create(RunRequest("job", ORIGIN, PLAN, tags=named)).run_id

    def fail(self, run_id: str, reason: RunFailureReason = RunFailureReason.STEP_FAILURE) -> None:
        """Step `a` succeeds, `b` fails, and with it the run."""
        claim = self.journal.claim_run(run_id, Owner("w", "h", "b", 1, 1), [], event(EventKind.RUN_START))
        assert claim is not None
        batch = 0

        def commit(*ops: Op) -> list[Any]:
            nonlocal batch
            batch += 1
            return list(self.journal.commit(run_id, claim.epoch, batch, ops).results)

        for step, ends in (
            ("a", [event(EventKind.STEP_OUTPUT, "a", 1, output="result"), event(EventKind.STEP_SUCCESS, "a", 1)]),
            ("b", [event(EventKind.STEP_FAILURE, "b", 1, cause="USER_CODE")]),
        ):
            ref = AttemptRef(step, 1)
            (issued,) = commit(Issue(ref, worker="w"))
            assert isinstance(issued, Accepted)
            commit(Append(ends, ref, issued.nonce))
        commit(Finish(NewEvent(EventKind.RUN_FAILURE, None, None, {"reason": reason.value, "message": "failed"}, 1.0)))

    def tags(self, run_id: str) -> dict[str, str]:
        return dict(self.house.instance.runs.get(run_id).tags)

    def after(self, run_id: str) -> Run | None:
        """The run that repeats it."""
        found = self.tags(run_id).get("dagster/auto_retry_run_id")
        return self.house.instance.runs.get(found) if found else None


@pytest.fixture
def retries() -> Iterator[Retries]:
    house = DaemonHouse()
    yield Retries(house)
    house.instance.close()


def test_a_failed_run_is_run_again_from_its_failure_with_dagsters_tags(retries: Retries) -> None:
    run_id = retries.run(team="blue")
    retries.fail(run_id)
    assert retries.tags(run_id)["dagster/will_retry"] == "true"
    assert [r.run_id for r in retries.requests.open()] == [run_id]

    assert retries.house.run_once(retries.loop).done == 1

    again = retries.after(run_id)
    assert again is not None
    assert retries.code.asked == [("b",)], "what is run again is what did not succeed"
    assert (again.step_keys, again.parent_run_id, again.root_run_id) == (("b",), run_id, run_id)
    assert again.tags == {
        "team": "blue",
        "dagster/retry_number": "1",
        "dagster/is_resume_retry": "true",
        "dagster/parent_run_id": run_id,
        "dagster/root_run_id": run_id,
    }
    assert retries.requests.open() == []
    assert retries.house.launcher.launched == [again.run_id]


def test_at_most_so_many_new_runs(retries: Retries) -> None:
    run_id: str | None = retries.run()
    chain = []

    while run_id is not None:
        chain.append(run_id)
        retries.fail(run_id)
        retries.house.run_once(retries.loop)
        after = retries.after(run_id)
        run_id = after.run_id if after else None

    assert len(chain) == 3, "the first run and two retries"
    assert [retries.tags(r).get("dagster/retry_number") for r in chain] == [None, "1", "2"]
    assert retries.tags(chain[-1])["dagster/will_retry"] == "false"
    assert {retries.tags(r)["dagster/root_run_id"] for r in chain[1:]} == {chain[0]}


@pytest.mark.parametrize(
    ("tags", "reason", "wanted"),
    [
        ({"dagster__max_retries": "0"}, RunFailureReason.STEP_FAILURE, "false"),
        ({"dagster__max_retries": "many"}, RunFailureReason.STEP_FAILURE, "false"),
        ({"dagster__retry_on_asset_or_op_failure": "false"}, RunFailureReason.STEP_FAILURE, "false"),
        ({"dagster__retry_on_asset_or_op_failure": "false"}, RunFailureReason.RUN_EXCEPTION, "true"),
        ({}, RunFailureReason.START_TIMEOUT, "true"),
    ],
)
def test_tags_say_otherwise(retries: Retries, tags: dict[str, str], reason: RunFailureReason, wanted: str) -> None:
    run_id = retries.run(**tags)

    retries.fail(run_id, reason)

    assert retries.tags(run_id)["dagster/will_retry"] == wanted
    assert len(retries.requests.open()) == (wanted == "true")


def test_all_steps_when_the_tag_says_so(retries: Retries) -> None:
    run_id = retries.run(dagster__retry_strategy="ALL_STEPS")
    retries.fail(run_id)

    retries.house.run_once(retries.loop)

    again = retries.after(run_id)
    assert again is not None
    assert again.step_keys is None
    assert "dagster/is_resume_retry" not in again.tags


def test_a_canceled_run_is_never_retried(retries: Retries) -> None:
    run_id = retries.run()

    retries.house.cancel(run_id)

    assert retries.requests.open() == []
    assert "dagster/will_retry" not in retries.tags(run_id)


def test_without_run_retries_nothing_is_asked_for(retries: Retries) -> None:
    retries.journal.retries = None
    run_id = retries.run(dagster__max_retries="3")

    retries.fail(run_id)

    assert retries.requests.open() == []
    assert "dagster/will_retry" not in retries.tags(run_id)


def test_a_daemon_that_died_before_it_said_so_does_not_make_two(
    retries: Retries, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = retries.run()
    retries.fail(run_id)
    monkeypatch.setattr(RetryRequests, "done", lambda *_: None)

    for _ in range(3):
        retries.house.run_once(RetryLoop(retries.code.open))

    assert len(retries.house.launcher.launched) == 1, "one request made several runs"
    assert RetryRequests(retries.house.instance.database).group_size(run_id) == 2


def test_code_that_can_not_be_loaded_is_said_in_the_log_and_not_tried_for_ever(retries: Retries) -> None:
    run_id = retries.run()
    retries.fail(run_id)
    retries.code.broken = True

    report = retries.house.run_once(retries.loop)

    assert report.problems == (f"run {run_id} can not be retried: the code can not be loaded",)
    assert retries.house.last(run_id, EventKind.ENGINE_EVENT)["message"] == "Failed to retry run"
    assert retries.tags(run_id)["dagster/will_retry"] == "false"
    assert retries.requests.open() == []


def test_from_the_failure_of_assets_those_are_asked_for_that_were_not_made(retries: Retries) -> None:
    plan = PlanSnapshot(
        "job",
        (
            StepPlan("a", "a", "a", asset_keys=("made", "x/left"), check_keys=("made:checked",)),
            StepPlan("b", "b", "b", asset_keys=("below",), check_keys=("below:unknown",)),
        ),
    )
    tags = {"dagster/retry_strategy": "FROM_ASSET_FAILURE"}
    run_id = retries.house.instance.create(RunRequest("job", ORIGIN, plan, tags=tags)).run_id
    for note in (
        event(EventKind.ASSET_MATERIALIZATION, "a", 1, asset_key="made"),
        event(EventKind.ASSET_CHECK_EVALUATION, "a", 1, asset_key="made", check_name="checked", passed=True),
    ):
        retries.house.note(run_id, note)
    retries.fail(run_id)

    retries.house.run_once(retries.loop)

    again = retries.after(run_id)
    assert again is not None
    assert again.asset_selection == ("below", "x/left")
    assert again.asset_check_selection == ("below:unknown",)
    assert again.step_keys is None
    assert again.tags["dagster/is_asset_resume_retry"] == "true"
    assert "dagster/is_resume_retry" not in again.tags


def test_from_the_failure_of_assets_a_run_without_any_runs_its_steps(retries: Retries) -> None:
    run_id = retries.run(dagster__retry_strategy="FROM_ASSET_FAILURE")
    retries.fail(run_id)

    retries.house.run_once(retries.loop)

    assert retries.code.asked == [("b",)]
