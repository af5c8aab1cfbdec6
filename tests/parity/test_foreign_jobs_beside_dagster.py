"""``execute_k8s_job`` and ``k8s_job_op`` take what Dagster's take, under the same names and in the same order."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
from typing import Any

import pytest

from runplane import execute_k8s_job, k8s_job_op

PRINT = """
import inspect, json, warnings
warnings.simplefilter("ignore")
from dagster_k8s import execute_k8s_job, k8s_job_op
fields = k8s_job_op.config_schema.config_type.fields
print(json.dumps({
    "parameters": [[p.name, p.default is not p.empty] for p in inspect.signature(execute_k8s_job).parameters.values()],
    "fields": {name: field.is_required for name, field in fields.items()},
    "op": [k8s_job_op.name, sorted(k8s_job_op.input_dict)],
}))
"""


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    python = os.environ.get("RUNPLANE_DAGSTER_PYTHON")
    if not python:
        if os.environ.get("CI"):
            pytest.fail("RUNPLANE_DAGSTER_PYTHON is not set, and CI skips nothing")
        pytest.skip("RUNPLANE_DAGSTER_PYTHON names no Python with a Dagster in it")
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "DAGSTER_HOME")}
    done = subprocess.run([python, "-c", PRINT], capture_output=True, text=True, check=True, env=env)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_function(theirs: dict[str, Any]) -> None:
    ours = [[p.name, p.default is not p.empty] for p in inspect.signature(execute_k8s_job).parameters.values()]

    assert ours == theirs["parameters"]


def test_the_op(theirs: dict[str, Any]) -> None:
    fields = k8s_job_op.config_schema.config_type.fields

    assert {name: field.is_required for name, field in fields.items()} == theirs["fields"]
    assert [k8s_job_op.name, sorted(k8s_job_op.input_dict)] == theirs["op"]
