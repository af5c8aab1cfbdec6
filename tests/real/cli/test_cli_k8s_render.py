"""``k8s render``: the Job of a file's run and step, of a case, and how a wrong case is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from runplane.cli.main import root

FLOW = """
from runplane import job, k8s_job_executor, op

LIMITS = {"container_config": {"resources": {"limits": {"cpu": "250m"}}}}


@op(tags={"dagster-k8s/config": LIMITS})
def load():
    pass


@job(tags={"dagster-k8s/config": {"pod_spec_config": {"priorityClassName": "low"}}},
     executor_def=k8s_job_executor.configured({"job_namespace": "steps"}))
def nightly():
    load()


@job
def plain():
    load()
"""
INSTANCE = "run_launcher: {module: dagster_k8s, class: K8sRunLauncher, config: {job_namespace: team}}\n"
CASE: dict[str, Any] = {
    "kind": "k8s_run",
    "job_name": "nightly",
    "run_id": "3c58b39d-8a58-44ef-bca2-0e4ca8100b7a",
    "container_image": "img:1",
}


def call(*words: str, given: str = "") -> Result:
    return CliRunner().invoke(root, ["k8s", "render", *words], input=given)


def rendered(case: dict[str, Any], *words: str) -> Result:
    return call("--case", "-", *words, given=json.dumps(case))


def error(case: dict[str, Any]) -> dict[str, Any]:
    result = rendered(case)
    assert result.exit_code == 2
    document: dict[str, Any] = json.loads(result.stdout)
    assert list(document) == ["error"]
    assert set(document["error"]) == {"path", "message", "got", "expected", "suggestion"}
    return dict(document["error"])


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "flow.py").write_text(FLOW)
    (tmp_path / "dagster.yaml").write_text(INSTANCE)
    (tmp_path / "context.yaml").write_text("k8s: {labels: {team: a}}\n")
    options = {"-f": "flow.py", "--instance": "dagster.yaml", "--location": "context.yaml"}
    return [word for key, name in options.items() for word in (key, str(tmp_path / name))] + ["--image", "img:1"]


def test_the_job_of_a_run_of_a_file(files: list[str]) -> None:
    tags = json.dumps({"dagster-k8s/config": {"pod_spec_config": {"priorityClassName": "high"}}})

    for words, priority in (([], "low"), (["--tags", tags], "high")):
        result = call("run", *files, "-j", "nightly", *words)
        assert result.exit_code == 0, result.output
        job = yaml.safe_load(result.stdout)
        assert job["spec"]["template"]["spec"]["priorityClassName"] == priority
        assert job["metadata"]["namespace"] == "team"
        assert job["metadata"]["labels"]["team"] == "a"


def test_the_job_of_a_step_of_a_file(files: list[str]) -> None:
    result = call("step", *files, "-j", "nightly", "--step", "load", "-o", "json")

    assert result.exit_code == 0, result.output
    job = json.loads(result.stdout)
    assert job["metadata"]["namespace"] == "steps"
    assert job["spec"]["template"]["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "250m"}}
    assert "priorityClassName" not in job["spec"]["template"]["spec"]


def test_who_set_what(files: list[str]) -> None:
    result = call("step", *files, "-j", "nightly", "--step", "load", "--explain")

    lines = result.stdout.splitlines()
    assert 'spec.template.spec.containers[0].resources.limits.cpu: "250m"  # op tag' in lines
    assert 'metadata.namespace: "steps"  # executor' in lines
    assert 'metadata.labels.team: "a"  # location' in lines
    assert 'spec.template.spec.restartPolicy: "Never"  # default' in lines


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["step", "-j", "nightly", "--step", "lode"], "Did you mean 'load'"),
        (["step", "-j", "plain", "--step", "load"], "k8s_job_executor"),
        (["run", "-j", "nightly", "--tags", '{"dagster-k8s/config": {"pod_spec": {}}}'], "pod_spec_config"),
    ],
)
def test_what_is_wrong_is_said_on_stderr(files: list[str], words: list[str], named: str) -> None:
    result = call(words[0], *files, *words[1:])

    assert result.exit_code == 2
    assert named in result.stderr
    assert result.stdout == ""


def test_a_case_of_the_least_keys() -> None:
    job = yaml.safe_load(rendered(CASE).stdout)

    assert job["metadata"]["name"] == f"dagster-run-{CASE['run_id']}"
    assert job["metadata"]["namespace"] == "default"


def test_a_case_of_all_keys() -> None:
    case = {
        **CASE,
        "kind": "k8s_step",
        "instance_yaml": INSTANCE,
        "process_env": {"A": "1"},
        "location_name": "loc",
        "container_context": {"env_vars": ["A"]},
        "job_tags": {"domain": "numbers"},
        "run_tags": {},
        "op_name": "load",
        "op_tags": {"dagster-k8s/config": json.dumps({"container_config": {"tty": True}})},
        "executor": {"name": "k8s", "config": {"job_image": "exec:1"}},
        "step_key": "sub.load",
        "attempt": 2,
        "resume_attempt": 0,
    }

    job = json.loads(rendered(case, "-o", "json").stdout)

    container = job["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["tty"], container["env"][-1]["value"]) == ("exec:1", True, "1")
    assert job["metadata"]["name"].endswith("-2")


@pytest.mark.parametrize("value", [None, {}])
def test_what_is_null_or_empty_in_a_case_says_nothing(value: Any) -> None:
    mappings = ("process_env", "container_context", "job_tags", "op_tags", "run_tags", "executor")
    scalars = ("location_name", "op_name", "step_key", "attempt", "resume_attempt", "instance_yaml")

    given = {**CASE, **dict.fromkeys(mappings, value), **dict.fromkeys(scalars)}
    job, plain = (yaml.safe_load(rendered(case).stdout) for case in (given, CASE))

    for one in (job, plain):
        one["spec"]["template"]["spec"]["containers"][0]["args"].pop()  # the document says {} or null, as it was given
    assert job == plain


def test_a_resumed_run_has_its_number_in_its_name() -> None:
    job = yaml.safe_load(rendered({**CASE, "kind": "k8s_run_resume", "resume_attempt": 2}).stdout)

    assert job["metadata"]["name"].endswith("-2")
    assert job["spec"]["template"]["spec"]["containers"][0]["args"][2] == "resume_run"


def test_warnings_do_not_stand_in_the_job() -> None:
    result = rendered({**CASE, "container_context": {"env_vars": ["DB_PASSWORD=x"]}})

    assert "DB_PASSWORD" in result.stderr
    assert yaml.safe_load(result.stdout)["kind"] == "Job"


def test_who_set_a_tag_of_the_job_and_of_the_run() -> None:
    tags = {"dagster-k8s/config": {"container_config": {"tty": True}}}
    for key, who in (("job_tags", "job tag"), ("run_tags", "run tag")):
        rows = json.loads(rendered({**CASE, key: tags}, "--explain", "-o", "json").stdout)
        assert {"path": "spec.template.spec.containers[0].tty", "value": True, "who": who} in rows


@pytest.mark.parametrize(
    ("change", "path", "suggestion"),
    [
        ({"kind": "k8s_rn"}, "kind", "k8s_run"),
        ({"imag": "x"}, "imag", None),
        ({"run_tag": {}}, "run_tag", "run_tags"),
        ({"run_id": None}, "run_id", None),
        ({"kind": "k8s_step"}, "step_key", None),
        ({"resume_attempt": 1}, "resume_attempt", None),
        ({"kind": "k8s_step", "step_key": "a", "executor": {"name": "multiprocess"}}, "executor.name", None),
        (
            {"instance_yaml": "run_launcher: {module: dagster_k8s, class: K8sRunLauncher, config: {job_namspace: a}}"},
            "run_launcher.config.job_namspace",
            "job_namespace",
        ),
        (
            {
                "instance_yaml": "run_launcher: {module: dagster_k8s, class: K8sRunLauncher, config: "
                "{run_k8s_config: {pod_spec_config: {node_selecter: {}}}}}"
            },
            "run_launcher.config.run_k8s_config.pod_spec_config.node_selecter",
            "node_selector",
        ),
        ({"container_context": {"k8s": {"namespase": "a"}}}, "container_context.k8s.namespase", "namespace"),
        (
            {"run_tags": {"dagster-k8s/config": {"container_config": {"imag": "x"}}}},
            "run_tags.dagster-k8s/config.container_config.imag",
            "image",
        ),
        ({"container_image": None}, "image", None),
    ],
)
def test_a_wrong_case_is_one_json_object_and_exit_code_2(change: Any, path: str, suggestion: str | None) -> None:
    found = error({**CASE, **change})

    assert found["path"] == path
    assert found["suggestion"] == suggestion
    assert found["message"]


def test_a_case_that_is_no_json_is_told_alike() -> None:
    result = call("--case", "-", given="{")

    assert result.exit_code == 2
    assert "not JSON" in json.loads(result.stdout)["error"]["message"]
