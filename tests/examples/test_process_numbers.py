"""examples/process_numbers: the job of the description runs and gives its sum."""

from pathlib import Path

from runplane.definitions.code_loading import load_job
from runplane.events.origin import FileCodePointer
from runplane.plan.compile import compile_plan

FILE = Path(__file__).resolve().parents[2] / "examples" / "process_numbers" / "definitions.py"
RESOURCES = (
    '{"container_config": {"resources": {"limits": {"cpu": "2000m", "memory": "4096Mi"}, '
    '"requests": {"cpu": "2000m", "memory": "4096Mi"}}}}'
)


def _job():
    return load_job(FileCodePointer(str(FILE), "defs"), "process_numbers")


def test_it_runs():
    result = _job().execute_in_process()
    assert result.success
    assert result.output_for_node("filter_odd_numbers") == [1, 3, 5, 7, 9]
    assert result.output_for_node("sum_two_sums") == 55


def test_job_and_ops_carry_the_tags_of_the_description():
    plan = compile_plan(_job())
    assert plan.tags["dagster-k8s/config"] == RESOURCES
    assert {step.tags["dagster-k8s/config"] for step in plan.steps} == {RESOURCES}
    assert {step.tags["domain"] for step in plan.steps} == {"numbers"}
