"""The merge of layers, and who set each field."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runplane.errors import Problems
from runplane.kube.user_config import (
    SECTIONS,
    MergeBehavior,
    UserConfig,
    leaves,
    of_sections,
    plain,
    read,
    sources,
)


def layer(who: str, behavior: str = "DEEP", **sections: Any) -> UserConfig:
    problems = Problems()
    found = read({**sections, "merge_behavior": behavior}, who, problems)
    assert problems.found == []
    return found


def values(config: UserConfig) -> dict[str, Any]:
    """The sections that say something."""
    found = {name: plain(section) for name, section in config.sections.items()}
    return {name: value for name, value in found.items() if value}


def who_set(config: UserConfig, name: str) -> dict[str, str]:
    return dict(sources(config.sections[name], ""))


def test_deep_merges_mappings_key_by_key_and_knows_who_set_each() -> None:
    low = layer("instance", container_config={"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}})
    high = layer("run tag", container_config={"resources": {"limits": {"memory": "2Gi"}}})

    merged = low.merged(high)

    assert values(merged) == {"container_config": {"resources": {"limits": {"cpu": "1", "memory": "2Gi"}}}}
    assert who_set(merged, "container_config") == {
        "resources.limits.cpu": "instance",
        "resources.limits.memory": "run tag",
    }


def test_deep_appends_lists_without_duplicates_when_two_lists_meet() -> None:
    low = layer("instance", container_config={"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "1"}]})
    high = layer("location", container_config={"env": [{"name": "A", "value": "2"}, {"name": "A", "value": "1"}]})

    assert len(values(low)["container_config"]["env"]) == 2
    merged = low.merged(high)

    assert values(merged)["container_config"]["env"] == [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    assert who_set(merged, "container_config")["env[1].value"] == "location"


def test_command_is_replaced_whole() -> None:
    low, high = layer("a", container_config={"command": ["x", "y"]}), layer("b", container_config={"command": ["z"]})

    assert values(low.merged(high)) == {"container_config": {"command": ["z"]}}


def test_shallow_replaces_each_key_of_a_section_and_leaves_the_others() -> None:
    low = layer("a", container_config={"env": [{"name": "A"}], "tty": True}, pod_spec_config={"hostNetwork": True})
    high = layer("b", "SHALLOW", container_config={"env": [{"name": "B"}]})

    assert values(low.merged(high)) == {
        "container_config": {"env": [{"name": "B"}], "tty": True},
        "pod_spec_config": {"hostNetwork": True},
    }


def test_a_merged_layer_is_put_on_as_its_upper_part_asks() -> None:
    base = layer("a", container_config={"env": [{"name": "A"}]})
    user = layer("b", container_config={"env": [{"name": "B"}]}).merged(layer("c", "SHALLOW"))

    assert user.merge_behavior is MergeBehavior.SHALLOW
    assert values(base.merged(user)) == {"container_config": {"env": [{"name": "B"}]}}


def test_null_takes_back_what_a_lower_layer_said() -> None:
    low = layer("a", pod_spec_config={"serviceAccountName": "x", "nodeSelector": {"a": "b"}})
    high = layer("b", pod_spec_config={"service_account_name": None, "node_selector": None})

    merged = low.merged(high)

    assert values(merged) == {}
    assert who_set(merged, "pod_spec_config") == {}


# ------------------------------------------------------------------------------------------------ properties

scalar = st.one_of(st.integers(0, 3), st.sampled_from(["a", "b"]))
tree_value = st.recursive(
    scalar,
    lambda inner: st.one_of(st.lists(scalar, max_size=3), st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)),
    max_leaves=6,
)
section_value = st.dictionaries(st.sampled_from(["p", "q", "env", "command"]), tree_value, max_size=3)


@st.composite
def layers(draw: st.DrawFn, who: str, behavior: MergeBehavior | None = None) -> UserConfig:
    config = of_sections({name: draw(section_value) for name in list(SECTIONS)[:2]}, who)
    return UserConfig(config.sections, behavior or draw(st.sampled_from(list(MergeBehavior))))


def alike(first: UserConfig, second: UserConfig) -> bool:
    return values(first) == values(second) and all(who_set(first, name) == who_set(second, name) for name in SECTIONS)


@given(
    layers("one", MergeBehavior.SHALLOW), layers("two", MergeBehavior.SHALLOW), layers("three", MergeBehavior.SHALLOW)
)
def test_shallow_layers_may_be_put_together_in_any_grouping(a: UserConfig, b: UserConfig, c: UserConfig) -> None:
    assert alike(a.merged(b).merged(c), a.merged(b.merged(c)))


@st.composite
def maps_only(draw: st.DrawFn, who: str) -> UserConfig:
    """Layers in which one key has one kind of value: where that holds, the grouping does not matter."""
    numbers = st.dictionaries(st.sampled_from("xyz"), scalar, max_size=3)
    entries = st.lists(scalar, max_size=3, unique_by=repr)
    shape = st.fixed_dictionaries({}, optional={"limits": numbers, "env": entries, "command": entries, "name": scalar})
    return of_sections({"container_config": draw(shape)}, who)


@given(maps_only("one"), maps_only("two"), maps_only("three"))
def test_deep_layers_of_one_form_may_be_put_together_in_any_grouping(
    a: UserConfig, b: UserConfig, c: UserConfig
) -> None:
    assert alike(a.merged(b).merged(c), a.merged(b.merged(c)))


@given(layers("one"), layers("two"), layers("three"))
def test_every_value_has_a_source_and_it_is_that_layers_value(a: UserConfig, b: UserConfig, c: UserConfig) -> None:
    by_name = {"one": a, "two": b, "three": c}
    merged = a.merged(b).merged(c)

    for name, section in merged.sections.items():
        found = {path: value for path, value in leaves(plain(section)) if path}
        told = {path: who for path, who in sources(section, "") if path}
        assert told.keys() == found.keys()
        for path, value in found.items():
            theirs = [v for _, v in leaves(plain(by_name[told[path]].sections[name]))]
            assert value in theirs or value in ({}, [])


@given(layers("one"), layers("two"))
def test_merging_changes_neither_layer(a: UserConfig, b: UserConfig) -> None:
    before = values(a), values(b)

    a.merged(b)

    assert (values(a), values(b)) == before


@given(layers("one", MergeBehavior.DEEP))
def test_nothing_put_over_a_layer_changes_nothing(a: UserConfig) -> None:
    assert values(a.merged(UserConfig())) == values(a)
