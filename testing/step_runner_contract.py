"""What every ``StepRunner`` must do, each rule shown by a test.

A runner's own test derives from ``StepRunnerContract`` and says how one is made and what its attempts are to do::

    class TestMine(StepRunnerContract):
        @pytest.fixture
        def make_runner(self, tmp_path):
            return lambda report: MyRunner(report, tmp_path)

        def order(self, what):
            return StepOrder(RUN, STEP_OF[what], AttemptRef(what, 1), nonce="n")

The suite asks for three kinds of attempts: one that ``succeeds``, one that ``hangs`` until it is stopped, one that ``dies`` without an
outcome after it wrote something. A runner that runs user code inside ``start`` sets ``runs_inside_start``: nothing hangs or dies
there but the whole process. A runner whose attempts claim and write by themselves (pods, tasks) sets ``attempts_stand_for_themselves``:
what they write does not come through the runner, which tells of every end, a good one too, and they outlive it.
"""

from __future__ import annotations

import queue
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..events.causes import FailureCause
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..executors.contract import Report, RunnerSignal, StepGone, StepOrder, StepRefused, StepRunner, StepWrote
from ..storage.contract import AttemptRef

OUTCOMES = frozenset({EventKind.STEP_SUCCESS.value, EventKind.STEP_FAILURE.value, EventKind.STEP_UP_FOR_RETRY.value})
PATIENCE_S = 30.0
GRACE_S = 1.0
MakeRunner = Callable[[Report], StepRunner]


class Heard:
    """What a runner has reported, in order."""

    def __init__(self) -> None:
        self.inbox: queue.SimpleQueue[RunnerSignal] = queue.SimpleQueue()
        self.signals: list[RunnerSignal] = []

    def until(self, true: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Take signals until something is so."""
        limit = time.monotonic() + patience_s
        self.take()
        while not true():
            left = limit - time.monotonic()
            assert left > 0, f"not within {patience_s} s; heard: {self.signals}"
            try:
                self.signals.append(self.inbox.get(timeout=left))
            except queue.Empty:
                continue

    def take(self) -> None:
        """Take what is there."""
        while not self.inbox.empty():
            self.signals.append(self.inbox.get())

    def events(self, ref: AttemptRef) -> list[NewEvent]:
        """What the attempt wrote."""
        return [e for s in self.signals if isinstance(s, StepWrote) and s.ref == ref for e in s.events]

    def outcomes(self, ref: AttemptRef) -> list[str]:
        """Its outcomes: there may be one."""
        return [e.kind for e in self.events(ref) if e.kind in OUTCOMES]

    def gone(self, ref: AttemptRef) -> list[StepGone]:
        """How often, and why, it was said to be gone."""
        return [s for s in self.signals if isinstance(s, StepGone) and s.ref == ref]

    def ended(self, ref: AttemptRef) -> bool:
        """Whether an end of it was told."""
        refused = any(isinstance(s, StepRefused) and s.ref == ref for s in self.signals)
        return bool(self.outcomes(ref) or self.gone(ref) or refused)


class StepRunnerContract:
    """The suite. Derive from it."""

    runs_inside_start = False
    attempts_stand_for_themselves = False

    @pytest.fixture
    @abstractmethod
    def make_runner(self) -> MakeRunner:
        """Makes a runner that reports to what it is given."""

    @abstractmethod
    def order(self, what: str) -> StepOrder:
        """An order for an attempt that ``succeeds``, ``hangs`` or ``dies``."""

    @pytest.fixture
    def heard(self) -> Heard:
        return Heard()

    @pytest.fixture
    def runner(self, make_runner: MakeRunner, heard: Heard) -> Iterator[StepRunner]:
        made = make_runner(heard.inbox.put)
        yield made
        made.close()

    @pytest.fixture
    def apart(self) -> None:
        """For what an attempt beside the driver can do only."""
        if self.runs_inside_start:
            pytest.skip("this runner runs its attempts inside start()")

    def test_an_attempt_that_succeeds_has_one_outcome_as_its_last_fact(self, runner: StepRunner, heard: Heard) -> None:
        order = self.order("succeeds")
        runner.start(order)
        heard.until(lambda: heard.ended(order.ref))
        runner.close()
        heard.take()

        if self.attempts_stand_for_themselves:
            assert (heard.events(order.ref), len(heard.gone(order.ref))) == ([], 1)
            return
        assert heard.outcomes(order.ref) == [EventKind.STEP_SUCCESS.value]
        assert heard.events(order.ref)[-1].kind == EventKind.STEP_SUCCESS.value
        assert next(s.nonce for s in heard.signals if isinstance(s, StepWrote)) == order.nonce

    def test_an_attempt_that_dies_is_gone_after_all_it_wrote(
        self, runner: StepRunner, heard: Heard, apart: None
    ) -> None:
        order = self.order("dies")
        runner.start(order)
        heard.until(lambda: bool(heard.gone(order.ref)))
        runner.close()
        heard.take()

        of_it = [s for s in heard.signals if isinstance(s, (StepWrote, StepGone)) and s.ref == order.ref]
        assert isinstance(of_it[-1], StepGone)
        assert of_it[-1].evidence
        assert (len(heard.gone(order.ref)), heard.outcomes(order.ref)) == (1, [])
        assert heard.events(order.ref) or self.attempts_stand_for_themselves, "what it wrote before it died was lost"

    def test_start_returns_while_the_attempt_runs_and_stop_ends_it(
        self, runner: StepRunner, heard: Heard, apart: None
    ) -> None:
        order = self.order("hangs")
        runner.start(order)
        heard.take()
        assert not heard.ended(order.ref)

        runner.stop(order.ref, GRACE_S, FailureCause.TIMED_OUT)
        heard.until(lambda: heard.ended(order.ref))

        assert len(heard.outcomes(order.ref)) <= 1
        for gone in heard.gone(order.ref):
            assert gone.cause is FailureCause.TIMED_OUT

    def test_stop_may_be_asked_again_and_again(self, runner: StepRunner, heard: Heard) -> None:
        order = self.order("succeeds" if self.runs_inside_start else "hangs")
        runner.start(order)
        for _ in range(3):
            runner.stop(order.ref, GRACE_S, FailureCause.CANCELED)
        heard.until(lambda: heard.ended(order.ref))

        runner.stop(order.ref, GRACE_S, FailureCause.CANCELED)

        assert len(heard.outcomes(order.ref)) <= 1

    def test_an_attempt_that_is_not_here_is_gone_when_probed_or_stopped(self, runner: StepRunner, heard: Heard) -> None:
        probed, stopped = AttemptRef("nowhere", 1), AttemptRef("nowhere", 2)

        runner.probe(probed)
        runner.stop(stopped, GRACE_S, FailureCause.CANCELED)
        heard.until(lambda: bool(heard.gone(probed) and heard.gone(stopped)))

        assert heard.gone(stopped)[0].cause is FailureCause.CANCELED

    def test_an_attempt_that_lives_is_not_gone_when_probed(self, runner: StepRunner, heard: Heard, apart: None) -> None:
        living, dying = self.order("hangs"), self.order("dies")
        runner.start(living)
        runner.probe(living.ref)
        # Signals are in order: when another attempt's end has been told, the probe's answer would have been.
        runner.start(dying)
        heard.until(lambda: bool(heard.gone(dying.ref)))

        assert not heard.gone(living.ref)

    def test_close_leaves_nothing_running(self, make_runner: MakeRunner, heard: Heard) -> None:
        if self.attempts_stand_for_themselves:
            pytest.skip("another coordinator adopts what this one leaves")
        before = _children()
        runner = make_runner(heard.inbox.put)
        runner.start(self.order("succeeds" if self.runs_inside_start else "hangs"))

        runner.close()
        runner.close()

        assert _children() <= before


def _children() -> set[str]:
    """The processes that this one has started and that are there still; empty where there is no /proc."""
    return {pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()}
