"""What is read without PyYAML is what PyYAML reads; most of what parts' configs hold is read so."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runplane.errors import ConfigErrors
from runplane.instance.yaml_text import dump_yaml, library, parse_yaml
from runplane.instance.yaml_text.plain import read_plain

# Words that a careless reader would take for text, number or boolean, wrongly.
TELLING = [
    "yes", "No", "on", "OFF", "true", "True", "TRUE", "false", "null", "Null", "~", "y", "n", "0", "00", "07", "0x1f", "0b1", "1_000",
    "+1", "-1", "1.5", ".5", "1.", "1e3", "1.5e+3", ".inf", ".nan", "1:30", "190:20:30", "2026-01-01", "2026-01-01 10:00:00", "=", "<<",
    "{}", "[]", "{a: 1}", "[1]", "''", '""', "'a'", "'it''s'", '"a"', "a b", "a: b", "a:", ":a", "a:b", "a #b", "#a", "a#b", "&a", "*a", "!a",
    "!!str 1", "|", ">", "%a", "@a", "`a", "-", "- a", "?", "? a", "---", "...", "\\", "/tmp/a b", "/tmp/a", "a@b.c", "a,b", "é", "\x85", "\u2028",
    "\t", "\r", "999999999999999999999", "12345678901234567890", "a" * 200, "postgresql://u:p@h:5432/d?x=1", "-.5", "0o7", "08", "1__0", "_1", "__", "/",
]  # fmt: skip
PLAIN = st.from_regex(r"[A-Za-z0-9/_.@:-]{1,8}", fullmatch=True)
WORDS = PLAIN | st.sampled_from(TELLING) | st.text(max_size=8)
NAMES = st.sampled_from(["a", "b", "base_dir", "env", "y"])
KEYS = st.one_of(*[NAMES] * 12, st.sampled_from(["no", "True", "null", "1", "a b", "", "<<", "é"]), WORDS)
BETWEEN = st.sampled_from([": "] * 12 + [":", " : ", ":  ", ":\t"])
LINES = st.tuples(st.sampled_from(["", "", "", "  "]), KEYS, BETWEEN, WORDS).map("".join) | NAMES.map("{}:".format)
TEXTS = st.lists(LINES, min_size=1, max_size=3).map(lambda lines: "\n".join(lines) + "\n")
VALUES = st.recursive(
    WORDS | st.booleans() | st.none() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(WORDS)
def test_a_word_is_what_the_library_takes_it_for(word: str) -> None:
    same_or_nothing(f"key: {word}\n")
    same_or_nothing(f"{word}: value\n")


@given(TEXTS | VALUES.map(dump_yaml) | st.dictionaries(KEYS, VALUES, max_size=3).map(dump_yaml))
def test_what_is_read_is_what_the_library_reads(text: str) -> None:
    same_or_nothing(text)


@pytest.mark.parametrize("form", ["k: {}\n", "k: {}", "k:\n  l: {}\n", "{}: v\n", "k:\n  {}: v\n", "{}\n"])
def test_words_that_mean_something_else(form: str) -> None:
    for word in TELLING:
        same_or_nothing(form.replace("{}", word))


def same_or_nothing(text: str) -> None:
    found = read_plain(text)
    if found is None:
        return
    told = told_by_the_library(text)
    assert (found, types_of(found)) == (told, types_of(told))


def told_by_the_library(text: str) -> Any:
    try:
        return library.parse(text, where="here")
    except ConfigErrors as error:
        return error


def types_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: (type(key), types_of(item)) for key, item in value.items()}
    return type(value), value if isinstance(value, list) else None


POSTGRES = """\
postgres_db:
  db_name: runs
  hostname: db.example.svc
  password:
    env: DAGSTER_PG_PASSWORD
  port: 5432
  username: '1234'
should_autocreate_tables: true
"""


@pytest.mark.parametrize(
    "text",
    ["{}\n", "base_dir: /opt/dagster/home\n", "postgres_url:\n  env: URL\n", POSTGRES, dump_yaml({"a": {}, "b": []})],
)
def test_what_most_parts_hold_is_read_without_the_library(text: str) -> None:
    found = read_plain(text)

    assert found is not None
    assert found == library.parse(text, where="here")


DEEP = "".join(f"{'  ' * n}a:\n" for n in range(400)) + "  " * 400 + "a: 1\n"
WRONG = [
    "",
    "\n",
    "a\n",
    "a: 1\na: 2\n",
    "a:\n",
    "a:\nb: 1\n",
    "a:\n   b: 1\n",
    "a: 1\n b: 2\n",
    " a: 1\n",
    "a:\n  b: 1\n    c: 2\n",
]


@pytest.mark.parametrize("text", [*WRONG, "a: 1\n\nb: 2\n", DEEP])
def test_of_all_else_nothing_is_said(text: str) -> None:
    assert read_plain(text) is None


def test_an_empty_list_or_mapping_is_one_of_its_own() -> None:
    found = parse_yaml("a: {}\nb: {}\nc: []\nd: []\n", where="here")

    assert found["a"] is not found["b"]
    assert found["c"] is not found["d"]


def test_the_library_is_in_this_process_for_all_else() -> None:
    assert parse_yaml("a: 1.5\n", where="here") == {"a": 1.5}
    assert "yaml" in sys.modules
