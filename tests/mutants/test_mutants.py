"""Each mutant is noticed by the test that guards what it breaks; and the runner itself can not be fooled. See README.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mutants.runner import (
    IMPORTS,
    Hunk,
    Mutant,
    MutantError,
    Outcome,
    all_mutants,
    apply,
    compiled,
    copy_package,
    judge,
    read,
    run,
)
from runplane.testing.warm import WarmPython

FOUND = all_mutants()


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("compiled"))


@pytest.fixture(scope="session")
def python() -> Iterator[WarmPython]:
    made = WarmPython(IMPORTS)
    yield made
    made.close()


@pytest.mark.parametrize("mutant", FOUND, ids=lambda m: m.name)
def test_the_mutant_is_noticed(mutant: Mutant, package: Path, python: WarmPython, tmp_path: Path) -> None:
    apply(mutant, copy_package(tmp_path, package, mutant))

    outcome = run(python, [mutant.test], tmp_path)

    judge(mutant, outcome)


@pytest.mark.long
def test_without_a_mutant_all_these_tests_pass(package: Path, python: WarmPython, tmp_path: Path) -> None:
    copy_package(tmp_path, package)

    outcome = run(python, sorted({m.test for m in FOUND}), tmp_path)

    assert outcome.code == 0, outcome.text


def test_a_copy_without_a_mutant_is_as_good_as_the_package(package: Path, python: WarmPython, tmp_path: Path) -> None:
    """One test stands for all: each of them runs without its mutant in its own suite, which `run` makes sure of."""
    copy_package(tmp_path, package)

    outcome = run(python, ["tests/unit/engine/test_order_and_skips.py"], tmp_path)

    assert outcome.code == 0, outcome.text


PATCH = """\
What is wrong.

test: tests/unit/engine/test_x.py::test_y
fails: a sentence

--- a/engine/x.py
+++ b/engine/x.py
@@ -1,3 +1,3 @@
 a
-b
+B

"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "engine-m.patch"
    (tmp_path / "engine").mkdir()
    path.write_text(text)
    return path


def test_a_mutant_is_read(tmp_path: Path) -> None:
    mutant = read(written(tmp_path, PATCH))

    assert mutant == Mutant(
        "engine-m",
        "tests/unit/engine/test_x.py::test_y",
        "a sentence",
        (Hunk("engine/x.py", ("a", "b", ""), ("a", "B", "")),),
    )


@pytest.mark.parametrize("line", ["test: ", "fails: ", "@@"])
def test_a_mutant_that_lacks_something_is_an_error(tmp_path: Path, line: str) -> None:
    text = "\n".join(one for one in PATCH.splitlines() if not one.startswith(line))

    with pytest.raises(MutantError, match="no hunk" if line == "@@" else f"no line '{line}"):
        read(written(tmp_path, text))


@pytest.mark.parametrize(("text", "places"), [("a\nb\n", 0), ("x\na\nB\n\n", 0), ("a\nb\n\na\nb\n\n", 2)])
def test_a_mutant_that_does_not_apply_is_an_error(tmp_path: Path, text: str, places: int) -> None:
    mutant = read(written(tmp_path, PATCH))
    (tmp_path / "engine" / "x.py").write_text(text)

    with pytest.raises(MutantError, match=f"does not apply, {places} places"):
        apply(mutant, tmp_path)


def test_a_mutant_applies_wherever_its_lines_stand(tmp_path: Path) -> None:
    mutant = read(written(tmp_path, PATCH))
    (tmp_path / "engine" / "x.py").write_text("1\n2\n3\na\nb\n\nc\n")

    apply(mutant, tmp_path)

    assert (tmp_path / "engine" / "x.py").read_text() == "1\n2\n3\na\nB\n\nc\n"


def test_a_mutant_of_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MutantError, match=r"no engine/x.py any more"):
        apply(read(written(tmp_path, PATCH)), tmp_path)


def test_a_survivor_another_failure_and_a_test_that_is_gone_are_told_apart() -> None:
    mutant = Mutant("engine-m", "t", "a sentence", ())

    with pytest.raises(AssertionError, match="survived"):
        judge(mutant, Outcome(0, "1 passed"))
    with pytest.raises(AssertionError, match="but not with 'a sentence'"):
        judge(mutant, Outcome(1, "E   AssertionError: another\nsource with a sentence in it"))
    with pytest.raises(MutantError, match="did not run"):
        judge(mutant, Outcome(4, "ERROR: not found"))
    judge(mutant, Outcome(1, "E   AssertionError: a sentence"))
