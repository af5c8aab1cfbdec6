"""What every database under ``StepQueues`` must do.

A backend's own test derives from ``StepQueuesContract`` and gives the fixture ``open_database``, as for ``JournalContract``.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import pytest

from ..engine.arcs import AttemptState
from ..events.kinds import EventKind
from ..events.run import Run
from ..storage.contract import Accepted, AttemptRef, Claimed, Issue, Owner, Seal
from ..storage.database import Database
from ..storage.deletion import Deletions
from ..storage.dialect import Statement
from ..storage.journal import Journal
from ..storage.step_queues import NotTaken, QueuedStep, StepQueues, Taken, run_process
from .journal_contract import LossyDatabase, event

K = EventKind
BODY = {"kind": "process"}
RUN_BODY = {"kind": "execute_run"}
_ids = itertools.count(1)


def worker(name: str) -> Owner:
    """A worker of another machine, so that nothing is known of its process."""
    return Owner(name, f"host of {name}", "boot", 1, 1)


class QueueHouse:
    """A run whose steps stand in queues, as its coordinator and the workers see it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.journal = Journal(database)
        self.queues = StepQueues(database, ttl_s=60.0)
        self.run_id = f"{next(_ids):032x}"
        self.journal.create(Run(run_id=self.run_id, job_name="job"))
        claim = self.journal.claim_run(self.run_id, Owner("c", "host", "boot", 1, 1), [], event(K.RUN_START))
        assert claim is not None
        self.epoch = claim.epoch
        self._batches = itertools.count(1)

    def queued(
        self, step: str, queue: str = "q", priority: int = 0, *, apart: bool = False, tells: bool = False
    ) -> AttemptRef:
        """An attempt that was issued and put into a queue."""
        ref = AttemptRef(step, 1)
        done = self.journal.commit(self.run_id, self.epoch, next(self._batches), [Issue(ref)])
        assert isinstance(done.results[0], Accepted)
        self.queues.put(self.run_id, ref, queue, priority, BODY, apart=apart, tells=tells)
        return ref

    def queued_run(self, n: int = 1) -> AttemptRef:
        """The n-th process of the run, in a queue."""
        ref = run_process(n)
        self.queues.put(self.run_id, ref, "q", 0, RUN_BODY)
        return ref

    def listens(self, name: str, slots: int, *queues: str) -> None:
        """A worker that has just beaten."""
        self.queues.beat(worker(name), queues or ("q",), slots, {})

    def take(self, ref: AttemptRef, name: str, queue: str = "q", token: str = "t") -> Taken | NotTaken:
        """What a worker does with a message."""
        return self.queues.take(self.run_id, ref, queue, name, token)

    def claim(self, ref: AttemptRef) -> Claimed:
        """What the process that the worker started does."""
        claimed = self.journal.claim(self.run_id, ref, "child", event(K.STEP_WORKER_STARTED, ref.step, ref.n))
        assert isinstance(claimed, Claimed)
        return claimed

    def finish(self, ref: AttemptRef) -> None:
        """The process claims and succeeds."""
        nonce = self.claim(ref).nonce
        assert self.journal.append_as_attempt(self.run_id, ref, nonce, 1, [event(K.STEP_SUCCESS, ref.step, ref.n)])

    def seal(self, ref: AttemptRef) -> None:
        """The coordinator decides."""
        self.journal.commit(self.run_id, self.epoch, next(self._batches), [Seal(ref, "lost", "gone")])

    def is_of_level(self, level: str) -> None:
        """A coordinator of this protocol level goes on with the run."""
        sql = self.journal.rules.named("UPDATE {run_head} SET level = :level WHERE run_id = :run")
        self.database.transact([Statement(sql, {"run": self.run_id, "level": level})])

    def state(self, ref: AttemptRef) -> QueuedStep | None:
        """The attempt in its queue; None: it is in none."""
        return next((one for one in self.queues.of_run(self.run_id) if one.ref == ref), None)


class StepQueuesContract:
    """The suite. See the module's docstring for what to give it."""

    @pytest.fixture
    def house(self, open_database: Callable[[], Database]) -> QueueHouse:
        """A run on a database that has no queues yet."""
        return QueueHouse(open_database())

    def test_a_worker_takes_what_was_put_there(self, house: QueueHouse) -> None:
        ref = house.queued("a", priority=7)
        house.listens("w", 1)

        assert house.take(ref, "w") == Taken(BODY)

        found = house.state(ref)
        assert found is not None
        assert (found.queue, found.priority, found.watcher, found.owner) == ("q", 7, "w", worker("w"))

    def test_who_waits_is_told_of_what_is_put_there(
        self, house: QueueHouse, open_database: Callable[[], Database]
    ) -> None:
        waits = StepQueues(open_database(), ttl_s=60.0)
        waits.waiting_in("q")  # connects
        waits.wait_for_queued(0.01)  # and listens from here on

        house.queued("a", tells=True)

        assert waits.wait_for_queued(60.0)
        assert waits.next_in(["q"], 9) == [(house.run_id, AttemptRef("a", 1), "q")]

    def test_a_taken_attempt_is_still_only_issued(self, house: QueueHouse) -> None:
        ref = house.queued("a")
        house.listens("w", 1)

        house.take(ref, "w")

        row = house.journal.attempt(house.run_id, ref)
        assert row is not None
        assert row.state is AttemptState.ISSUED

    def test_it_is_taken_once(self, house: QueueHouse) -> None:
        ref = house.queued("a")
        house.listens("w", 2)
        house.listens("v", 2)
        house.take(ref, "w")

        assert house.take(ref, "v") == NotTaken("held", "w")
        assert house.take(ref, "w", token="second message") == NotTaken("held", "w")

    def test_a_lost_reply_is_asked_for_again(self, house: QueueHouse) -> None:
        ref = house.queued("a")
        house.listens("w", 1)
        lossy = StepQueues(LossyDatabase(house.database), ttl_s=60.0)

        assert lossy.take(house.run_id, ref, "q", "w", "t") == Taken(BODY)

    def test_no_more_than_the_slots_of_living_workers_run(self, house: QueueHouse) -> None:
        refs = [house.queued(f"s{i}", priority=7) for i in range(4)]
        house.listens("w", 2)
        house.listens("v", 1)
        takers = ("w", "w", "v", "v")

        answers = [house.take(ref, name) for ref, name in zip(refs, takers, strict=True)]

        assert answers == [Taken(BODY), Taken(BODY), Taken(BODY), NotTaken("full", priority=7)]

    def test_many_takers_at_once_never_pass_the_bound(self, open_database: Callable[[], Database]) -> None:
        house = QueueHouse(open_database())
        refs = [house.queued(f"s{i}") for i in range(12)]
        house.listens("w", 3)
        answers: list[Taken | NotTaken] = []

        def take_some(part: int) -> None:
            queues = StepQueues(open_database(), ttl_s=60.0)
            answers.extend(queues.take(house.run_id, ref, "q", "w", "t") for ref in refs[part::3])

        threads = [threading.Thread(target=take_some, args=(part,)) for part in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(answers) == 12
        assert sum(isinstance(a, Taken) for a in answers) == 3

    def test_what_a_dead_worker_watched_counts_until_it_is_decided(self, house: QueueHouse) -> None:
        first, second = house.queued("a"), house.queued("b")
        house.listens("dead", 1)
        house.take(first, "dead")
        house.queues.leave("dead")
        house.listens("w", 1)

        assert house.take(second, "w") == NotTaken("full")
        found = house.state(first)
        assert found is not None
        assert (found.watcher, found.owner) == ("dead", None)

        house.seal(first)
        assert house.take(second, "w") == Taken(BODY)

    def test_slots_of_a_worker_that_is_not_heard_of_do_not_count(self, house: QueueHouse) -> None:
        first, second = house.queued("a"), house.queued("b")
        house.listens("silent", 5)
        impatient = StepQueues(house.database, ttl_s=-1.0)

        assert impatient.take(house.run_id, first, "q", "silent", "t") == NotTaken("full")
        assert house.take(second, "silent") == Taken(BODY)

    def test_who_stands_in_for_a_killed_worker_brings_no_further_slots(self, house: QueueHouse) -> None:
        refs = [house.queued(str(i)) for i in range(4)]
        house.listens("lives", 1)
        house.listens("killed", 1)
        for name, ref in (("lives", refs[0]), ("killed", refs[1])):
            assert isinstance(house.take(ref, name), Taken)

        house.queues.join(worker("stands in"), ["q"], 1, {})
        house.listens("lives", 1)

        assert house.take(refs[2], "stands in") == NotTaken("full"), "two slots, and two steps that may run"
        house.listens("killed", 1)  # it was no more than slow
        assert isinstance(house.take(refs[2], "stands in"), Taken)
        assert house.take(refs[3], "stands in") == NotTaken("full")

    def test_a_worker_that_does_not_listen_takes_nothing(self, house: QueueHouse) -> None:
        ref = house.queued("a")
        house.listens("w", 1)

        assert house.take(ref, "stranger") == NotTaken("full")

    def test_the_bound_is_each_queues_own(self, house: QueueHouse) -> None:
        first, second = house.queued("a", "q"), house.queued("b", "other")
        house.listens("w", 1, "q", "other")

        assert house.take(first, "w") == Taken(BODY)
        assert house.take(second, "w", "other") == Taken(BODY)

    @pytest.mark.parametrize("where", ["other", "q"])
    def test_what_was_not_put_there_is_unknown(self, house: QueueHouse, where: str) -> None:
        house.queued("a", "q")
        house.listens("w", 1, "q", "other")
        ref = AttemptRef("a", 1 if where == "other" else 2)

        answer = house.take(ref, "w", where)

        assert isinstance(answer, NotTaken)
        assert answer.why == "unknown"

    def test_what_is_claimed_decided_or_to_stop_is_not_taken(self, house: QueueHouse) -> None:
        claimed, sealed, stopping = house.queued("a"), house.queued("b"), house.queued("c")
        house.listens("w", 9)
        house.claim(claimed)
        house.seal(sealed)
        house.queues.ask_to_stop(house.run_id, stopping, 1.0)

        assert [house.take(ref, "w") for ref in (claimed, sealed, stopping)] == [NotTaken("ended")] * 3

    def test_nothing_is_taken_of_a_run_that_is_to_end(self, house: QueueHouse) -> None:
        ref = house.queued("a")
        house.listens("w", 1)
        house.journal.intend(house.run_id, "cancel", event(K.RUN_CANCELING), event(K.RUN_CANCELED))

        assert house.take(ref, "w") == NotTaken("ended")

    def test_an_end_frees_the_slot_and_is_kept_until_it_is_decided(self, house: QueueHouse) -> None:
        first, second = house.queued("a"), house.queued("b")
        house.listens("w", 1)
        house.take(first, "w")

        house.queues.end(house.run_id, first, "w", {"code": 9})

        found = house.state(first)
        assert found is not None
        assert found.ended == {"code": 9}
        assert house.take(first, "w") == NotTaken("ended")
        assert house.take(second, "w") == Taken(BODY)

    def test_the_end_of_a_decided_attempt_leaves_nothing(self, house: QueueHouse) -> None:
        ref = house.queued("a")
        house.listens("w", 1)
        house.take(ref, "w")
        house.finish(ref)

        house.queues.end(house.run_id, ref, "w", {"code": 0})

        assert house.state(ref) is None

    def test_a_beat_hears_what_is_to_end(self, house: QueueHouse) -> None:
        goes_on, stopping, sealed = house.queued("a"), house.queued("b"), house.queued("c")
        house.listens("w", 3)
        for ref in (goes_on, stopping, sealed):
            house.take(ref, "w")
        house.claim(goes_on)
        house.queues.ask_to_stop(house.run_id, stopping, 2.5)
        house.seal(sealed)

        heard = house.queues.beat(worker("w"), ["q"], 3, {})

        assert {(one.ref.step, one.grace_s) for one in heard} == {("b", 2.5), ("c", 0.0)}

    def test_what_waits_is_listed_by_priority(self, house: QueueHouse) -> None:
        low, high, other = house.queued("a", priority=1), house.queued("b", priority=9), house.queued("c", "other")
        taken = house.queued("d", priority=9)
        house.listens("w", 5)
        house.take(taken, "w")

        def steps(*queues: str) -> list[AttemptRef]:
            return [ref for run, ref, _ in house.queues.next_in(queues, 50) if run == house.run_id]

        assert steps("q") == [high, low]
        assert steps("q", "other") == [high, low, other]
        assert house.queues.waiting_in("q") == 2

    def test_figures_of_a_queue(self, house: QueueHouse) -> None:
        first = house.queued("a")
        house.queued("b")
        house.queued("c", "nobody listens")
        house.listens("w", 3)
        house.listens("v", 2)
        house.take(first, "w")

        found = {one.name: one for one in house.queues.figures()}

        assert (found["q"].waiting, found["q"].running, found["q"].slots, found["q"].workers) == (1, 1, 5, 2)
        unheard = found["nobody listens"]
        assert (unheard.waiting, unheard.slots, unheard.workers) == (1, 0, 0)
        assert unheard.oldest_s >= 0

    def test_workers_are_listed_until_they_leave(self, house: QueueHouse) -> None:
        house.listens("w", 3, "q", "other")
        house.listens("v", 1)
        house.queues.leave("v")

        (found,) = house.queues.workers()

        assert (found.worker_id, found.queues, found.slots, found.owner) == ("w", ("other", "q"), 3, worker("w"))

    def test_put_again_changes_nothing(self, house: QueueHouse) -> None:
        ref = house.queued("a")
        house.listens("w", 1)
        house.take(ref, "w")

        house.queues.put(house.run_id, ref, "other", 3, BODY)

        found = house.state(ref)
        assert found is not None
        assert (found.queue, found.watcher) == ("q", "w")

    def test_what_is_decided_and_runs_nowhere_is_tidied_up(self, house: QueueHouse) -> None:
        waits, sealed, ended, runs = (house.queued(step) for step in "abcd")
        house.listens("w", 9)
        house.take(ended, "w")
        house.take(runs, "w")
        house.queues.end(house.run_id, ended, "w", {"code": 9})
        for ref in (sealed, ended, runs):
            house.seal(ref)

        house.queues.tidy(house.run_id)

        assert [one.ref for one in house.queues.of_run(house.run_id)] == [waits, runs]

    def test_a_deleted_run_leaves_nothing_in_queues(self, house: QueueHouse) -> None:
        ref = house.queued("a")
        house.seal(ref)
        house.journal.finalise(house.run_id, house.epoch, event(K.RUN_FAILURE), cause="lost")
        deletions = Deletions(house.database)

        assert deletions.take_out(house.run_id) is None
        for left in deletions.remains(house.run_id):
            deletions.erase(left)

        assert house.state(ref) is None

    def test_what_lives_apart_is_adopted_when_its_watcher_is_gone(self, house: QueueHouse) -> None:
        begun, not_begun, done = (house.queued(step, apart=True) for step in ("begun", "not_begun", "done"))
        house.listens("w", 3)
        for ref in (begun, not_begun, done):
            house.take(ref, "w")
        house.claim(begun)
        house.finish(done)
        house.listens("v", 1)
        assert house.queues.adopt(["q"], "v", "t1") == [], "its watcher lives"

        house.queues.leave("w")
        adopted = house.queues.adopt(["q"], "v", "t2")

        assert {one.ref: one.was_claimed for one in adopted} == {begun: True, not_begun: False, done: True}
        assert all(one.body == BODY and one.taken_s >= 0 for one in adopted)
        assert house.queues.adopt(["q"], "x", "t3") == [], "two adopted it"
        assert house.queues.adopt(["q"], "v", "t4") == []
        again = house.queues.adopt(["q"], "v", "t5", mine_too=True)
        assert {one.ref for one in again} == {begun, not_begun, done}, "a lost answer can be asked for again"

    def test_what_is_not_apart_or_not_listened_to_or_not_taken_or_over_is_not_adopted(self, house: QueueHouse) -> None:
        process, elsewhere, over = (
            house.queued("p"),
            house.queued("e", "other", apart=True),
            house.queued("o", apart=True),
        )
        house.queued("waits", apart=True)
        house.listens("w", 4, "q", "other")
        house.take(process, "w")
        house.take(elsewhere, "w", "other")
        house.take(over, "w")
        house.queues.end(house.run_id, over, "w", {"text": "gone"})
        house.queues.leave("w")
        house.listens("v", 4)

        assert house.queues.adopt(["q"], "v", "t") == []

    def test_a_dead_watchers_pods_count_until_somebody_says_that_they_are_gone(self, house: QueueHouse) -> None:
        lives, waits = house.queued("lives", apart=True), house.queued("waits", apart=True)
        house.listens("w", 1)
        house.take(lives, "w")
        house.queues.leave("w")
        house.seal(lives)  # its coordinator has given it up: its pod may run all the same
        house.listens("v", 1)
        assert house.take(waits, "v") == NotTaken("full")

        house.queues.adopt(["q"], "v", "t2")
        assert house.take(waits, "v") == NotTaken("full")
        house.queues.end(house.run_id, lives, "v", {"text": "gone"})

        assert house.take(waits, "v") == Taken(BODY)

    def test_whose_pod_was_adopted_has_no_say_in_it_any_more(self, house: QueueHouse) -> None:
        ref = house.queued("a", apart=True)
        house.listens("w", 1)
        house.take(ref, "w")
        house.queues.leave("w")
        house.listens("v", 1)
        house.queues.adopt(["q"], "v", "t2")

        house.queues.end(house.run_id, ref, "w", {"text": "I do not see it"})

        found = house.state(ref)
        assert found is not None
        assert (found.watcher, found.ended, found.is_apart) == ("v", None, True)
        house.listens("w", 1)
        assert house.queues.adopt(["q"], "w", "t3", mine_too=True) == []

    def test_who_can_not_watch_what_lives_apart_hands_it_back(self, house: QueueHouse) -> None:
        ref, waits = house.queued("a", apart=True), house.queued("waits", apart=True)
        house.listens("w", 1)
        house.take(ref, "w")

        house.queues.hand_back(house.run_id, ref, "w")

        assert house.take(waits, "w") == NotTaken("full"), "its pod may be there"
        house.listens("v", 1)
        assert [one.ref for one in house.queues.adopt(["q"], "v", "t2")] == [ref]

    def test_who_adopts_hears_of_what_is_to_end(self, house: QueueHouse) -> None:
        stopped, sealed = house.queued("stopped", apart=True), house.queued("sealed", apart=True)
        house.listens("w", 2)
        house.take(stopped, "w")
        house.take(sealed, "w")
        house.queues.leave("w")
        house.queues.ask_to_stop(house.run_id, stopped, 3.0)
        house.seal(sealed)
        house.listens("v", 2)

        house.queues.adopt(["q"], "v", "t2")
        to_end = house.queues.beat(worker("v"), ["q"], 2, {})

        assert {one.ref: one.grace_s for one in to_end} == {stopped: 3.0, sealed: 0.0}

    # Workers and runs of other versions ----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("level", ["1.0", "1.10"])
    def test_steps_of_a_run_of_another_minor_version_are_served(self, house: QueueHouse, level: str) -> None:
        ref, pod = house.queued("a"), house.queued("pod", apart=True)
        house.is_of_level(level)
        house.listens("w", 2)

        assert house.queues.next_in(["q"], 1) == [(house.run_id, ref, "q")]
        assert [house.take(one, "w") for one in (ref, pod)] == [Taken(BODY)] * 2
        house.queues.leave("w")
        house.listens("v", 2)
        assert [one.ref for one in house.queues.adopt(["q"], "v", "t2")] == [pod]

    @pytest.mark.parametrize("level", ["0.9", "2.0"])
    def test_steps_of_a_run_of_another_major_version_wait_for_others(self, house: QueueHouse, level: str) -> None:
        ref, pod = house.queued("a", priority=7), house.queued("pod", apart=True)
        house.listens("w", 3)
        house.take(pod, "w")
        house.is_of_level(level)

        assert house.queues.next_in(["q"], 9) == []
        assert house.take(ref, "w") == NotTaken("other_level", level, 7)
        house.queues.leave("w")
        house.listens("v", 3)
        assert house.queues.adopt(["q"], "v", "t2") == []
        found = house.state(pod)
        assert found is not None
        assert found.watcher == "w", "somebody took what he can not read"

    @pytest.mark.parametrize(("level", "served"), [("0.9", True), ("1.4", True), ("2.0", False)])
    def test_a_later_version_goes_on_with_an_older_run(self, house: QueueHouse, level: str, *, served: bool) -> None:
        run = house.queued_run(2)
        house.is_of_level(level)
        house.listens("w", 1)

        assert bool(house.queues.late_runs_in(["q"], -1.0)) is served
        assert house.take(run, "w") == (Taken(RUN_BODY) if served else NotTaken("other_level", level))

    def test_what_waits_for_another_version_ends_as_all_else(self, house: QueueHouse) -> None:
        stopping, canceled = house.queued("a"), house.queued("b")
        house.is_of_level("2.0")
        house.listens("w", 2)
        house.queues.ask_to_stop(house.run_id, stopping, 1.0)
        assert house.take(stopping, "w") == NotTaken("ended")

        house.journal.intend(house.run_id, "cancel", event(K.RUN_CANCELING), event(K.RUN_CANCELED))

        assert house.take(canceled, "w") == NotTaken("ended")

    def test_workers_are_told_by_queue_and_level(self, house: QueueHouse) -> None:
        house.queues.beat(worker("w"), ["q", "other"], 1, {"level": "1.0"})
        house.queues.beat(worker("v"), ["q"], 1, {"level": "2.1"})

        assert house.queues.listening() == {"q": {"1.0", "2.1"}, "other": {"1.0"}}
        assert StepQueues(house.database, ttl_s=-1.0).listening() == {}

    # The process of a run, which stands in a queue without an attempt ---------------------------------------------------------

    def test_a_runs_process_is_taken_once_while_its_run_is_under_way(self, house: QueueHouse) -> None:
        first = house.queued_run()
        house.listens("w", 2)
        house.listens("v", 2)

        assert house.take(first, "w") == Taken(RUN_BODY)
        assert house.take(first, "v") == NotTaken("held", "w")
        assert house.take(first, "w", token="second message") == NotTaken("held", "w")

        later = house.queued_run(2)
        house.journal.finalise(house.run_id, house.epoch, event(K.RUN_FAILURE), cause="lost")
        assert isinstance(house.take(later, "w"), NotTaken)

    def test_a_runs_process_holds_a_slot_while_its_worker_is_heard_of(self, house: QueueHouse) -> None:
        run, step = house.queued_run(), house.queued("a")
        house.listens("w", 1)
        house.take(run, "w")
        assert house.take(step, "w") == NotTaken("full")

        house.queues.leave("w")
        house.listens("v", 1)

        assert house.take(step, "v") == Taken(BODY), "it has ended with its worker"

    def test_a_worker_that_leaves_gives_a_run_back(self, house: QueueHouse) -> None:
        run = house.queued_run()
        house.listens("w", 1)
        house.listens("v", 1)
        house.take(run, "w")

        house.queues.give_back(house.run_id, run, "w")

        assert house.take(run, "v") == Taken(RUN_BODY)
        house.queues.give_back(house.run_id, run, "w")
        found = house.state(run)
        assert found is not None
        assert found.watcher == "v", "what is another's by now is not given back"

    def test_a_run_that_is_over_is_not_given_back_and_leaves_nothing(self, house: QueueHouse) -> None:
        run = house.queued_run()
        house.listens("w", 1)
        house.take(run, "w")
        house.journal.finalise(house.run_id, house.epoch, event(K.RUN_FAILURE), cause="lost")

        house.queues.give_back(house.run_id, run, "w")

        assert house.state(run) is None

    def test_a_beat_hears_that_a_runs_process_is_to_end_only_when_somebody_asks(self, house: QueueHouse) -> None:
        run = house.queued_run()
        house.listens("w", 1)
        house.take(run, "w")
        assert house.queues.beat(worker("w"), ["q"], 1, {}) == []

        house.queues.ask_to_stop(house.run_id, run, 3.0)

        (found,) = house.queues.beat(worker("w"), ["q"], 1, {})
        assert (found.ref, found.grace_s) == (run, 3.0)

    def test_a_run_that_waits_for_long_is_found_without_its_hint(self, house: QueueHouse) -> None:
        run = house.queued_run()
        house.queued("a")

        assert house.queues.late_runs_in(["other"], -1.0) == []
        assert house.queues.late_runs_in(["q"], 60.0) == []
        assert house.queues.late_runs_in(["q"], -1.0) == [(house.run_id, run, "q")]

    def test_what_runs_left_in_a_queue_is_swept_when_somebody_takes_from_it(self, house: QueueHouse) -> None:
        waits, ended = house.queued_run(), house.queued_run(2)
        house.listens("w", 2)
        house.take(ended, "w")
        house.queues.end(house.run_id, ended, "w", {"code": 1})
        house.journal.finalise(house.run_id, house.epoch, event(K.RUN_FAILURE), cause="lost")

        house.take(AttemptRef("another", 1), "w")

        assert [house.state(ref) for ref in (waits, ended)] == [None, None]
