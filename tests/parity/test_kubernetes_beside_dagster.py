"""Beside a real Dagster: the Job of each case is the same, but for the list that `docs/differences.md` has under "Jobs"."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kubernetes_cases import ALLOWED_HERE, REFUSED, REFUSED_HERE, cases
from runplane import __version__
from runplane.cli.job_case import render_case
from runplane.errors import ConfigErrors

HERE = Path(__file__).resolve().parent
CASES = cases()
ALL = {**CASES, **REFUSED, **REFUSED_HERE, **ALLOWED_HERE}


@pytest.fixture(scope="module")
def theirs(dagster_python: Path) -> dict[str, Any]:
    done = subprocess.run(
        [str(dagster_python), str(HERE / "kubernetes_dagster_side.py")],
        input=json.dumps(list(ALL.values())),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(ALL, json.loads(done.stdout), strict=True))


def with_our_differences(job: Mapping[str, Any], ours: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """Dagster's Job with what is documented to be otherwise here, and nothing else."""
    expected = copy.deepcopy(dict(job))
    template = expected["spec"]["template"]
    number = ours["metadata"]["labels"]["runplane/attempt"]
    for described in (expected["metadata"], template["metadata"]):
        described["labels"]["app.kubernetes.io/version"] = __version__
        described["labels"]["runplane/attempt"] = number
        if "dagster/op" in described["labels"]:
            key = ours["metadata"]["annotations"]["runplane/step-key"]
            described["annotations"] = {**described.get("annotations", {}), "runplane/step-key": key}
    expected["metadata"]["namespace"] = namespace
    container = template["spec"]["containers"][0]
    container["args"][0] = "runplane"
    our_container = ours["spec"]["template"]["spec"]["containers"][0]
    if len(container["args"]) >= 4:
        container["args"][-1] = our_container["args"][-1]
    else:
        assert container["env"][0]["name"] == "DAGSTER_COMPRESSED_EXECUTE_STEP_ARGS"
        container["env"][0]["value"] = our_container["env"][0]["value"]
    return expected


def test_there_are_enough_cases_of_each_kind() -> None:
    kinds = [case["kind"] for case in CASES.values()]

    assert len(CASES) >= 150
    assert all(
        kinds.count(kind) >= 15 for kind in ("k8s_run", "k8s_run_resume", "k8s_step", "celery_run", "celery_step")
    )


@pytest.mark.parametrize("name", CASES)
def test_the_job_is_dagsters(theirs: dict[str, Any], name: str) -> None:
    ours = render_case(CASES[name])

    assert ours.namespace == theirs[name]["namespace"]
    assert ours.manifest == with_our_differences(theirs[name]["manifest"], ours.manifest, ours.namespace)


@pytest.mark.parametrize("name", REFUSED)
def test_what_both_refuse(theirs: dict[str, Any], name: str) -> None:
    assert "error" in theirs[name]
    with pytest.raises(ConfigErrors):
        render_case(REFUSED[name])


@pytest.mark.parametrize("name", REFUSED_HERE)
def test_what_is_refused_here_only(theirs: dict[str, Any], name: str) -> None:
    assert "manifest" in theirs[name], theirs[name]
    with pytest.raises(ConfigErrors):
        render_case(REFUSED_HERE[name])


@pytest.mark.parametrize("name", ALLOWED_HERE)
def test_what_dagster_alone_refuses(theirs: dict[str, Any], name: str) -> None:
    assert "error" in theirs[name]
    render_case(ALLOWED_HERE[name])
