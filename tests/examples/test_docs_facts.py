"""Links, tables and counts of the pages, compared with the clone they stand in."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_pages import PAGES, ROOT, name_of, read_page

from runplane.errors.exit_codes import ExitCode
from runplane.instance.known_classes import known_classes

DOCS = ROOT / "docs"
CONFIG_PAGE = DOCS / "learn" / "config.md"
DEBUG_PAGE = DOCS / "howto" / "debug-a-run.md"
LAUNCHER_PAGE = DOCS / "howto" / "write-a-launcher.md"
_VARIABLE = re.compile(r"^(?:RUNPLANE|DAGSTER)_[A-Z0-9_]*[A-Z0-9]$|^XDG_DATA_HOME$")


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for link in read_page(path).links:
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        if not found.exists() or (anchor and found.suffix == ".md" and anchor not in read_page(found).anchors):
            broken.append(link)
    assert broken == []


def test_every_page_is_reached_from_the_index() -> None:
    reached: set[Path] = set()
    waiting = [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        waiting += [
            (page.parent / link.partition("#")[0]).resolve() for link in read_page(page).links if ":" not in link
        ]
    assert sorted(map(name_of, {p for p in PAGES if DOCS in p.parents} - reached)) == []


def test_make_verbs_that_pages_name_are_there() -> None:
    verbs = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        (name_of(path), verb)
        for path in PAGES
        for verb in re.findall(r"(?:`|\$ )make ([a-z-]+)", path.read_text(encoding="utf-8"))
    }
    assert {(page, verb) for page, verb in named if verb not in verbs} == set()


def test_the_launcher_of_the_page_has_25_lines() -> None:
    code = read_page(LAUNCHER_PAGE).blocks[0]
    lines = [line for line in code.text.splitlines() if line.strip()]
    assert code.options["title"].endswith(".py")
    assert len(lines) <= 25


# Tables -----------------------------------------------------------------------------------------------------------------------


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    assert _rows(DEBUG_PAGE, "exit codes") == [f"| {int(c)} | `{c.name}` | {_meaning(c)} |" for c in ExitCode]


def test_the_table_of_variables_is_that_of_the_code() -> None:
    shown = {m for row in _rows(CONFIG_PAGE, "variables") for m in re.findall(r"`([A-Z_0-9]+)`", row.split("|")[1])}
    assert shown == set(_variables_of_the_code())


def test_the_table_of_what_is_built_later_is_that_of_the_code() -> None:
    later: dict[str, set[str]] = {}
    for known in known_classes().values():
        if known.status == "later":
            later.setdefault(known.part, set()).add(known.class_name)
    wanted = [f"| `{part}` | {', '.join(f'`{name}`' for name in sorted(later[part]))} |" for part in sorted(later)]
    assert _rows(CONFIG_PAGE, "later") == wanted


def _rows(page: Path, name: str) -> list[str]:
    """The rows of the table between ``<!-- name -->`` and the next empty line, without its head."""
    _, _, after = page.read_text(encoding="utf-8").partition(f"<!-- table: {name} -->\n")
    rows = after.partition("\n\n")[0].splitlines()
    assert len(rows) > 2, f"{name_of(page)} has no table {name!r}"
    return rows[2:]


def _meaning(code: ExitCode) -> str:
    """The text below the member in its source."""
    tree = ast.parse((ROOT / "errors" / "exit_codes.py").read_text(encoding="utf-8"))
    (body,) = [node.body for node in tree.body if isinstance(node, ast.ClassDef)]
    for member, text in itertools.pairwise(body):
        if (
            isinstance(member, ast.Assign)
            and isinstance(member.targets[0], ast.Name)
            and member.targets[0].id == code.name
        ):
            assert isinstance(text, ast.Expr)
            assert isinstance(text.value, ast.Constant)
            return " ".join(str(text.value.value).split()).replace("``", "`")
    raise AssertionError(f"{code.name} has no text")


def _variables_of_the_code() -> Iterator[str]:
    packages = [init.parent for init in ROOT.glob("*/__init__.py")]
    for path in [p for package in packages for p in package.rglob("*.py")] + list(ROOT.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _VARIABLE.match(node.value):
                yield node.value
