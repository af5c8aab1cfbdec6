"""The pages of the documentation as data: fenced blocks, headings, links; and a shell that runs a page from its top.

What is done with a block stands in its info string, where a reader of the source sees it:

``console``          lines after ``$`` are run (``>`` goes on with a command), the lines below have to be what they print: ``...``
                     stands for any text, alone on a line for any number of lines; ids, times and white space may differ, and
                     the reader's folder is ``/home/you``. A command has to end with 0.
``python``           is run as a script
``yaml``             is checked as a dagster.yaml
any + title="path"   is written to that file, for the blocks that follow
any + not-run="why"  is shown only
``text``             claims nothing
``mermaid``          a diagram; a test of its own says what it shows
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
)
LANGUAGES = ("console", "python", "yaml", "text", "mermaid", "")
_FENCE = re.compile(r"^(?P<ticks>```+)(?P<info>.*)$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_SECONDS_PER_COMMAND = 60.0
READER = "/home/you"
"""What the pages call the folder of their reader."""


def name_of(page: Path) -> str:
    """A page's path in the clone."""
    return str(page.relative_to(ROOT))


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        line: the line of its first fence, from 1.
        options: what follows the language in the info string: ``title``, ``not-run``.
    """

    page: Path
    line: int
    language: str
    options: dict[str, str]
    text: str

    @property
    def where(self) -> str:
        """``docs/start.md:12``."""
        return f"{name_of(self.page)}:{self.line}"


@dataclass(frozen=True)
class Page:
    """A page: its blocks, and the text without them."""

    path: Path
    blocks: tuple[Block, ...]
    prose: str
    headings: tuple[str, ...] = ()

    @property
    def links(self) -> list[str]:
        """Targets of its links, as written."""
        return _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """What ``#name`` may stand for, made as GitHub makes it."""
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in self.headings}


def read_page(path: Path) -> Page:
    """Raises ValueError for a fence that is not closed, or options that are not ``key="value"``."""
    blocks, prose, headings = [], [], []
    opened: tuple[int, str, str] | None = None
    inside: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None and fence:
            opened, inside = (number, fence["ticks"], fence["info"].strip()), []
        elif opened is not None and fence and fence["ticks"] == opened[1] and not fence["info"].strip():
            language, options = _info(opened[2], f"{name_of(path)}:{opened[0]}")
            blocks.append(Block(path, opened[0], language, options, "\n".join(inside) + "\n"))
            opened = None
        elif opened is not None:
            inside.append(line)
        else:
            prose.append(line)
            if line.startswith("#"):
                headings.append(line.lstrip("#").strip())
    if opened is not None:
        raise ValueError(f"{name_of(path)}:{opened[0]}: a fence that is not closed")
    return Page(path, tuple(blocks), "\n".join(prose), tuple(headings))


def _info(text: str, where: str) -> tuple[str, dict[str, str]]:
    language, *rest = shlex.split(text) or [""]
    options = dict(word.partition("=")[::2] for word in rest)
    if unknown := options.keys() - {"title", "not-run"}:
        raise ValueError(f"{where}: unknown options {sorted(unknown)} in the info string")
    return language, options


# Running ----------------------------------------------------------------------------------------------------------------------


@dataclass
class Shell:
    """A bash that keeps its variables and its directory from one command to the next, as a reader's does.

    Args:
        folder: its first directory and its HOME.
        more: further environment.
    """

    folder: Path
    more: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Shell:
        commands = self.folder.parent / "commands"
        commands.mkdir(exist_ok=True)
        for name, words in {"python": '"$@"', "runplane": '-m runplane "$@"'}.items():
            script = commands / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}\n', encoding="utf-8")
            script.chmod(0o755)
        environment = {
            **{k: v for k, v in os.environ.items() if k not in ("XDG_DATA_HOME", "DAGSTER_HOME")},
            "PATH": f"{commands}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "COLUMNS": "100",
            "LC_ALL": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",  # what a program prints and what it logs stand in the order of a terminal
            **self.more,
        }
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=environment,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        self._input.close()
        try:
            self._bash.wait(10)
        except subprocess.TimeoutExpired:
            self._bash.kill()
            self._bash.wait()
        self._output.close()

    @property
    def _input(self) -> IO[str]:
        assert self._bash.stdin is not None
        return self._bash.stdin

    @property
    def _output(self) -> IO[str]:
        assert self._bash.stdout is not None
        return self._bash.stdout

    def run(self, command: str) -> tuple[int, list[str]]:
        """Exit code and lines of a command. A command that does not end in a minute is killed, and the shell with it."""
        mark = f"--{os.urandom(8).hex()}--"
        killer = threading.Timer(_SECONDS_PER_COMMAND, self._bash.kill)
        killer.start()
        try:
            self._input.write(f"{{ {command}\n}} < /dev/null\nprintf '\\n%s %d\\n' {mark} $?\n")
            self._input.flush()
            lines: list[str] = []
            for line in self._output:
                if line.startswith(mark):
                    # The line end before the mark is ours, where the command's output ended with one.
                    return int(line.split()[1]), lines[:-1] if lines and not lines[-1] else lines
                lines.append(line.rstrip().replace(str(self.folder), READER))
        finally:
            killer.cancel()
        raise TimeoutError(f"the shell ended, or was ended, during: {command}\n" + "\n".join(lines))


def steps_of(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block, with the lines that the page shows below it."""
    command: list[str] = []
    shown: list[str] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            if command:
                yield "\n".join(command), shown
            command, shown = [line[2:]], []
        elif line.startswith("> ") and command and not shown:
            command.append(line[2:])
        elif not command:
            raise ValueError(f"{block.where}: a console block begins with `$ command`")
        else:
            shown.append(line.rstrip())
    if command:
        yield "\n".join(command), shown


def fits(shown: list[str], printed: list[str]) -> bool:
    """Whether `printed` is what the page shows, ids, times and the width of columns apart."""
    pattern = ""
    for line in map(_plain, shown):
        if line == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += r"[^\n]*?".join(re.escape(part) for part in line.split("...")) + r"\n"
    return re.fullmatch(pattern, "".join(f"{_plain(line)}\n" for line in printed)) is not None


_CHANGING = (
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b(?=[a-f]*[0-9])[0-9a-f]{8}\b"), "ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( \+\d{4})?"), "DATE"),
    (re.compile(r"^\d+ \d\d:\d\d:\d\d\.\d{3}\b"), "NUMBER CLOCK"),
    (re.compile(r"\b(\d+ m )?\d+(\.\d+)? ?(ms|s)\b"), "TIME"),
    (re.compile(r"\bpid: \d+|\b[Pp]rocess \d+( on \S+)?"), "PID"),
    (re.compile(r" *[·█]+([ ·█]*[·█])?"), " BAR"),
    (re.compile(r"BAR waiting BAR working"), "LEGEND"),
    (re.compile(r"(TIME TIME)$"), r"\1 BAR"),
)
"""What is another one each time."""


def _plain(line: str) -> str:
    line = " ".join(line.split())
    for pattern, name in _CHANGING:
        line = pattern.sub(name, line)
    return line
