"""The repository root is the package `runplane`: what keeps that arrangement from going wrong.

Each test names one trap. They read files only, so they run on any Python without the package installed.
"""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOT_PACKAGES = {"tests", "docs", "examples", "bench", "deploy", "build", "dist"}
DEPENDENCIES = {
    "alembic", "botocore", "celery", "click", "dagster", "docker", "fsspec", "grpc", "hypothesis", "kombu", "kubernetes", "msgspec", "obstore", "opentelemetry",
    "prometheus_client", "psutil", "psycopg", "pydantic", "pytest", "redis", "rich", "s3fs", "sqlalchemy", "starlette",
    "testcontainers", "upath", "uvicorn", "yaml",
}  # fmt: skip
# Where a module is imported by its name: class pointers, a user's code, lazy public names. Else it is an import statement.
# (log_settings: `logging.config` brings sockets and queues, for the few instances that name handlers.)
LOADERS = {
    "config/pointer.py",
    "definitions/code_loading.py",
    "definitions/assets/loading.py",  # users name packages whose assets are meant
    "executors/log_settings.py",
    "testing/warm.py",  # the program that its caller wants forked
}
# Where an import may stand inside a function, to keep start-up fast: the verbs of the command, the lazy public names.
EDGES_OF_LATE_IMPORTS = ("cli/", "__init__.py")


def package_folders() -> list[Path]:
    """Every folder below the root that is part of the package, the root included."""
    found = [ROOT]
    for top in sorted(p for p in ROOT.iterdir() if p.is_dir()):
        if top.name in NOT_PACKAGES or top.name.startswith(".") or top.name.endswith(".egg-info"):
            continue
        found += [top, *(p for p in sorted(top.rglob("*")) if p.is_dir() and p.name != "__pycache__")]
    return found


def own_sources() -> list[Path]:
    files = list(ROOT.glob("*.py"))
    for folder in package_folders()[1:]:
        files += folder.glob("*.py")
    return sorted(files)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def pyproject_list(table: str, key: str) -> list[str]:
    """One list of strings of pyproject.toml, read without a TOML parser (Python 3.10 has none)."""
    text = (ROOT / "pyproject.toml").read_text()
    section = text.split(f"\n[{table}]\n", 1)[1]
    body = re.search(rf"^{key} = \[(.*?)^\]", section, re.MULTILINE | re.DOTALL)
    assert body is not None, f"pyproject.toml: no list {key} in [{table}]"
    return re.findall(r'"([^"]+)"', re.sub(r"#.*", "", body.group(1)))


def test_packages_are_listed_by_name() -> None:
    folders = {".".join(["runplane", *p.relative_to(ROOT).parts]) for p in package_folders() if list(p.glob("*.py"))}
    listed = pyproject_list("tool.setuptools", "packages")

    assert sorted(folders) == sorted(listed), "pyproject.toml [tool.setuptools] packages and the folders differ"


def test_every_package_opens_with_its_admission_test() -> None:
    without = []
    for folder in package_folders()[1:]:
        if not list(folder.glob("*.py")):
            continue
        init = folder / "__init__.py"
        if not init.is_file() or not ast.get_docstring(ast.parse(init.read_text())):
            without.append(relative(folder))

    assert without == []


@pytest.mark.parametrize("backend", ["kube", "celery_app"])
def test_only_one_package_may_import_a_backend_and_the_contract_names_all_others(backend: str) -> None:
    text = (ROOT / "pyproject.toml").read_text()
    contract = text.split(f'name = "Only {backend} imports')[1].split("forbidden_modules")[0]
    named = {name.removeprefix("runplane.") for name in re.findall(r'"(runplane\.\w+)"', contract)}
    packages = {p.name for p in package_folders()[1:] if p.parent == ROOT and list(p.glob("*.py"))}

    assert named == packages - {backend}


def test_no_loose_module_at_the_root() -> None:
    loose = {p.name for p in ROOT.glob("*.py")} - {"__init__.py", "__main__.py"}

    assert loose == set(), "every .py at the root is shipped inside the package"


def test_no_root_folder_is_named_like_a_dependency_or_a_standard_module() -> None:
    folders = {p.name for p in ROOT.iterdir() if p.is_dir()}

    assert folders & DEPENDENCIES == set()
    assert folders & set(sys.stdlib_module_names) == set()


def test_the_tests_are_no_packages_and_their_names_are_unique() -> None:
    inits = [relative(p) for p in (ROOT / "tests").rglob("__init__.py")]
    names = [p.name for p in (ROOT / "tests").rglob("test_*.py")]

    assert inits == []
    assert sorted({n for n in names if names.count(n) > 1}) == []


def test_every_folder_of_tests_is_a_suite_that_runs() -> None:
    suites = (ROOT / ".ci" / "suites.py").read_text()
    listed = re.search(r"^FOLDERS = (\(.*?\))$", suites, re.MULTILINE)
    assert listed is not None
    known = {"unit", "services", "cluster", "fixtures", *ast.literal_eval(listed.group(1))}
    folders = {p.name for p in (ROOT / "tests").iterdir() if p.is_dir() and any(p.rglob("*.py"))}
    settings = (ROOT / "tests" / "pytest.ini").read_text()
    markers = set(re.findall(r"^    (\w+): ", settings, re.MULTILINE))

    assert folders <= known
    assert known - {"services", "cluster", "fixtures"} <= markers


def test_pytest_stays_below_the_package(request: pytest.FixtureRequest) -> None:
    above = [str(node.path) for node in request.node.listchain() if isinstance(node, pytest.Package)]

    assert above == [], "pytest imported the package's own __init__ as a part of the tests"


def test_the_version_is_said_once() -> None:
    build = (ROOT / "pyproject.toml").read_text()
    said = re.findall(r'^__version__ = "(\d+\.\d+\.\d+)"$', (ROOT / "__init__.py").read_text(), re.MULTILINE)

    assert len(said) == 1, "a literal, so that the build can read it without importing the package"
    assert 'dynamic = ["version"]' in build
    assert said[0] not in build


class ImportFinder(ast.NodeVisitor):
    """Notes imports inside functions, and imports of own modules under TYPE_CHECKING.

    A package's `__init__` may name its own modules under TYPE_CHECKING: that is how type checkers see lazy public names, and no
    cycle hides there.
    """

    def __init__(self, *, is_init: bool = False) -> None:
        self._own_from_level = 2 if is_init else 1
        self.in_functions: list[int] = []
        self.own_for_types_only: list[int] = []
        self.loaders: list[int] = []
        self._functions = 0
        self._type_checking = 0

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._functions += 1
        self.generic_visit(node)
        self._functions -= 1

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]

    def visit_If(self, node: ast.If) -> None:
        guard = "TYPE_CHECKING" in ast.unparse(node.test)
        self._type_checking += guard
        for child in node.body:
            self.visit(child)
        self._type_checking -= guard
        for child in node.orelse:
            self.visit(child)

    def visit_Import(self, node: ast.Import) -> None:
        self._note(node.lineno, own=any(a.name.split(".")[0] == "runplane" for a in node.names))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._note(
            node.lineno, own=node.level >= self._own_from_level or (node.module or "").split(".")[0] == "runplane"
        )

    def visit_Call(self, node: ast.Call) -> None:
        if ast.unparse(node.func) in {"import_module", "importlib.import_module", "__import__"}:
            self.loaders.append(node.lineno)
        self.generic_visit(node)

    def _note(self, line: int, *, own: bool) -> None:
        if self._functions:
            self.in_functions.append(line)
        if own and self._type_checking:
            self.own_for_types_only.append(line)


@cache
def find(path: Path) -> ImportFinder:
    finder = ImportFinder(is_init=path.name == "__init__.py")
    finder.visit(ast.parse(path.read_text(), str(path)))
    return finder


def test_no_own_module_is_imported_for_types_only() -> None:
    found = [f"{relative(p)}:{line}" for p in own_sources() for line in find(p).own_for_types_only]

    assert found == [], "push the shared type down instead of hiding a cycle"


def test_imports_stand_at_the_top_but_at_the_named_edges() -> None:
    found = [
        f"{relative(p)}:{line}"
        for p in own_sources()
        if not relative(p).startswith(EDGES_OF_LATE_IMPORTS)
        for line in find(p).in_functions
    ]

    assert found == []


def test_modules_are_imported_by_name_in_one_place() -> None:
    found = {relative(p) for p in own_sources() if find(p).loaders and p.name != "__init__.py"}

    assert found <= LOADERS


@pytest.mark.parametrize(
    ("source", "in_functions", "types_only"),
    [
        ("def f():\n    import json", [2], []),
        ("import json", [], []),
        ("if TYPE_CHECKING:\n    from ..events import Run", [], [2]),
        ("if typing.TYPE_CHECKING:\n    import runplane.events", [], [2]),
        ("if TYPE_CHECKING:\n    from collections.abc import Iterator", [], []),
    ],
)
def test_the_import_finder_finds(source: str, in_functions: list[int], types_only: list[int]) -> None:
    finder = ImportFinder()

    finder.visit(ast.parse(source))

    assert (finder.in_functions, finder.own_for_types_only) == (in_functions, types_only)
