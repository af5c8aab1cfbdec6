"""`.env` files are read as python-dotenv reads them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import dotenv
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runplane.config.dotenv import load_dotenv, read_dotenv

FILE = """
# words
A=1
export B='two words'
BARE
EMPTY=
C="line\\nline \\"quoted\\" \\q"
D='it''s'
E=plain # a comment
F=not#a comment
  G = spaced
H="several
lines"
I=${A}/${NOT_SET_ANYWHERE}/${NOT_SET_ANYWHERE:-default}
J='${A}'
'K'=quoted name
L=a=b
= no name
M='open
N=after
O=\\n stays
P=" # no comment" # a comment
Q=한글
"""


def theirs(text: str) -> dict[str, str]:
    return {k: v for k, v in dotenv.dotenv_values(stream=io.StringIO(text)).items() if v is not None}


def test_a_file_reads_as_with_python_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(FILE)

    assert read_dotenv(tmp_path, os.environ) == theirs(FILE)


_VALUES = st.text(st.sampled_from("ab 'x\"#=\\n$\t"), max_size=8)


@given(st.lists(st.tuples(st.sampled_from("ABC"), _VALUES, st.sampled_from(["", "'", '"'])), max_size=4))
@example([("A", "'x' y", ""), ("B", "1", "")])
@example([("A", "'open", ""), ("B", "'closed'", "")])
def test_lines_of_one_assignment_read_as_with_python_dotenv(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("env")
    text = ""
    for name, value, quote in lines:
        if quote:
            escaped = value.replace("\\", "\\\\").replace(quote, "\\" + quote)
            text += f"{name}={quote}{escaped}{quote}\n"
        else:
            text += f"{name}={value}\n"
    (folder / ".env").write_text(text)

    assert read_dotenv(folder, {}) == theirs(text)


def test_it_goes_over_the_environment_and_tells_names_only(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nB=${D}\n")
    env = {"A": "0", "D": "4"}

    names = load_dotenv(tmp_path, env)

    assert names == ["A", "B"]
    assert env == {"A": "1", "B": "4", "D": "4"}


def test_no_file_is_no_variables(tmp_path: Path) -> None:
    assert read_dotenv(tmp_path, {}) == {}
