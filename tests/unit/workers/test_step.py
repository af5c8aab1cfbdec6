"""``api execute_step``: what it asks storage for."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runplane.definitions.code_loading import load_job
from runplane.errors import NotFoundError
from runplane.errors.exit_codes import ExitCode
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind as K
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.requests import ExecuteStepArgs, IssuedAttempt
from runplane.instance.instance import Instance, RunRequest
from runplane.plan.compile import compile_plan
from runplane.storage.contract import AttemptRef, Issue
from runplane.storage.dialect import Outcome, Statement
from runplane.storage.liveness import this_process
from runplane.storage.patience import PatientDatabase
from runplane.workers.step import execute_step

CODE = """
from runplane import job, op

@op
def one():
    pass
    return 1

@op
def two(x):
    return x + 1

@job
def counting():
    two(one())
"""


class Asked(PatientDatabase):
    """A database that remembers each call: the first words of its statements."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner, patience_s=0, say=print)
        self.calls: list[list[str]] = []

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        self.calls.append([s.sql for s in statements])
        return super().transact(statements)

    def read(self, sql: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        self.calls.append([sql])
        return super().read(sql, params)


@dataclass
class Room:
    """A STARTED run of the job, on SQLite."""

    instance: Instance
    asked: Asked
    run_id: str
    origin: JobOrigin
    epoch: int

    def document(self, *keys: str, issued: IssuedAttempt | None = None) -> ExecuteStepArgs:
        return ExecuteStepArgs(None, self.origin, self.run_id, keys or None, issued=issued)

    def issue(self, batch: int, key: str) -> ExecuteStepArgs:
        self.instance.journal.commit(self.run_id, self.epoch, batch, [Issue(AttemptRef(key, 1))])
        self.asked.calls.clear()
        return self.document(key, issued=IssuedAttempt(1, self.epoch))

    def kinds(self) -> list[str]:
        return [e.kind for e in self.instance.journal.history(self.run_id)]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Callable[..., Room]]:
    """Make the room; `planned=False`: the run has no plan yet."""
    (tmp_path / "home").mkdir()
    pointer = FileCodePointer(str(tmp_path / "counting.py"), "counting", str(tmp_path))
    origin = JobOrigin("counting", RepositoryOrigin("python", pointer))
    with Instance.from_home(tmp_path / "home") as instance:
        asked = instance.__dict__["database"] = Asked(instance.database)

        def make(*, planned: bool = True, op: str = "pass") -> Room:
            (tmp_path / "counting.py").write_text(CODE.replace("pass", op))
            plan = compile_plan(load_job(pointer, "counting")) if planned else None
            run = instance.create(RunRequest("counting", origin, plan))
            claim = instance.journal.claim_run(
                run.run_id, this_process(), [], NewEvent(K.RUN_START, None, None, {}, 1.0)
            )
            assert claim is not None
            if plan is not None:
                instance.journal.put_steps(plan)
            return Room(instance, asked, run.run_id, origin, claim.epoch)

        yield make


def test_a_step_asks_storage_twice_the_claim_and_the_outcome(room: Callable[..., Room]) -> None:
    here = room()
    for batch, key in enumerate(("one", "two"), 1):
        document = here.issue(batch, key)

        outcome = execute_step(here.instance, document)

        assert outcome.code is ExitCode.OK
        assert len(here.asked.calls) == 2
        assert not any("FROM plan WHERE" in sql for call in here.asked.calls for sql in call)
    assert here.kinds().count("STEP_SUCCESS") == 2


def test_a_document_of_nobody_runs_all_steps_of_the_plan(room: Callable[..., Room]) -> None:
    here = room()

    outcome = execute_step(here.instance, here.document())

    assert outcome.code is ExitCode.OK
    assert here.kinds().count("STEP_SUCCESS") == 2


@pytest.mark.parametrize("is_canceled", [False, True])
def test_sigterm_is_an_outcome_only_if_the_run_is_canceled(
    room: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, is_canceled: bool
) -> None:
    here = room(op="import surroundings; surroundings.tell_to_end()")
    document = here.issue(1, "one")

    def tell_to_end() -> None:
        if is_canceled:
            canceling, canceled = (NewEvent(kind, None, None, {}, 0.0) for kind in (K.RUN_CANCELING, K.RUN_CANCELED))
            here.instance.journal.intend(here.run_id, "cancel", canceling, canceled)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setitem(sys.modules, "surroundings", SimpleNamespace(tell_to_end=tell_to_end))  # type: ignore[arg-type]

    outcome = execute_step(here.instance, document)

    assert outcome.code is (ExitCode.OK if is_canceled else ExitCode.TERMINATED)
    assert (K.STEP_FAILURE in here.kinds()) is is_canceled


def test_sigterm_is_heard_though_it_comes_where_python_drops_what_is_raised(
    room: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = room(op="import surroundings; surroundings.work()")

    class Dying:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    def work() -> None:
        Dying()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            time.sleep(0.01)

    monkeypatch.setitem(sys.modules, "surroundings", SimpleNamespace(work=work))  # type: ignore[arg-type]

    outcome = execute_step(here.instance, here.issue(1, "one"))

    assert outcome.code is ExitCode.TERMINATED
    assert K.STEP_SUCCESS not in here.kinds()


def test_the_plan_of_a_run_that_has_none_is_made_and_kept(room: Callable[..., Room]) -> None:
    here = room(planned=False)

    outcome = execute_step(here.instance, here.document("one"))

    assert outcome.code is ExitCode.OK
    plan_id = here.instance.runs.get(here.run_id).plan_id
    assert plan_id is not None
    assert [s.key for s in here.instance.journal.get_plan(plan_id).steps] == ["one", "two"]


@pytest.mark.parametrize("planned", [True, False])
def test_a_step_that_is_not_there_is_refused_before_anything_is_claimed(
    room: Callable[..., Room], planned: bool
) -> None:
    here = room(planned=planned)
    before = here.kinds()

    with pytest.raises(NotFoundError, match="no step 'tow'.*nearest|no step 'tow'.*'two'"):
        execute_step(here.instance, here.document("one", "tow"))

    assert here.kinds() == before
