"""Kubernetes' field names and types: both spellings, free maps, types, errors with paths."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runplane.errors import Problems
from runplane.kube.schema import model, to_camel


def problems_of(kind: str, value: Any) -> dict[str, str]:
    """Path -> problem."""
    problems = Problems()
    to_camel(kind, value, problems)
    return {problem.path: str(problem) for problem in problems.found}


def camel(kind: str, value: Any) -> Any:
    problems = Problems()
    found = to_camel(kind, value, problems)
    assert problems.found == []
    return found


def test_both_spellings_become_the_apis() -> None:
    value = {"volume_mounts": [{"mount_path": "/a"}, {"mountPath": "/b"}], "imagePullPolicy": "Always"}

    assert camel("V1Container", value) == {
        "volumeMounts": [{"mountPath": "/a"}, {"mountPath": "/b"}],
        "imagePullPolicy": "Always",
    }


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("V1PodSpec", {"nodeSelector": {"x_y": "1", "node-group.dp.ssup2": "worker"}}),
        ("V1ObjectMeta", {"labels": {"my_label": "a"}, "annotations": {"a_b": "c"}}),
        ("V1Container", {"resources": {"limits": {"nvidia.com/gpu_count": "1"}}}),
    ],
)
def test_keys_of_free_maps_stay_as_they_are(kind: str, value: Any) -> None:
    assert camel(kind, value) == value


@pytest.mark.parametrize(
    ("snake", "name"),
    [
        ("host_ip", "hostIP"),
        ("set_hostname_as_fqdn", "setHostnameAsFQDN"),
        ("downward_api", "downwardAPI"),
        ("exec", "exec"),
    ],
)
def test_names_that_no_rule_makes(snake: str, name: str) -> None:
    kinds = ("V1ContainerPort", "V1PodSpec", "V1Volume", "V1Probe")

    assert any(model(kind).camel.get(snake) == name for kind in kinds)


def test_numbers_become_text_where_kubernetes_wants_text_and_text_becomes_numbers_where_it_wants_those() -> None:
    assert camel("V1ResourceRequirements", {"limits": {"cpu": 1.5, "memory": 64}}) == {
        "limits": {"cpu": "1.5", "memory": "64"}
    }
    assert camel("V1ObjectMeta", {"labels": {"a": True}}) == {"labels": {"a": "True"}}
    assert camel("V1JobSpec", {"active_deadline_seconds": "30", "backoffLimit": 2.0}) == {
        "activeDeadlineSeconds": 30,
        "backoffLimit": 2,
    }


def test_a_port_may_be_a_number_or_a_name() -> None:
    for port in (80, "http"):
        assert camel("V1Probe", {"http_get": {"port": port}}) == {"httpGet": {"port": port}}


@pytest.mark.parametrize(
    ("kind", "value", "path", "words"),
    [
        ("V1Container", {"resorces": {}}, "resorces", "did you mean 'resources'"),
        ("V1Container", {"volume_mount": []}, "volume_mount", "did you mean 'volume_mounts'"),
        ("V1Container", {"volumeMount": []}, "volumeMount", "did you mean 'volumeMounts'"),
        ("V1Container", {"volumeMounts": [], "volume_mounts": []}, "volume_mounts", "both spellings"),
        ("V1PodSpec", {"hostNetwork": "false"}, "hostNetwork", "true or false"),
        ("V1PodSpec", {"host_network": 0}, "host_network", "true or false"),
        ("V1PodSpec", {"tolerations": {"key": "a"}}, "tolerations", "a list"),
        ("V1PodSpec", {"tolerations": [{"key": "a"}, {"kye": "b"}]}, "tolerations[1].kye", "did you mean 'key'"),
        ("V1PodSpec", {"volumes": [{"name": ["v"]}]}, "volumes[0].name", "text"),
        ("V1PodSpec", {"affinity": "zone"}, "affinity", "a mapping"),
        ("V1JobSpec", {"backoffLimit": "many"}, "backoffLimit", "a whole number"),
        ("V1JobSpec", {"backoffLimit": 1.5}, "backoffLimit", "a whole number"),
        ("V1JobSpec", {"backoffLimit": True}, "backoffLimit", "a whole number"),
        ("V1ObjectMeta", {"labels": ["a"]}, "labels", "a mapping"),
        ("V1ObjectMeta", {"labels": {1: "a"}}, "labels", "a key that is not text"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(kind: str, value: Any, path: str, words: str) -> None:
    found = problems_of(kind, value)

    assert list(found) == [path]
    assert words in found[path]


def test_all_problems_are_told_at_once() -> None:
    found = problems_of("V1Container", {"nope": 1, "tty": "yes", "env": [{"value": {}}]})

    assert set(found) == {"nope", "tty", "env[0].value"}


def test_a_value_is_never_shown() -> None:
    found = problems_of("V1Container", {"tty": "s3cret", "env": [{"name": "PASSWORD", "value": ["s3cret"]}]})

    assert len(found) == 2
    assert "s3cret" not in "".join(found.values())


def test_null_stands_for_not_set_anywhere() -> None:
    value = {"serviceAccountName": None, "tolerations": None, "nodeSelector": None, "hostNetwork": None}

    assert camel("V1PodSpec", value) == value


@given(st.sampled_from(["V1Container", "V1PodSpec", "V1JobSpec", "V1ObjectMeta", "V1Volume", "V1Probe"]), st.data())
def test_converting_twice_is_converting_once(kind: str, data: st.DataObject) -> None:
    value = data.draw(values_of(kind, depth=3))
    once = camel(kind, value)

    assert camel(kind, once) == once


def values_of(kind: str, depth: int) -> st.SearchStrategy[Any]:
    """Right values of a type, in either spelling."""
    simple = {"str": st.text(max_size=3), "int": st.integers(), "bool": st.booleans(), "object": st.integers()}
    if kind in simple:
        return simple[kind]
    if kind.startswith("List["):
        return st.lists(values_of(kind[5:-1], depth), max_size=2)
    if kind.startswith("Dict["):
        return st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2)
    if kind == "datetime" or depth == 0:
        return st.none()
    of = model(kind)
    return st.fixed_dictionaries(
        {}, optional={spelled: values_of(of.types[name], depth - 1) for name, spelled in _spelled(of.snake)}
    )


def _spelled(snake: Any) -> list[tuple[str, str]]:
    return [(name, name if len(name) % 2 else snake[name]) for name in list(snake)[:6]]
