"""User code found by a code pointer."""

import sys
import textwrap

import pytest

from runplane.definitions.code_loading import CodeLoadError, load_job, load_jobs, load_target
from runplane.errors import NotFoundError
from runplane.events.origin import (
    LOAD_ALL_ASSETS,
    AutoloadDefsModuleCodePointer,
    CustomPointer,
    FileCodePointer,
    ModuleCodePointer,
)

CODE = """
from runplane import Definitions, graph, job, op

@op
def one():
    return 1

@job
def first():
    one()

@graph
def second():
    one()

def made():
    return first

def make(n, suffix=""):
    return job(name=f"job_{n}{suffix}")(lambda: one() and None)

defs = Definitions(jobs=[first, second])
number = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if not name.startswith("runplane"):
            del sys.modules[name]


def _write(folder, name, code):
    (folder / name).write_text(textwrap.dedent(code))


def test_a_file_is_relative_to_the_current_directory(folder):
    _write(folder, "code_a.py", CODE)
    jobs = load_jobs(FileCodePointer("code_a.py", "defs"))
    assert [j.name for j in jobs] == ["first", "second"]
    for attribute, name in [("first", "first"), ("second", "second"), ("made", "first")]:
        assert load_job(FileCodePointer("code_a.py", attribute), name).name == name


def test_the_working_directory_goes_on_the_path(folder):
    (folder / "deep").mkdir()
    _write(folder, "deep/neighbour_b.py", "VALUE = 3\n")
    _write(folder, "code_b.py", "import neighbour_b\n" + CODE)
    assert load_job(FileCodePointer("code_b.py", "defs", str(folder / "deep")), "first").name == "first"


def test_a_module_beside_the_file_is_found(folder):
    (folder / "deep").mkdir()
    _write(folder, "deep/neighbour_c.py", "VALUE = 3\n")
    _write(folder, "deep/code_c.py", "import neighbour_c\n" + CODE)
    assert load_job(FileCodePointer("deep/code_c.py", "defs"), "first").name == "first"


def test_a_module_and_what_it_defines(folder):
    _write(folder, "code_d.py", CODE)
    assert load_job(ModuleCodePointer("code_d", "defs", str(folder)), "second").name == "second"
    assert load_target(AutoloadDefsModuleCodePointer("code_d", str(folder))).get_job_def("first").name == "first"


def test_a_function_that_makes_a_job_is_called_with_its_arguments(folder):
    _write(folder, "code_e.py", CODE)
    pointer = CustomPointer(FileCodePointer("code_e.py", "make"), (3,), (("suffix", "x"),))
    assert load_job(pointer, "job_3x").name == "job_3x"


def test_a_bare_module_gives_all_its_jobs(folder):
    _write(folder, "code_k.py", CODE + "\n@job\ndef another():\n    one()\n")
    assert [j.name for j in load_jobs(FileCodePointer("code_k.py", LOAD_ALL_ASSETS))] == ["first", "another"]


def test_what_is_not_there_is_named_with_the_nearest(folder):
    _write(folder, "code_f.py", CODE)
    with pytest.raises(
        NotFoundError, match=r"Could not find job 'frist'\. Found: 'first', 'second'.*Did you mean 'first'"
    ):
        load_job(FileCodePointer("code_f.py", "defs"), "frist")
    with pytest.raises(NotFoundError, match=r"there is no 'deffs'.*Did you mean 'defs'"):
        load_jobs(FileCodePointer("code_f.py", "deffs"))
    with pytest.raises(NotFoundError, match=r"there is no file code_g\.py.*Did you mean 'code_f\.py'"):
        load_jobs(FileCodePointer("code_g.py", "defs"))
    with pytest.raises(NotFoundError, match="there is no module 'not_there_at_all'"):
        load_jobs(ModuleCodePointer("not_there_at_all", "defs"))
    with pytest.raises(NotFoundError, match="not a code location"):
        load_jobs(FileCodePointer("code_f.py", "number"))


def test_code_that_fails_shows_the_users_traceback_only(folder):
    _write(folder, "code_h.py", "def deep():\n    raise ValueError('no such table')\n\ndeep()\n")
    with pytest.raises(CodeLoadError) as caught:
        load_jobs(FileCodePointer("code_h.py", "defs"))
    text = str(caught.value)
    assert "ValueError: no such table" in text
    assert "code_h.py" in text
    assert "in deep" in text
    assert "code_loading" not in text
    assert "importlib" not in text
    assert "code_h" not in sys.modules


def test_code_that_imports_what_is_missing_is_the_codes_error(folder):
    _write(folder, "code_i.py", "import a_module_that_is_missing\n")
    with pytest.raises(CodeLoadError, match="No module named 'a_module_that_is_missing'"):
        load_jobs(ModuleCodePointer("code_i", "defs", str(folder)))


def test_code_that_leaves_is_the_codes_error(folder):
    _write(folder, "code_j.py", "import sys\nsys.exit(3)\n")
    with pytest.raises(CodeLoadError, match="SystemExit: 3"):
        load_jobs(FileCodePointer("code_j.py", "defs"))
