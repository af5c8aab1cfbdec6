"""Up to four steps, in every order in which claims, outputs, outcomes, ends, seals, late successes, cancels and deaths of the
coordinator can come: one outcome for each step, never two running nonces, and every run ends.
"""

from __future__ import annotations

import pytest

from engine_orderings import May, Universe, one_runs, search
from engine_plans import collect, fan_in, plan_of, step
from runplane.engine.snapshot import PlanSnapshot
from scale import IS_LONG

ONE = plan_of(step("a"))
LINE = plan_of(step("a"), step("b", "a"))
PAIR = plan_of(step("a"), step("b"))
OPTIONAL = plan_of(step("a", out=["maybe?"]), step("b", "a.maybe"), step("c", "b"))
FAN_IN = plan_of(step("a"), step("b"), step("c", fan_in("a", "b")))
DIAMOND = plan_of(step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"))
MAPPED = plan_of(
    step("make", out=["many*"]), step("work[?]", "make.many", over="make.many"), step("gather", collect("work[?]"))
)

Outputs = dict[str, tuple[tuple[str, "str | None"], ...]]
TWO_KEYS: Outputs = {"make": (("many", "x"), ("many", "y"))}
ONE_KEY: Outputs = {"make": (("many", "x"),)}
NOTHING: Outputs = {"a": ()}

OK = {"ok"}


def ends(plan: PlanSnapshot, may: May, outputs: Outputs | None = None) -> set[str]:
    """All ends there are, as text: ``SUCCESS a=ok b=ok``."""
    found = search(Universe(plan, may, outputs or {}), one_runs)
    return {" ".join([status, *(f"{k}={v}" for k, v in steps)]) for steps, status in found.ends}


@pytest.mark.parametrize("through_driver", [False, True])
def test_one_step_that_dies_and_is_seen_gone_and_succeeds_late(through_driver: bool) -> None:
    may = May(deaths=1, early=0 if through_driver else 1, takeovers=2, through_driver=through_driver)

    assert ends(ONE, may) == {"SUCCESS a=ok"}


@pytest.mark.parametrize("through_driver", [False, True])
def test_one_step_with_every_outcome(through_driver: bool) -> None:
    fates = (("ok", "fail", "ask"), ("ok", "fail"))
    may = May(fates, deaths=1 + IS_LONG, early=0 if through_driver else 1, takeovers=1, through_driver=through_driver)

    assert ends(ONE, may) == {"SUCCESS a=ok", "FAILURE a=failed"}


@pytest.mark.parametrize("through_driver", [False, True])
def test_one_step_of_a_run_that_is_canceled(through_driver: bool) -> None:
    fates = (("ok", "fail", "ask"), ("ok", "fail"))
    early = 0 if through_driver else 1
    may = May(fates, deaths=1, early=early, cancels=1, takeovers=IS_LONG, through_driver=through_driver)

    # Abandoned before its first attempt, or after it had asked for another one.
    assert ends(ONE, may) == {
        "SUCCESS a=ok",
        "FAILURE a=failed",
        "CANCELED a=abandoned",
        "CANCELED a=ok",
        "CANCELED a=failed",
    }


@pytest.mark.parametrize("through_driver", [False, True])
def test_a_line_of_two(through_driver: bool) -> None:
    early = 0 if through_driver else IS_LONG
    may = May((("ok", "fail"),), deaths=1, early=early, takeovers=1, through_driver=through_driver)

    assert ends(LINE, may) == {"SUCCESS a=ok b=ok", "FAILURE a=failed b=abandoned", "FAILURE a=ok b=failed"}


@pytest.mark.parametrize("through_driver", [False, True])
def test_a_line_of_two_that_is_canceled(through_driver: bool) -> None:
    may = May((("ok", "fail"),), cancels=1, takeovers=1, through_driver=through_driver)

    found = ends(LINE, may)

    assert {e for e in found if not e.startswith("CANCELED")} == {
        "SUCCESS a=ok b=ok",
        "FAILURE a=failed b=abandoned",
        "FAILURE a=ok b=failed",
    }
    assert {e for e in found if e.startswith("CANCELED")} == {
        "CANCELED a=abandoned b=abandoned",
        "CANCELED a=failed b=abandoned",
        "CANCELED a=ok b=abandoned",
        "CANCELED a=ok b=failed",
        "CANCELED a=ok b=ok",
    }


def test_two_steps_at_once() -> None:
    may = May(early=IS_LONG, deaths=1)

    assert ends(PAIR, may) == {"SUCCESS a=ok b=ok"}


def test_a_skip_goes_down_the_line() -> None:
    may = May(deaths=1, early=IS_LONG, takeovers=1)

    assert ends(OPTIONAL, may, NOTHING) == {"SUCCESS a=ok b=skipped c=skipped"}


def test_a_fan_in_of_two() -> None:
    may = May((("ok", "fail"),), takeovers=IS_LONG)

    assert ends(FAN_IN, may) == {
        "SUCCESS a=ok b=ok c=ok",
        "FAILURE a=ok b=ok c=failed",
        "FAILURE a=failed b=ok c=abandoned",
        "FAILURE a=ok b=failed c=abandoned",
        "FAILURE a=failed b=failed c=abandoned",
    }


@pytest.mark.parametrize("through_driver", [False, True])
def test_a_diamond_of_four(through_driver: bool) -> None:
    may = May(deaths=IS_LONG or through_driver, through_driver=through_driver)

    assert ends(DIAMOND, may) == {"SUCCESS a=ok b=ok c=ok d=ok"}


def test_a_mapper_with_one_key_and_its_collector() -> None:
    may = May(deaths=1, takeovers=1)

    assert ends(MAPPED, may, ONE_KEY) == {"SUCCESS gather=ok make=ok work[x]=ok"}


@pytest.mark.parametrize("through_driver", [False, True])
def test_a_mapper_with_two_keys_and_their_collector(through_driver: bool) -> None:
    may = May((("ok",),), takeovers=IS_LONG, through_driver=through_driver)

    assert ends(MAPPED, may, TWO_KEYS) == {"SUCCESS gather=ok make=ok work[x]=ok work[y]=ok"}
