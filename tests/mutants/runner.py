"""Applies a mutant to a copy of the package, runs the test that must notice it, and says whether it did.

A mutant is a file ``<part>-<what-is-wrong>.patch``: prose, two settings, then a unified diff against the root of the repository. Line numbers of the diff are not looked at: a hunk's old lines must stand in the file exactly
once, so that a mutant does not go stale when code above it moves, and does not hit the wrong place.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runplane.testing.warm import WarmPython
from scale import IS_LONG

ROOT = Path(__file__).resolve().parents[2]
MUTANTS = Path(__file__).resolve().parent
SETTINGS = ("test", "fails")
NOT_PACKAGE = {"tests", "docs", "examples", "bench", "deploy", "build", "dist"}
SECONDS = 600
# What each test's process loads that is not ours: a second or so of its time.
IMPORTS = ("pytest", "pygments.formatters.terminal", "unittest.mock", "sqlalchemy", "psycopg", "click", "yaml")


class MutantError(Exception):
    """The mutant can not be used: it can not be read, it does not apply, or the test does not run at all."""


@dataclass(frozen=True)
class Hunk:
    """Lines that stand in a file, and the lines that take their place."""

    file: str
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        name: ``engine-skip-does-not-beat-abandon``.
        test: node id of the test that must fail, from the root of the repository.
        fragment: what the failure must say; only lines of the failure itself are looked at (pytest's ``E`` lines).
        hunks: the change.
    """

    name: str
    test: str
    fragment: str
    hunks: tuple[Hunk, ...]


@dataclass(frozen=True)
class Outcome:
    """How the test went: pytest's exit code, and all it printed."""

    code: int
    text: str

    @property
    def failure(self) -> str:
        """What the failure says, without pytest's margin."""
        return "\n".join(line[1:].strip() for line in self.text.splitlines() if re.match(r"E\s", line))


def all_mutants() -> list[Mutant]:
    """Every mutant, by name."""
    return [read(path) for path in sorted(MUTANTS.glob("*.patch"))]


def read(path: Path) -> Mutant:
    """Read a mutant.

    Raises:
        MutantError: a setting is missing, or there is no diff in it.
    """
    lines = path.read_text().splitlines()
    diff_at = next((i for i, line in enumerate(lines) if line.startswith("--- ")), len(lines))
    settings = {
        key: line[len(key) + 1 :].strip() for line in lines[:diff_at] for key in SETTINGS if line.startswith(f"{key}:")
    }
    missing = [key for key in SETTINGS if not settings.get(key)]
    if missing:
        raise MutantError(f"{path}: no line '{missing[0]}: ...' before the diff")
    hunks = _hunks(lines[diff_at:])
    if not hunks:
        raise MutantError(f"{path}: no hunk")
    return Mutant(path.stem, settings["test"], settings["fails"], tuple(hunks))


def _hunks(lines: list[str]) -> list[Hunk]:
    hunks: list[Hunk] = []
    file = ""
    for before, line in zip(["", *lines], lines, strict=False):
        if before.startswith("--- ") and line.startswith("+++ "):
            file = line[4:].split("\t")[0].removeprefix("b/")
        elif line.startswith("@@"):
            hunks.append(Hunk(file, (), ()))
        elif hunks and line[:1] in ("-", "+", " ", "") and not _is_header(line):
            last = hunks[-1]
            old = last.old if line.startswith("+") else (*last.old, line[1:])
            new = last.new if line.startswith("-") else (*last.new, line[1:])
            hunks[-1] = Hunk(last.file, old, new)
    return hunks


def _is_header(line: str) -> bool:
    return line.startswith(("--- a/", "+++ b/"))


def compiled(to: Path) -> Path:
    """A copy of the package below `to`, compiled, to make others from."""
    package = to / "runplane"
    for entry in _parts(ROOT):
        if entry.is_dir():
            shutil.copytree(entry, package / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            package.mkdir(parents=True, exist_ok=True)
            shutil.copy2(entry, package / entry.name)
    compileall.compile_dir(package, quiet=1)
    return package


def copy_package(to: Path, source: Path, mutant: Mutant | None = None) -> Path:
    """The package below `to`; with `to` on the path it is what ``import runplane`` finds.

    Args:
        source: a compiled copy. The folders that the mutant leaves as they are are links to its folders.
    """
    changed = {Path(hunk.file).parts[0] for hunk in mutant.hunks} if mutant else set()
    package = to / "runplane"
    package.mkdir(parents=True)
    for entry in source.iterdir():
        if entry.name in changed and entry.is_dir():
            shutil.copytree(entry, package / entry.name)
        elif entry.is_dir():
            (package / entry.name).symlink_to(entry)
        else:
            shutil.copy2(entry, package / entry.name)
    return package


def _parts(clone: Path) -> Iterator[Path]:
    """What of a clone is the package."""
    for entry in clone.iterdir():
        is_own_folder = entry.is_dir() and entry.name not in NOT_PACKAGE and "egg" not in entry.name
        if (is_own_folder and not entry.name.startswith(".")) or entry.suffix == ".py" or entry.name == "py.typed":
            yield entry


def apply(mutant: Mutant, package: Path) -> None:
    """Make the change.

    Raises:
        MutantError: the old lines of a hunk are not there, or more than once: the mutant has to be written anew.
    """
    for hunk in mutant.hunks:
        file = package / hunk.file
        if not file.is_file():
            raise MutantError(f"{mutant.name}: there is no {hunk.file} any more")
        lines = file.read_text().splitlines()
        size = len(hunk.old)
        found = [i for i in range(len(lines) - size + 1) if tuple(lines[i : i + size]) == hunk.old]
        if len(found) != 1:
            shown = "\n".join(hunk.old)
            raise MutantError(f"{mutant.name}: does not apply, {len(found)} places in {hunk.file} look like\n{shown}")
        lines[found[0] : found[0] + size] = hunk.new
        file.write_text("\n".join(lines) + "\n")
        for stale in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
            stale.unlink()


def run(python: WarmPython, tests: list[str], path: Path) -> Outcome:
    """Run tests with the copy of the package below `path`, in a process and a working directory of their own.

    The first failure ends it: a mutant whose test has many parameters needs no more. What `make test` leaves to the long lane is left out.

    Args:
        python: one that has imported nothing of ours.
    """
    work = path / "work"
    work.mkdir(exist_ok=True)
    said = path / "said"
    arguments = ["-c", str(ROOT / "tests" / "pytest.ini"), "-q", "-x", "-p", "no:cacheprovider"]
    arguments += [] if IS_LONG else ["-m", "not long"]
    arguments += [str(ROOT / test) for test in tests]
    environ = {**os.environ, "PYTHONPATH": str(path)}
    environ.pop("PYTEST_ADDOPTS", None)
    paths = [str(path), str(MUTANTS.parent)]
    # A folder that other calls of pytest share would be tidied up by them meanwhile. Not below `path`: sockets need short names.
    with tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as made_by_tests:
        arguments.append(f"--basetemp={made_by_tests}/t")
        python.start("mutants.in_copy:main", [str(path), *arguments], env=environ, cwd=work, output=said, paths=paths)
        code = python.wait(SECONDS)
    return Outcome(code, said.read_text(errors="replace"))


def judge(mutant: Mutant, outcome: Outcome) -> None:
    """Nothing when the test noticed the fault and said so.

    Raises:
        AssertionError: the mutant survived, or the test failed for another reason.
        MutantError: the test did not run.
    """
    if outcome.code not in (0, 1):
        raise MutantError(f"{mutant.name}: {mutant.test} did not run\n{outcome.text}")
    assert outcome.code == 1, f"{mutant.name} survived: {mutant.test} passes with it\n{outcome.text}"
    assert mutant.fragment in outcome.failure, (
        f"{mutant.name}: {mutant.test} failed, but not with {mutant.fragment!r}\n{outcome.failure}"
    )
