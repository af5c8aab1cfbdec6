"""examples/package_audit: real distributions are measured, and what can not be measured is a row."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from runplane.definitions.code_loading import load_job
from runplane.events.origin import FileCodePointer

FILE = Path(__file__).resolve().parents[2] / "examples" / "package_audit" / "definitions.py"


@pytest.fixture
def audit(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    return load_job(FileCodePointer(str(FILE), "defs"), "package_audit")


def _fake(folder, name, code, **fields):
    """An installed distribution with one module."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    extra = "".join(f"{k.replace('_', '-')}: {v}\n" for k, v in fields.items())
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{extra}")
    (info / "RECORD").write_text(f"{name}.py,,\n{name}-1.0.dist-info/METADATA,,\n")
    (folder / f"{name}.py").write_text(code)


def _run(audit, **config):
    run_config = {"ops": {name: {"config": value} for name, value in config.items()}}
    return audit.execute_in_process(run_config)


def test_a_distribution_is_measured_by_a_step_of_its_own(audit, tmp_path):
    page = tmp_path / "page.html"
    names = ["click", "pytest"]
    result = _run(audit, list_distributions={"names": names}, write_report={"path": str(page)})
    assert result.success
    rows = result.output_for_node("measure")
    assert sorted(rows) == names
    assert all(
        row["bytes"] > 10_000 and row["files"] > 5 and row["licence"] and row["import_s"] > 0 for row in rows.values()
    )
    text = page.read_text()
    assert result.output_for_node("write_report") == str(page)
    assert all(name in text for name in names)
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)
    assert text.count("<svg") == 2
    assert "<script" not in text
    assert not re.findall(r"(?:src|href)=", text)


def test_what_can_not_be_measured_is_a_row(audit, tmp_path, monkeypatch):
    _fake(tmp_path, "broken_thing", "raise ValueError('<b>no</b>')\n")
    _fake(tmp_path, "slow_thing", "import time\ntime.sleep(60)\n", License="MIT")
    _fake(tmp_path, "leaving_thing", "import os\nos._exit(7)\n", License_Expression="Apache-2.0")
    _fake(tmp_path, "good_thing", "x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    page = tmp_path / "page.html"
    result = _run(
        audit,
        list_distributions={"names": ["broken_thing", "slow_thing", "leaving_thing", "good_thing"]},
        measure={"import_timeout_s": 1.0},
        write_report={"path": str(page)},
    )
    assert result.success
    rows = result.output_for_node("measure")
    assert rows["broken_thing"]["problem"] == "the import failed: ValueError: <b>no</b>"
    assert rows["slow_thing"]["problem"] == "the import took more than 1 s"
    assert rows["leaving_thing"]["problem"] == "the import failed: Python ended with 7"
    assert rows["good_thing"]["problem"] == ""
    assert (rows["slow_thing"]["licence"], rows["leaving_thing"]["licence"]) == ("MIT", "Apache-2.0")
    assert "&lt;b&gt;no&lt;/b&gt;" in page.read_text()


def test_an_empty_environment_is_an_empty_report(audit, tmp_path):
    page = tmp_path / "page.html"
    result = _run(audit, list_distributions={"names": ["not_there_at_all"]}, write_report={"path": str(page)})
    assert result.success
    assert "Nothing was measured." in page.read_text()
