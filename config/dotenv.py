"""The `.env` file of a directory, read as the `python-dotenv` library reads it.

Own code, because this is on the way of every command and that library costs 25 ms to import; a test compares the two.
Source: https://saurabh-kumar.com/python-dotenv/ (file format); where Dagster's commands look for the file:
https://docs.dagster.io/guides/operate/configuration/using-environment-variables-and-secrets
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path

FILE_NAME = ".env"
_NAME = re.compile(r"\s*(?:export[^\S\n]+)?(?:'(?P<quoted>[^']+)'|(?P<plain>(?!')[^=\#\s]+))[^\S\n]*")
_EQUALS = re.compile(r"=[^\S\n]*")
_QUOTED = {"'": re.compile(r"'((?:\\.|[^'\\])*)'", re.DOTALL), '"': re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)}
_REST_OF_LINE = re.compile(r"[^\n]*")
_END_OF_LINE = re.compile(r"[^\S\n]*(?:\#[^\n]*)?(?:\n|\Z)")
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


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    """Each `NAME=value` that can be read. What can not is skipped to the end of the line where reading stopped."""
    position = 0
    while position < len(text):
        name, value, position = _assignment(text, position)
        end = _END_OF_LINE.match(text, position)
        if end is not None and name is not None and value is not None:
            yield name, value
        position = end.end() if end else _rest(text, position) + 1


def _assignment(text: str, position: int) -> tuple[str | None, str | None, int]:
    """Name, value and where they end; None for what is not there. No value is also a quote that is never closed."""
    name = _NAME.match(text, position)
    if name is None:
        return None, None, position
    equals = _EQUALS.match(text, name.end())
    if equals is None:
        return None, None, name.end()
    found, start = name["quoted"] or name["plain"], equals.end()
    quote = text[start : start + 1]
    if quote in _QUOTED:
        quoted = _QUOTED[quote].match(text, start)
        if quoted is None:
            return None, None, _rest(text, start)
        return found, _ESCAPE[quote].sub(lambda m: _ESCAPED.get(m[0][1], m[0][1]), quoted[1]), quoted.end()
    end = _rest(text, start)
    return found, _COMMENT.sub("", text[equals.start() + 1 : end], count=1).strip(), end


def _rest(text: str, position: int) -> int:
    match = _REST_OF_LINE.match(text, position)
    return match.end() if match else len(text)


def _expand(match: re.Match[str], above: Mapping[str, str], env: Mapping[str, str]) -> str:
    default = match["default"] or ""
    return above.get(match["name"], env.get(match["name"], default))
