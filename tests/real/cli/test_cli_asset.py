"""``asset list`` and ``asset materialize`` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ASSETS = """
from runplane import AssetCheckResult, AssetIn, AssetSpec, Config, asset, asset_check

outside = AssetSpec("outside", group_name="raw")


class Size(Config):
    n: int = 3


@asset(key_prefix="raw", group_name="raw", kinds={"python"}, owners=["team:data"], deps=["outside"])
def numbers(config: Size):
    return list(range(config.n))


@asset(ins={"numbers": AssetIn(key_prefix="raw")})
def total(context, numbers):
    "The sum."
    context.add_output_metadata({"rows": len(numbers)})
    return sum(numbers)


@asset
def broken():
    raise ValueError("not today")


@asset_check(asset=total)
def positive(total):
    return AssetCheckResult(passed=total > 0)
"""


@pytest.fixture
def assets_file(tmp_path: Path) -> Path:
    """A file of assets and no Definitions."""
    file = tmp_path / "some_assets.py"
    file.write_text(ASSETS)
    return file


def test_assets_are_listed_sorted_with_what_is_said_of_them(runplane, home: Path, assets_file: Path) -> None:
    done = runplane("asset", "list", "-f", assets_file, "--json")

    listed = json.loads(done.stdout)
    assert [a["key"] for a in listed] == ["broken", "raw/numbers", "total"]
    assert listed[1] == {
        "key": "raw/numbers",
        "group": "raw",
        "kinds": ["python"],
        "owners": ["team:data"],
        "tags": {},
        "description": None,
        "deps": ["outside"],
        "checks": [],
        "is_executable": True,
        "last_materialization": None,
    }
    assert (listed[2]["checks"], listed[2]["description"]) == (["positive"], "The sum.")


def test_a_selection_is_made_and_its_newest_materialization_is_shown(runplane, home: Path, assets_file: Path) -> None:
    made = runplane("asset", "materialize", "-f", assets_file, "--select", "*total", "--json")

    assert made.exit_code == 0, made.stderr
    document = json.loads(made.stdout)
    assert document["status"] == "SUCCESS"
    assert sorted(document["assets"]) == ["raw/numbers", "total"]
    path = {"__class__": "PathMetadataEntryData", "path": str(home / "storage" / "total")}
    assert document["assets"]["total"]["metadata"] == {"rows": 3, "path": path}
    assert document["checks"] == [{"asset": "total", "check": "positive", "passed": True, "severity": "ERROR"}]
    listed = runplane("asset", "list", "-f", assets_file).stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["broken", "raw/numbers", "total"]
    assert "never made" in listed[0]
    assert f"run {document['run_id'][:8]}" in listed[2]


def test_what_is_upstream_is_taken_from_an_earlier_run(runplane, home: Path, assets_file: Path) -> None:
    config = json.dumps({"ops": {"raw__numbers": {"config": {"n": 5}}}})
    runplane("asset", "materialize", "-f", assets_file, "--select", "raw/numbers", "--config-json", config)

    made = runplane("asset", "materialize", "-f", assets_file, "--select", "total", "--json")

    document = json.loads(made.stdout)
    assert list(document["assets"]) == ["total"]
    assert document["assets"]["total"]["metadata"]["rows"] == 5
    shown = json.loads(runplane("run", "show", document["run_id"], "--json").stdout)
    assert shown["job_name"] == "__ASSET_JOB"


def test_several_queries_with_commas_add_up(runplane, home: Path, assets_file: Path) -> None:
    made = runplane("asset", "materialize", "-f", assets_file, "--select", "raw/numbers, key:total", "--json")

    assert sorted(json.loads(made.stdout)["assets"]) == ["raw/numbers", "total"]


def test_a_failure_ends_with_1(runplane, home: Path, assets_file: Path) -> None:
    made = runplane("asset", "materialize", "-f", assets_file, "--select", "broken")

    assert made.exit_code == 1
    assert "not today" in made.output


def test_what_failed_is_run_again_with_its_selection(runplane, as_process, home: Path, assets_file: Path) -> None:
    failed = runplane("asset", "materialize", "-f", assets_file, "--select", "broken,raw/numbers", "--json")
    run_id = json.loads(failed.stdout)["run_id"]
    assets_file.write_text(ASSETS.replace('raise ValueError("not today")', "return 1"))

    again = as_process("run", "retry", run_id, "--json")

    assert again.returncode == 0, again.stderr
    new = json.loads(again.stdout)["run_id"]
    as_process("run", "events", new, "--follow")
    shown = json.loads(runplane("run", "show", new, "--json").stdout)
    assert shown["status"] == "SUCCESS"
    assert [s["key"] for s in shown["steps"]] == ["broken"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--select", "totl"], "Did you mean 'total'"),
        (["--select", "key:"], "no asset selection query"),
        (["--select", "total", "--partition", "x"], "--partition is not supported yet"),
        (["--select", "total", "--partition-range", "x...y"], "--partition-range is not supported yet"),
        (["--select", "raw/numbers", "--config-json", '{"ops": {"raw__numbers": {"config": {"n": "x"}}}}'], "n"),
        (["--select", "outside"], "no asset of job '__ASSET_JOB' is meant"),
    ],
)
def test_bad_input_is_2_and_nothing_is_stored(
    runplane, home: Path, assets_file: Path, words: list[str], told: str
) -> None:
    done = runplane("asset", "materialize", "-f", assets_file, *words)

    assert done.exit_code == 2
    assert told in done.stderr
    assert json.loads(runplane("run", "list", "--json").stdout)["runs"] == []


def test_code_without_assets_is_said(runplane, home: Path, jobs_file: Path) -> None:
    done = runplane("asset", "materialize", "-f", jobs_file, "--select", "a")

    assert done.exit_code == 2
    assert "there are no assets that can be made" in done.stderr
    assert "There are no assets here" in runplane("asset", "list", "-f", jobs_file).stderr
