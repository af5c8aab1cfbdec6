"""The `.env` file of a directory, read as the `python-dotenv` library reads it.

Own code, because this is on the way of every command and that library costs 25 ms to import; a test compares the two.
Source: https://saurabh-kumar.com/python-dotenv/ (file format); where Dagster's commands look for the file:
https://docs.dagster.io/guides/operate/configuration/using-environment-variables-and-secrets
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path

FILE_NAME = ".env"
_LINE = re.compile(
    r"""
    [^\S\n]*(?:export[^\S\n]+)?
    (?:'(?P<quoted_name>[^'\n]+)'|(?P<name>[^=\#\s]+))
    (?:[^\S\n]*=[^\S\n]*
        (?: '(?P<single>(?:\\.|[^'\\])*)' | "(?P<double>(?:\\.|[^"\\])*)" | (?P<plain>(?!['"])[^\n]*) )
    )?
    [^\S\n]*(?:\#[^\n]*)?(?:\n|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_REST_OF_LINE = re.compile(r"[^\n]*(?:\n|\Z)")
_COMMENT = re.compile(r"\s+#.*")
_ESCAPE = {"'": re.compile(r"\\[\\']"), '"': re.compile(r"\\[\\'\"abfnrtv]")}
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_VARIABLE = re.compile(r"\$\{(?P<name>[^\}:]*)(?::-(?P<default>[^\}]*))?\}")


def read_dotenv(directory: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The variables of `directory/.env`; empty if there is none.

    `${NAME}` and `${NAME:-default}` are expanded, from the lines above first, then from `env`. A name without `=` and a line
    that can not be read are left out.
    """
    path = directory / FILE_NAME
    if not path.is_file():
        return {}
    found: dict[str, str] = {}
    for name, value in _assignments(path.read_text(encoding="utf-8").replace("\r\n", "\n")):
        found[name] = _VARIABLE.sub(lambda m: _expand(m, found, env), value)
    return found


def load_dotenv(directory: Path, env: MutableMapping[str, str]) -> list[str]:
    """Put the variables of `directory/.env` into `env`, over those that are there. Returns their names, never their values."""
    found = read_dotenv(directory, env)
    env.update(found)
    return list(found)


def _assignments(text: str) -> list[tuple[str, str]]:
    found, position = [], 0
    while position < len(text):
        match = _LINE.match(text, position)
        if match is None:
            rest = _REST_OF_LINE.match(text, position)
            position = rest.end() if rest else len(text)
            continue
        position = match.end()
        value = _value(match)
        if value is not None:
            found.append((match["quoted_name"] or match["name"], value))
    return found


def _value(match: re.Match[str]) -> str | None:
    for quote, group in (("'", "single"), ('"', "double")):
        if match[group] is not None:
            return _ESCAPE[quote].sub(lambda m: _ESCAPED.get(m[0][1], m[0][1]), match[group])
    return None if match["plain"] is None else _COMMENT.sub("", match["plain"], count=1).rstrip()


def _expand(match: re.Match[str], above: Mapping[str, str], env: Mapping[str, str]) -> str:
    default = match["default"] or ""
    return above.get(match["name"], env.get(match["name"], default))
