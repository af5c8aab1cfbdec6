"""The Jobs of runs and steps: what stands in them, who set it, and what is refused before anything is made.

That they are Dagster's is shown beside a real one (``tests/parity/test_kubernetes_beside_dagster.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from runplane.config.schema import HIDDEN, ListOf
from runplane.errors import ConfigErrors, Problems
from runplane.kube.job_facts import RenderedJob, RunFacts, StepFacts, Surroundings
from runplane.kube.job_manifest import run_job, step_job
from runplane.kube.names import label_value, run_job_name, step_job_name
from runplane.kube.settings import executor_settings, launcher_settings, resolved_launcher_config
from runplane.kube.shapes import LAUNCHER

RUN_ID = "3c58b39d-8a58-44ef-bca2-0e4ca8100b7a"
POD = "spec.template.spec"
MAIN = f"{POD}.containers[0]"


def launcher(config: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> Any:
    resolved = resolved_launcher_config(config or {}, env or {}, where="dagster.yaml")
    return launcher_settings(resolved, env or {})


def rendered_run(
    config: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    *,
    env: Mapping[str, str] | None = None,
    document: str = "{}",
    **of_run: Any,
) -> RenderedJob:
    facts = {"image": "img:1", "container_context": context, "tags": tags or {}, **of_run}
    around = Surroundings(env or {}, instance_id="9f", literal_secrets=of_run.pop("literals", ()))
    facts.pop("literals", None)
    return run_job(launcher(config, env), RunFacts(RUN_ID, "j", **facts), document, around)


def rendered_step(
    executor: Mapping[str, Any] | None = None,
    op_tags: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    **of_step: Any,
) -> RenderedJob:
    facts = StepFacts("work[3]", "work", "doc", op_tags or {}, **of_step)
    run = RunFacts(RUN_ID, "j", {"dagster-k8s/config": {"container_config": {"tty": True}}}, image="img:1")
    return step_job(launcher(config), executor_settings(executor or {}, {}), run, facts, Surroundings({}, "9f"))


def container(job: RenderedJob) -> Any:
    return job.manifest["spec"]["template"]["spec"]["containers"][0]


def problems(refused: pytest.ExceptionInfo[ConfigErrors]) -> dict[str, str]:
    return {problem.path: str(problem) for problem in refused.value.problems}


# ----------------------------------------------------------------------------------------- names and labels


def test_names_are_those_of_a_real_run() -> None:
    assert run_job_name(RUN_ID) == f"dagster-run-{RUN_ID}"
    assert run_job_name(RUN_ID, 2) == f"dagster-run-{RUN_ID}-2"
    assert step_job_name(RUN_ID, "a") == "dagster-step-d116bd8b42ffee2443bb7b040add9580"
    assert (
        step_job_name("aaa0b6f8-b717-4aef-a4aa-4e1c590b960f", "generate_numbers", 1)
        == "dagster-step-39f7311e57588764d7ae6f72de8c3f3c-1"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a/b c", "a-b-c"),
        ("-a_b.c-", "a_b.c"),
        ("work[3]", "work-3"),
        ("x" * 80, "x" * 63),
        ("워크플로우", ""),
        ("._-x-_.", "x"),
    ],
)
def test_a_labels_value_is_always_one_that_kubernetes_takes(text: str, value: str) -> None:
    assert label_value(text) == value


def test_a_job_can_be_found_by_what_it_is_for() -> None:
    job = rendered_step(attempt=3)

    for described in (job.manifest["metadata"], job.manifest["spec"]["template"]["metadata"]):
        assert described["labels"]["runplane/instance-id"] == "9f"
        assert described["labels"]["runplane/attempt"] == "3"
        assert described["labels"]["dagster/run-id"] == RUN_ID
        assert described["labels"]["dagster/op"] == "work-3"
        assert described["annotations"]["runplane/step-key"] == "work[3]"
    assert job.name.endswith("-2")


# ------------------------------------------------------------------------------------------------ precedence


def test_each_layer_of_a_run_wins_over_those_below_it() -> None:
    limits = {"cpu": "1", "memory": "1", "a/b": "1", "c/d": "1"}
    job = rendered_run(
        {
            "resources": {"limits": limits},
            "run_k8s_config": {"container_config": {"resources": {"limits": {"cpu": "2"}}}},
        },
        {"k8s": {"resources": {"limits": {"memory": "3"}}}},
        {"dagster-k8s/config": {"container_config": {"resources": {"limits": {"a/b": "4"}}}}},
    )

    assert container(job)["resources"]["limits"] == {"cpu": "2", "memory": "3", "a/b": "4", "c/d": "1"}
    at = f"{MAIN}.resources.limits"
    assert job.sources[f"{at}.cpu"] == "instance"
    assert job.sources[f"{at}.memory"] == "location"
    assert job.sources[f"{at}.a/b"] == "run tag"
    assert job.sources[f"{POD}.restartPolicy"] == "default"
    assert job.sources[f"{MAIN}.image"] == "location"


def test_each_layer_of_a_step_wins_over_those_below_it_and_tags_of_the_run_are_none() -> None:
    def limits(value: str) -> Any:
        return {"container_config": {"resources": {"limits": {"cpu": value}}}}

    executor = {"resources": {"limits": {"cpu": "2"}}}
    raw = {**executor, "step_k8s_config": limits("3")}
    per_step = {**raw, "per_step_k8s_config": {"work": limits("5")}}
    found = []
    for executor_config, tags in ((executor, {}), (raw, {}), (raw, limits("4")), (per_step, limits("4"))):
        job = rendered_step(executor_config, {"dagster-k8s/config": tags}, {"resources": {"limits": {"cpu": "1"}}})
        found.append((container(job)["resources"]["limits"]["cpu"], job.sources[f"{MAIN}.resources.limits.cpu"]))

    assert found == [("2", "executor"), ("3", "executor"), ("4", "op tag"), ("5", "executor")]
    assert "tty" not in container(rendered_step())


def test_a_locations_shallow_acts_on_steps_and_a_run_tag_ends_it_for_runs() -> None:
    context = {
        "k8s": {
            "run_k8s_config": {"container_config": {"env": [{"name": "B", "value": "2"}]}, "merge_behavior": "SHALLOW"}
        }
    }
    config = {"env_vars": ["A=1"]}
    run = RunFacts(RUN_ID, "j", image="i", container_context=context)
    step = StepFacts("a", "a", "doc")

    of_run = run_job(launcher(config), run, "{}", Surroundings({}))
    of_step = step_job(launcher(config), executor_settings({}, {}), run, step, Surroundings({}))

    assert [e["name"] for e in container(of_run)["env"]][-2:] == ["A", "B"]
    assert [e["name"] for e in container(of_step)["env"]][-2:] == ["DAGSTER_HOME", "B"]


def test_the_last_layer_that_names_a_namespace_chooses_it() -> None:
    assert rendered_run({"job_namespace": "low"}).namespace == "low"
    assert rendered_run({"job_namespace": "low"}, {"k8s": {"namespace": "high"}}).namespace == "high"
    assert rendered_step({"job_namespace": "steps"}).manifest["metadata"]["namespace"] == "steps"


def test_the_descriptions_second_text_builds_alone() -> None:
    job = rendered_run({"run_k8s_config": {"pod_spec_config": {"nodeSelector": {"node-group.dp.ssup2": "worker"}}}})

    spec = job.manifest["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"node-group.dp.ssup2": "worker"}
    assert "serviceAccountName" not in spec


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (None, ["runplane"]),
        (["dagster"], ["runplane"]),
        (["/py", "-m", "dagster"], ["/py", "-m", "runplane"]),
        (["own", "start"], ["own", "start"]),
    ],
)
def test_a_pod_starts_a_command_that_its_image_has(entry: Any, words: list[str]) -> None:
    assert container(rendered_run(entry_point=entry))["args"] == [*words, "api", "execute_run", "{}"]


def test_the_run_workers_job_owns_a_steps_job_in_place_of_what_the_user_gave() -> None:
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "dagster-run-x", "uid": "u"}
    tags = {"dagster-k8s/config": {"job_metadata": {"ownerReferences": [{"kind": "Pod", "name": "p", "uid": "v"}]}}}

    assert rendered_step({}, tags, owner=owner).manifest["metadata"]["ownerReferences"] == [owner]
    assert rendered_step({}, tags).manifest["metadata"]["ownerReferences"][0]["name"] == "p"


def test_a_mounted_instance_is_one_file_of_the_config_map() -> None:
    job = rendered_run({"runplane": {"instance": "mount"}, "instance_config_map": "cm", "dagster_home": "/home"})

    assert container(job)["volumeMounts"] == [
        {"name": "runplane-instance", "mountPath": "/home/dagster.yaml", "subPath": "dagster.yaml", "readOnly": True}
    ]
    assert job.manifest["spec"]["template"]["spec"]["volumes"] == [
        {"name": "runplane-instance", "configMap": {"name": "cm"}}
    ]


def test_steps_may_have_an_account_and_a_database_secret_of_their_own() -> None:
    own = {"step_service_account": "steps", "step_postgres_secret": "weak"}
    job = rendered_step(
        {"runplane": own}, config={"service_account_name": "runs", "postgres_password_secret": "strong"}
    )

    spec = job.manifest["spec"]["template"]["spec"]
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("steps", False)
    assert container(job)["env"][4]["valueFrom"]["secretKeyRef"]["name"] == "weak"


# ---------------------------------------------------------------------------------- allow-lists and secrets

ONLY_RESOURCES = {
    "only_allow_user_defined_k8s_config_fields": {
        "container_config": {"resources": True, "env": True, "image_pull_policy": False},
        "pod_spec_config": {"nodeSelector": True},
    }
}


def test_allowed_fields_may_be_written_either_way() -> None:
    rendered_run(ONLY_RESOURCES, {"k8s": {"run_k8s_config": {"pod_spec_config": {"node_selector": {"a": "b"}}}}})


def test_what_is_not_allowed_is_refused_for_runs_all_at_once() -> None:
    with pytest.raises(ConfigErrors) as refused:
        rendered_run(ONLY_RESOURCES, {"k8s": {"namespace": "n", "image_pull_policy": "Always", "labels": {"a": "b"}}})

    assert set(problems(refused)) == {
        "container_config.image_pull_policy",
        "pod_template_spec_metadata.labels",
        "job_metadata.labels",
        "namespace",
    }


@pytest.mark.parametrize(
    ("executor", "op_tags"),
    [
        ({"service_account_name": "root"}, {}),
        ({"per_step_k8s_config": {"work": {"container_config": {"tty": True}}}}, {}),
        ({}, {"dagster-k8s/config": {"container_config": {"tty": True}}}),
        ({"job_namespace": "elsewhere"}, {}),
    ],
)
def test_a_step_may_set_no_more_than_a_run(executor: Any, op_tags: Any) -> None:
    with pytest.raises(ConfigErrors) as refused:
        rendered_step(executor, op_tags, ONLY_RESOURCES)

    assert "not an allowed field" in str(refused.value)


def test_variables_that_are_not_allowed_are_left_out_with_a_warning() -> None:
    config = {"only_allow_user_defined_env_vars": ["A"], "env_vars": ["MINE=1"]}

    job = rendered_run(config, {"env_vars": ["A=1", "B=2"]})

    names = [entry["name"] for entry in container(job)["env"]]
    assert names[-2:] == ["MINE", "A"]
    assert "location are left out: B" in job.warnings[0]


def test_a_variable_that_looks_secret_is_a_warning_or_refused_and_its_value_is_not_shown() -> None:
    env = {"DB_PASSWORD": "s3cret"}

    job = rendered_run({}, {"env_vars": ["DB_PASSWORD"]}, env=env)
    with pytest.raises(ConfigErrors) as refused:
        rendered_run({"runplane": {"secrets": "refuse"}}, {"env_vars": ["DB_PASSWORD"]}, env=env)

    assert "DB_PASSWORD" in job.warnings[0]
    assert "s3cret" not in job.warnings[0] + str(refused.value)


def test_a_literal_in_the_instance_is_told_only_where_it_travels() -> None:
    place = "storage.postgres.postgres_db.password"
    embedded = rendered_run(literals=[place])
    mounted = rendered_run({"runplane": {"instance": "mount"}, "instance_config_map": "cm"}, literals=[place])

    assert place in embedded.warnings[0]
    assert mounted.warnings == ()


def test_a_variable_is_no_secret_but_by_its_name_and_is_never_shown() -> None:
    shape, found = LAUNCHER.fields["env_vars"], Problems("env_vars")
    assert isinstance(shape, ListOf)

    shape.literals(["LEVEL=1", "DB_PASSWORD=s3cret"], found)

    assert found.found == []
    assert shape.fill(["LEVEL=1"], hide=True) == [HIDDEN]
    job = rendered_run({"env_vars": ["LEVEL=1", "DB_PASSWORD=s3cret"]})
    (warning,) = job.warnings
    assert "DB_PASSWORD" in warning
    assert "s3cret" not in warning


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("tags", "path"),
    [
        ({"container_confg": {}}, "dagster-k8s/config.container_confg"),
        ({"container_config": {"imag": "x"}}, "dagster-k8s/config.container_config.imag"),
        ({"pod_spec_config": {"hostNetwork": "false"}}, "dagster-k8s/config.pod_spec_config.hostNetwork"),
        ({"container_config": {"args": []}}, "dagster-k8s/config.container_config.args"),
        ({"job_config": {"spec": {}}}, "dagster-k8s/config.job_config.spec"),
        ({"job_spec_config": {"template": {}}}, "dagster-k8s/config.job_spec_config.template"),
        ({"merge_behavior": "DEAP"}, "dagster-k8s/config.merge_behavior"),
        ({"job_metadata": {"labels": {"a": "b c"}}}, "job_metadata.labels.a"),
        ({"job_metadata": {"labels": {"a" * 64: "b"}}}, f"job_metadata.labels.{'a' * 64}"),
        ({"job_metadata": {"namespace": "other"}}, "job_metadata.namespace"),
        ({"pod_spec_config": {"volumes": [{"name": "v"}, {"name": "v", "emptyDir": {}}]}}, "volumes"),
    ],
)
def test_what_kubernetes_would_refuse_is_refused_with_its_path(tags: Any, path: str) -> None:
    with pytest.raises(ConfigErrors) as refused:
        rendered_run(tags={"dagster-k8s/config": json.dumps(tags)})

    assert list(problems(refused)) == [path]


def test_two_volumes_of_one_name_are_told_with_who_gave_them() -> None:
    with pytest.raises(ConfigErrors) as refused:
        rendered_run(
            {"volumes": [{"name": "v", "configMap": {"name": "a"}}]},
            {"k8s": {"volumes": [{"name": "v", "emptyDir": {}}]}},
        )

    assert "instance, location" in str(refused.value)


def test_no_image_names_every_place_where_one_may_stand() -> None:
    with pytest.raises(ConfigErrors) as refused:
        rendered_run(image=None)

    for place in ("DAGSTER_CURRENT_IMAGE", "job_image", "container_config.image"):
        assert place in str(refused.value)


def test_an_image_by_tag_is_enough_for_a_step() -> None:
    tags = {"dagster-k8s/config": {"container_config": {"image": "own:1"}}}
    run = RunFacts(RUN_ID, "j")

    job = step_job(launcher(), executor_settings({}, {}), run, StepFacts("a", "a", "d", tags), Surroundings({}))

    assert job.image == "own:1"


def test_a_variable_that_is_not_set_is_told_by_its_name() -> None:
    with pytest.raises(ConfigErrors) as refused:
        rendered_run({}, {"k8s": {"env_vars": ["NOT_SET"]}})

    assert problems(refused).keys() == {"k8s.env_vars[0]"}
    assert "NOT_SET" in str(refused.value)


def test_a_document_that_is_too_long_for_an_argument_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigErrors) as refused:
        rendered_run(document="x" * 131072)

    assert "instance: mount" in problems(refused)["args[3]"]


def test_mounting_needs_a_config_map() -> None:
    with pytest.raises(ConfigErrors) as refused:
        rendered_run({"runplane": {"instance": "mount"}})

    assert list(problems(refused)) == ["run_launcher.config.instance_config_map"]


@pytest.mark.parametrize(
    ("executor", "path"),
    [
        ({"step_k8s_confg": {}}, "execution.config.step_k8s_confg"),
        (
            {"per_step_k8s_config": {"a": {"container_config": {"x": 1}}}},
            "execution.config.per_step_k8s_config.a.container_config.x",
        ),
        ({"runplane": {"instance": "mount"}}, "execution.config.runplane.instance"),
        ({"container_config": {}}, "execution.config.container_config"),
    ],
)
def test_an_executors_mistakes_are_told_with_their_path(executor: Any, path: str) -> None:
    with pytest.raises(ConfigErrors) as refused:
        executor_settings(executor, {})

    assert list(problems(refused)) == [path]
