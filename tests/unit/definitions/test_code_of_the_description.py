"""Code 1, 2 and 3 of "Dagster Architecture on Kubernetes" as printed: an import line is put in front, one that collects them behind.

Code 1 leaves a job's body out: its ``...`` stands at the margin, where Python takes no body, and is moved in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runplane import AssetKey, Definitions, Instance, job
from runplane.definitions.code_loading import load_target
from runplane.events.origin import FileCodePointer
from runplane.plan.compile import compile_plan

PRINTED = Path(__file__).resolve().parents[2] / "fixtures" / "description"
IMPORTS = "from runplane import AssetSelection, Definitions, asset, define_asset_job, job, op\n\n"
COLLECTED = "\ndefs = Definitions([generated_numbers], jobs=[process_numbers, process_numbers_asset, sample_job])\n"
RESOURCES = {
    "container_config": {
        "resources": {
            "requests": {"cpu": "2000m", "memory": "4096Mi"},
            "limits": {"cpu": "2000m", "memory": "4096Mi"},
        }
    }
}


def code(number: int) -> str:
    return (PRINTED / f"code{number}.txt").read_text().replace("\n...\n", "\n    ...\n")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "described.py"
    found.write_text(IMPORTS + "\n\n".join(map(code, (1, 2, 3))) + COLLECTED)
    return found


@pytest.fixture
def defs(file: Path) -> Definitions:
    found = load_target(FileCodePointer(str(file), "defs", str(file.parent)))
    assert isinstance(found, Definitions)
    return found


def resources_in(tags: Mapping[str, str]) -> Any:
    return json.loads(tags["dagster-k8s/config"])


def test_code_1_a_job_and_a_job_of_a_group_say_what_their_runs_need(defs: Definitions) -> None:
    with Instance.ephemeral() as instance:
        plain = defs.get_job_def("process_numbers").execute_in_process(instance=instance)
        of_assets = defs.get_job_def("process_numbers_asset").execute_in_process(instance=instance)

    assert plain.success
    assert resources_in(plain.dagster_run.tags) == RESOURCES
    assert of_assets.asset_value(AssetKey(["examples", "generated_numbers"])) == list(range(1, 11))
    assert of_assets.dagster_run.tags["domain"] == "numbers"
    assert resources_in(of_assets.dagster_run.tags) == RESOURCES


def test_code_2_an_op_and_an_asset_say_what_their_steps_need(defs: Definitions, file: Path) -> None:
    op = load_target(FileCodePointer(str(file), "generate_numbers", str(file.parent)))

    @job
    def generates() -> None:
        op()

    (op_step,) = compile_plan(generates, {}).steps
    (asset_step,) = compile_plan(defs.get_job_def("process_numbers_asset"), {}).steps
    spec = defs.get_assets_def("examples/generated_numbers").specs_by_key[AssetKey(["examples", "generated_numbers"])]

    assert op() == list(range(1, 11))
    assert (op.description, op_step.tags["domain"]) == ("Generate a list of numbers from 1 to 10", "numbers")
    assert resources_in(op_step.tags) == RESOURCES
    assert asset_step.asset_keys == ("examples/generated_numbers",)
    assert resources_in(asset_step.tags) == RESOURCES
    assert (spec.group_name, spec.kinds) == ("numbers", {"python"})
    assert spec.description == "Generated a list of numbers from 1 to 10"


def test_code_3_a_job_says_how_often_its_runs_are_tried_again(defs: Definitions) -> None:
    with Instance.ephemeral() as instance:
        result = defs.get_job_def("sample_job").execute_in_process(instance=instance)

    assert result.success
    assert result.dagster_run.tags["dagster/max_retries"] == "3"
