"""How many steps at once: max_concurrent, tag limits, pools. What is blocked is woken, one step at a time, best first."""

from __future__ import annotations

import sys
import time

import pytest

from engine_plans import plan_of, step
from engine_shell import Shell
from runplane.engine.limits import Limits, TagLimit
from runplane.engine.ready import ReadyQueue
from runplane.engine.snapshot import StepPlan


def tagged(key: str, priority: int = 0, **tags: str) -> StepPlan:
    return step(key, tags=tags, priority=priority)


def limited(*limits: TagLimit, most: int | None = None) -> Limits:
    return Limits(most, limits)


def test_at_most_so_many_at_once() -> None:
    shell = Shell(plan_of(step("a"), step("b"), step("c")), Limits(max_concurrent=2))

    assert shell.issues() == ["a", "b"]
    shell.succeeds("b")
    assert shell.issues() == ["c"]


def test_a_free_place_goes_to_the_highest_priority() -> None:
    shell = Shell(plan_of(step("a", priority=9), step("low"), step("high", priority=5)), Limits(max_concurrent=1))

    shell.succeeds("a")

    assert shell.issues() == ["high"]


def test_a_tag_limit_counts_only_steps_with_its_value() -> None:
    shell = Shell(
        plan_of(tagged("a", db="pg"), tagged("b", db="pg"), tagged("c", db="lite"), step("d")),
        limited(TagLimit("db", 1, "pg")),
    )

    assert shell.issues() == ["a", "c", "d"]
    shell.succeeds("a")
    assert shell.issues() == ["b"]


def test_a_tag_limit_without_a_value_counts_all_of_its_key() -> None:
    shell = Shell(plan_of(tagged("a", db="pg"), tagged("b", db="lite"), step("c")), limited(TagLimit("db", 1)))

    assert shell.issues() == ["a", "c"]


def test_a_tag_limit_per_value_counts_each_value_by_itself() -> None:
    shell = Shell(
        plan_of(tagged("a", db="pg"), tagged("b", db="lite"), tagged("c", db="pg")),
        limited(TagLimit("db", 1, per_value=True)),
    )

    assert shell.issues() == ["a", "b"]
    shell.succeeds("b")
    assert shell.issues() == []
    shell.succeeds("a")
    assert shell.issues() == ["c"]


def test_a_step_with_two_limits_needs_room_in_both() -> None:
    both = tagged("both", db="1", api="1")
    shell = Shell(
        plan_of(tagged("a", db="1"), tagged("b", api="1"), both, tagged("c", db="1")),
        limited(TagLimit("db", 1), TagLimit("api", 1)),
    )

    assert shell.issues() == ["a", "b"]
    shell.succeeds("a")
    assert shell.issues() == ["c"], "both waits for the api now, and the database is not kept idle for it"
    shell.succeeds("b")
    assert shell.issues() == []
    shell.succeeds("c")
    assert shell.issues() == ["both"]


def test_what_waits_at_a_limit_starts_by_priority() -> None:
    shell = Shell(
        plan_of(tagged("a", 9, t="1"), tagged("b", 1, t="1"), tagged("c", 2, t="1")), limited(TagLimit("t", 1))
    )

    shell.succeeds("a")
    assert shell.issues() == ["c"]
    shell.succeeds("c")
    assert shell.issues() == ["b"]


def test_a_better_step_that_comes_later_goes_first() -> None:
    shell = Shell(
        plan_of(
            tagged("a", t="1"),
            tagged("b", t="1"),
            step("x"),
            StepPlan("c", "c", "c", step("_", "x").inputs, tags={"t": "1"}, priority=5),
        ),
        limited(TagLimit("t", 1)),
    )
    shell.succeeds("x")

    shell.succeeds("a")

    assert shell.issues() == ["c"]


def test_a_lost_place_is_given_back_when_a_step_dies_or_is_stopped() -> None:
    shell = Shell(plan_of(tagged("a", t="1"), tagged("b", t="1")), limited(TagLimit("t", 1)))
    shell.runs("a")

    shell.dies("a")

    assert shell.issues() == ["b"]


def test_a_limit_of_a_run_that_was_taken_over_counts_what_still_runs() -> None:
    shell = Shell(plan_of(tagged("a", t="1"), tagged("b", t="1"), step("c")), limited(TagLimit("t", 1), most=2))
    shell.runs("a")

    other = shell.taken_over()

    assert other.issues() == ["c"]
    other.succeeds("a")
    assert other.issues() == ["b"]


# Pools: storage says no, and the engine asks again in time ------------------------------------------------------------------------


def pooled(count: int, *, name: str = "db") -> Shell:
    return Shell(plan_of(*(step(f"s{i}", pools=(name,)) for i in range(count))))


def test_a_refused_step_waits_for_the_time_that_was_said() -> None:
    shell = pooled(1)

    shell.pools_full("s0", wait=2.0)

    assert shell.state("s0") == "READY"
    assert shell.issues() == []
    assert shell.timers() == {"pools:db": 1002.0}
    shell.wakes("pools:db")
    assert shell.issues() == ["s0"]


def test_after_a_refusal_one_step_at_a_time_asks() -> None:
    shell = pooled(4)
    shell.issued("s0")
    for key in ("s1", "s2", "s3"):
        shell.pools_full(key)

    shell.wakes("pools:db")
    assert shell.issues() == ["s1"]
    shell.issued("s1")
    assert shell.issues() == ["s2"], "it got a slot: perhaps there is another"
    shell.pools_full("s2")
    assert shell.issues() == []
    assert list(shell.timers().values()) == [shell.now + 1.0]


def test_a_step_that_leaves_a_pool_lets_the_next_ask_at_once() -> None:
    shell = pooled(2)
    shell.runs("s0")
    shell.pools_full("s1")

    shell.succeeds("s0")

    assert shell.issues() == ["s1"]


def test_a_step_that_leaves_one_of_two_pools_wakes_who_shares_it() -> None:
    shell = Shell(plan_of(step("a", pools=("db",)), step("b", pools=("api", "db")), step("c", pools=("api",))))
    shell.runs("a")
    shell.pools_full("b")
    shell.pools_full("c")

    shell.succeeds("a")

    assert shell.issues() == ["b"]


def test_full_pools_hold_nobody_else_up() -> None:
    shell = Shell(plan_of(step("a", pools=("db",)), step("b"), step("c", pools=("api",))), Limits(max_concurrent=1))
    assert shell.issues() == ["a"]

    shell.pools_full("a")

    assert shell.issues() == ["b"], "a refused step is not in flight"


def test_one_timer_however_many_are_refused() -> None:
    shell = pooled(3)
    for key in ("s0", "s1", "s2"):
        shell.pools_full(key)

    assert [type(c).__name__ for c in shell.commands].count("WakeAt") == 1


def test_a_refusal_that_is_heard_twice_counts_once() -> None:
    shell = pooled(1)
    shell.pools_full("s0")

    assert shell.pools_full("s0") == []
    shell.wakes("pools:db")
    assert shell.issues() == ["s0"]


# What it costs to wait ---------------------------------------------------------------------------------------------------------


def looks(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts how often a group is looked at for room."""
    count = [0]
    real = ReadyQueue._blocked_at

    def counted(self: ReadyQueue, group: object) -> object:
        count[0] += 1
        return real(self, group)  # type: ignore[arg-type]

    monkeypatch.setattr(ReadyQueue, "_blocked_at", counted)
    return count


@pytest.mark.parametrize("waiting", [100, 1000])
def test_those_that_wait_are_looked_at_one_at_a_time(waiting: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits at the same limit, and is counted in one of its own besides."""
    ending = [tagged(f"d{i}", priority=1, db="1") for i in range(50)]
    others = [tagged(f"b{i}", db="1", own=str(i)) for i in range(waiting)]
    shell = Shell(plan_of(*ending, *others), limited(TagLimit("db", 2), TagLimit("own", 1, per_value=True)))
    count = looks(shell, monkeypatch)

    for i in range(50):
        shell.succeeds(f"d{i}")

    assert count[0] < 50 * 8


@pytest.mark.parametrize("waiting", [100, 1000])
def test_those_that_are_alike_are_looked_at_together(waiting: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """They need room in two limits; when one has some, the other has not."""
    ending = [tagged(f"d{i}", db="1") for i in range(50)] + [tagged(f"e{i}", api="1") for i in range(50)]
    others = [tagged(f"b{i}", db="1", api="1") for i in range(waiting)]
    shell = Shell(plan_of(*ending, *others), limited(TagLimit("db", 2), TagLimit("api", 2)))
    count = looks(shell, monkeypatch)

    for i in range(50):
        shell.succeeds(f"d{i}")
        shell.succeeds(f"e{i}")

    assert count[0] < 100 * 8


def test_ten_thousand_steps_behind_one_slot_cost_no_square() -> None:
    def seconds(count: int) -> float:
        shell = Shell(plan_of(*(tagged(f"s{i}", t="1") for i in range(count))), limited(TagLimit("t", 1)))
        started = time.process_time()
        for i in range(count):
            shell.succeeds(f"s{i}")
        return time.process_time() - started

    seconds(200)
    few, many = seconds(500), seconds(4000)

    assert many < few * 8 * 4, "eight times as many steps: eight times the work, and room for a busy machine"


if sys.gettrace() is not None:  # a tracer would make the times above meaningless
    pytestmark = pytest.mark.skip(reason="times are measured")
