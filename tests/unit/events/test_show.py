"""Any document, shown: nothing is lost, for people or for programs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runplane.errors import DocumentError
from runplane.events.show import describe

FIXTURES = Path(__file__).parents[2] / "fixtures"
TEXT_7 = (FIXTURES / "description" / "text7.b64").read_text()
TEXT_8 = (FIXTURES / "description" / "text8.json").read_text()


def values(node: Any) -> Counter[str]:
    if isinstance(node, dict):
        return sum((Counter([repr(key)]) + values(item) for key, item in node.items()), Counter())
    if isinstance(node, list):
        return sum((values(item) for item in node), Counter())
    return Counter([repr(node)])


def test_a_compressed_document() -> None:
    shown = describe(TEXT_7)
    assert (shown.name, shown.compressed, shown.unknown, shown.problem) == ("ExecuteStepArgs", True, (), None)
    assert shown.content == json.loads(TEXT_8)
    assert shown.to_json()["content"] == json.loads(TEXT_8)
    assert shown.to_text().startswith("# ExecuteStepArgs, compressed, 5425 characters of JSON\n")


def test_the_text_is_yaml_with_the_inner_yaml_unfolded() -> None:
    shown = yaml.safe_load(describe(TEXT_8).to_text())
    storage = shown["instance_ref"]["storage_data"]["config_yaml"]
    assert storage["run_storage"]["config_yaml"]["postgres_db"]["password"] == {"env": "DAGSTER_PG_PASSWORD"}
    assert shown["step_keys_to_execute"] == ["generate_numbers"]


@pytest.mark.parametrize(
    "config",
    ["", "- 1", "a: [", "just text\nof two lines", "a: &x 1\nb: *x", "d: 2026-01-01", "1: x", "[" * 500, "a: " + "[" * 40 + "]" * 40, "a: 1" + "0" * 5000, "x: \ud800"],
)  # fmt: skip
def test_a_config_that_is_no_plain_mapping_stays_readable(config: str) -> None:
    text = describe(json.dumps({"__class__": "ConfigurableClassData", "config_yaml": config})).to_text()
    assert text
    assert "2026-01-01" in text or "2026" not in config
    assert describe(json.dumps({"config_yaml": config})).to_json()["content"] == {"config_yaml": config}


def test_unknown_classes_and_problems_are_named() -> None:
    document = json.loads(TEXT_8)
    document["pipeline_origin"]["repository_origin"]["code_pointer"]["__class__"] = "FilesCodePointer"
    document["later"] = [{"__class__": "Novel"}]
    shown = describe(json.dumps(document))
    assert set(shown.unknown) == {
        "pipeline_origin.repository_origin.code_pointer: FilesCodePointer",
        "later[0]: Novel",
    }
    assert "unknown class 'FilesCodePointer'. Did you mean 'FileCodePointer'?" in (shown.problem or "")
    assert "# problem: " in shown.to_text()
    assert json.loads(json.dumps(shown.to_json(), allow_nan=False))["content"] == document


def test_our_own_documents_and_plain_json() -> None:
    assert describe('{"kind": "plan", "version": "1.0", "body": {}}').name == "plan 1.0"
    assert describe('{"a": 1}').name is None


def test_events_and_runs() -> None:
    for line in (FIXTURES / "dagster" / "events.jsonl").read_text().splitlines():
        shown = describe(line)
        assert (shown.name, shown.unknown, shown.problem) == ("EventLogEntry", (), None)
        assert json.dumps(shown.to_json(), allow_nan=False)


@pytest.mark.parametrize("text", ["", "   ", "{", "hello", TEXT_7[:-30], b"\xff"])
def test_what_is_no_document(text: str | bytes) -> None:
    with pytest.raises(DocumentError):
        describe(text)


@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("config_yaml"), inner, max_size=3)
            ),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_every_value_is_in_the_json(tree: dict[str, Any]) -> None:
    shown = describe(json.dumps(tree))
    content = json.loads(json.dumps(shown.to_json(), allow_nan=False))["content"]
    special = {"nan": "'NaN'", "inf": "'Infinity'", "-inf": "'-Infinity'"}
    expected: Counter[str] = Counter()
    for value, count in values(tree).items():
        expected[special.get(value, value)] += count
    assert values(content) == expected
    assert shown.to_text()
