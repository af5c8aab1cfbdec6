"""The picking rule beside a model that is as simple as can be, and the reasons given for who is passed over."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from runplane.coordinators.limits import QueueLimits
from runplane.coordinators.picking import Load, Picks, pick, priority_of
from runplane.coordinators.waiting import why_waiting
from runplane.engine.limits import TagLimit
from runplane.storage.queue import ActiveRuns, QueuedRun

VALUES = ("x", "y")
KEYS = ("team", "size")
POOLS = ("db", "api")


def is_counted(tags: dict[str, str], limit: TagLimit, like: dict[str, str]) -> bool:
    """Whether a run with `tags` shares the place that one with the tags `like` wants."""
    if limit.key not in tags or limit.key not in like:
        return False
    if limit.value is not None:
        return tags[limit.key] == limit.value == like[limit.key]
    return not limit.per_value or tags[limit.key] == like[limit.key]


def allowed(run: QueuedRun, active: Sequence[dict[str, str]], limits: QueueLimits, free: dict[str, int]) -> bool:
    """The rule, said plainly: counts everything anew."""
    if 0 <= limits.max_concurrent_runs <= len(active):
        return False
    tags = dict(run.tags)
    for limit in limits.tags:
        concerns = limit.key in tags and limit.value in (None, tags[limit.key])
        if concerns and sum(is_counted(one, limit, tags) for one in active) >= limit.limit:
            return False
    return not (limits.block_on_pools and run.pools and all(free.get(name, 1) <= 0 for name in run.pools))


def naive(
    waiting: Sequence[QueuedRun], limits: QueueLimits, active: list[dict[str, str]], free: dict[str, int]
) -> list[str]:
    """Start one after the other, looking at the whole house before each."""
    taken = []
    for run in waiting:
        if allowed(run, active, limits, free):
            taken.append(run.run_id)
            active = [*active, dict(run.tags)]
            free = {name: n - (run.pools or {}).get(name, 0) for name, n in free.items()}
    return taken


tag_sets = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))
tag_limits = st.builds(
    lambda key, limit, value, per_value: TagLimit(key, limit, None if per_value else value, per_value),
    st.sampled_from(KEYS),
    st.integers(0, 3),
    st.none() | st.sampled_from(VALUES),
    st.booleans(),
)
queue_limits = st.builds(QueueLimits, st.integers(-1, 6), st.lists(tag_limits, max_size=4).map(tuple), st.booleans())
pool_sets = st.none() | st.dictionaries(st.sampled_from(POOLS), st.integers(1, 2), min_size=1)


def waiting_runs(shapes: Sequence[tuple[dict[str, str], dict[str, int] | None]]) -> list[QueuedRun]:
    return [QueuedRun(f"r{i:02}", 0, float(i), tags, pools) for i, (tags, pools) in enumerate(shapes)]


def load_of(active: Sequence[dict[str, str]], free: dict[str, int]) -> Load:
    pairs = [(key, value) for tags in active for key, value in tags.items()]
    return Load(ActiveRuns(len(active), {pair: pairs.count(pair) for pair in pairs}), free)


@given(
    st.lists(st.tuples(tag_sets, pool_sets), max_size=12),
    queue_limits,
    st.lists(tag_sets, max_size=6),
    st.dictionaries(st.sampled_from(POOLS), st.integers(-1, 3)),
)
@example([({"team": "x"}, None)] * 3, QueueLimits(-1, (TagLimit("team", 2),)), [{"team": "y"}], {})
def test_what_is_picked_is_what_a_naive_model_starts(
    shapes: list[tuple[dict[str, str], dict[str, int] | None]],
    limits: QueueLimits,
    active: list[dict[str, str]],
    free: dict[str, int],
) -> None:
    runs = waiting_runs(shapes)

    picks = pick(runs, limits, load_of(active, free), 100)

    assert list(picks.run_ids) == naive(runs, limits, active, free)
    assert_room_is_exact(picks, runs, limits, active)
    assert_reasons_agree(picks, runs, limits, active, free)


def assert_room_is_exact(
    picks: Picks, runs: Sequence[QueuedRun], limits: QueueLimits, active: Sequence[dict[str, str]]
) -> None:
    """What the transaction counts again holds now, and one active run more than the limits allow would break it."""
    most = picks.room.active_at_most
    assert most is None or len(active) <= most or not picks.run_ids
    assert most is None or most == limits.max_concurrent_runs - len(picks.run_ids)
    for key, value, bound in picks.room.tagged_at_most:
        counted = sum(key in tags and value in (None, tags[key]) for tags in active)
        picked = [run for run in runs if run.run_id in picks.run_ids]
        added = sum(key in run.tags and value in (None, run.tags[key]) for run in picked)
        assert counted <= bound
        assert any(bound + added == limit.limit for limit in limits.tags if limit.key == key)


def assert_reasons_agree(
    picks: Picks,
    runs: Sequence[QueuedRun],
    limits: QueueLimits,
    active: Sequence[dict[str, str]],
    free: dict[str, int],
) -> None:
    """Alone in the queue, a run is picked exactly when nothing is said to keep it."""
    for run in runs:
        alone = pick([run], limits, load_of(active, free), 1).run_ids
        said = why_waiting(run, limits, load_of(active, free), daemons=1)
        assert bool(alone) == (not said)
    assert not set(picks.blocked) & set(picks.run_ids)


def test_no_more_than_asked_for() -> None:
    runs = waiting_runs([({}, None)] * 5)

    picks = pick(runs, QueueLimits(-1), Load(ActiveRuns(0)), 2)

    assert picks.run_ids == ("r00", "r01")
    assert picks.room.active_at_most is None


def test_a_run_names_the_limit_that_keeps_it() -> None:
    limits = QueueLimits(10, (TagLimit("team", 1, per_value=True), TagLimit("size", 0)))
    runs = waiting_runs([({"team": "x"}, None), ({"team": "x"}, None), ({"size": "l"}, None), ({}, {"db": 1})])

    picks = pick(runs, limits, Load(ActiveRuns(0), {"db": 0}), 10)

    assert picks.run_ids == ("r00",)
    assert {run: json.loads(text) for run, text in picks.blocked.items()} == {
        "r01": ["team", "x"],
        "r02": ["size"],
        "r03": {"pools": ["db"]},
    }


def test_a_priority_that_is_no_number_is_none() -> None:
    assert [priority_of({"dagster/priority": text}) for text in ("3", "-1", "high", "")] == [3, -1, 0, 0]
    assert priority_of({}) == 0


def test_why_a_run_waits_is_said_in_sentences() -> None:
    limits = QueueLimits(2, (TagLimit("team", 1, per_value=True),))
    run = QueuedRun("r", 0, 1.0, {"team": "x"}, {"db": 1})
    load = Load(ActiveRuns(2, {("team", "x"): 1}), {"db": 0})

    said = [blocker.text for blocker in why_waiting(run, limits, load, daemons=0)]

    assert said == [
        "No daemon serves the queue. Start one: runplane daemon run",
        "2 of at most 2 runs are active (max_concurrent_runs).",
        "1 of at most 1 runs with the tag team=x are active.",
        "All its first steps need a slot of a pool, and none is free: db.",
    ]
