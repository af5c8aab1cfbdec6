"""Classes of somebody else: how they are found, configured and built; launchers of Dagster's kind behind our contract."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runplane.errors import ConfigErrors, NotFoundError, RunplaneError, UnsupportedError
from runplane.events import Run
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.instance.class_types import to_schema
from runplane.instance.dagster_shaped import DagsterShapedLauncher, as_run_launcher
from runplane.instance.instance import Instance
from runplane.instance.load import from_yaml
from runplane.instance.pointers import build_part, find_class
from runplane.launchers.contract import (
    ChecksHealth,
    HealthState,
    LaunchRequest,
    Resumes,
    RunLauncher,
    TerminateResult,
    WorkerHandle,
)
from runplane.launchers.dagster_contract import CheckRunHealthResult, LaunchRunContext, ResumeRunContext, WorkerStatus
from runplane.launchers.dagster_contract import RunLauncher as DagstersRunLauncher

RUN = Run(
    "r1", "job", JobOrigin("job", RepositoryOrigin("/py", FileCodePointer("f.py", "defs"), entry_point=("dagster",)))
)
HANDLE = WorkerHandle("any")

MODULE = """
from runplane.config.schema import Field, Int, Shape, Text

class Typed:
    def __init__(self, inst_data, config):
        self.inst_data, self.config = inst_data, config
    @classmethod
    def config_type(cls):
        return {"name": str, "size": Field(Int(minimum=1), default=3), "secret": Field(Text(secret=True)), "hosts": [str], "more": {"deep": bool}}
    @classmethod
    def from_config_value(cls, inst_data, config_value):
        return cls(inst_data, config_value)

class Plain:
    pass

class Keywords:
    def __init__(self, size): self.size = size
    @staticmethod
    def config_type(): return Shape({"size": Int()})

class Strange:
    @classmethod
    def config_type(cls): return {"a": object()}
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    name = f"third_party_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def build(module: str, cls: str, config: str, env: Mapping[str, str] | None = None) -> Any:
    text = f"compute_logs: {{module: {module}, class: {cls}, config: {config}}}"
    return build_part(from_yaml(text, Path("/h"), {}).compute_logs, env or {})


def test_a_class_gets_its_config_checked_filled_and_resolved(plugin: str) -> None:
    config = "{name: {env: N}, hosts: [a, {env: N}], more: {deep: {env: B}}}"

    built = build(plugin, "Typed", config, {"N": "n", "B": "true"})

    assert built.config == {"name": "n", "size": 3, "hosts": ["a", "n"], "more": {"deep": True}}
    assert (built.inst_data.class_name, "env: N" in built.inst_data.config_yaml) == ("Typed", True)


def test_its_config_is_refused_with_paths(plugin: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        build(plugin, "Typed", "{nam: x, size: 0, secret: [canary], more: {}}")

    assert {p.path for p in caught.value.problems} == {
        f"compute_logs.config.{key}" for key in ("nam", "name", "size", "secret", "hosts", "more.deep")
    }
    assert "canary" not in str(caught.value)


def test_a_class_without_any_of_it_is_built_without_config(plugin: str) -> None:
    assert type(build(plugin, "Plain", "{}")).__name__ == "Plain"
    with pytest.raises(ConfigErrors, match=r"a: unknown key \(expected no keys\)"):
        build(plugin, "Plain", "{a: 1}")


def test_without_from_config_value_keys_become_arguments(plugin: str) -> None:
    assert build(plugin, "Keywords", "{size: 2}").size == 2
    with pytest.raises(RunplaneError, match=r"Keywords can not be built from its config: .*'size'"):
        build(plugin, "Keywords", "{}")


def test_a_config_type_of_another_kind_is_named(plugin: str) -> None:
    with pytest.raises(
        RunplaneError, match=r"Strange.config_type\(\).a: config_type\(\) answers .*got builtins.object"
    ):
        build(plugin, "Strange", "{}")


def test_what_is_built_of_a_class_that_is_not_of_its_place_is_refused(plugin: str, tmp_path: Path) -> None:
    with (
        Instance.from_yaml(f"compute_logs: {{module: {plugin}, class: Plain}}", tmp_path) as instance,
        pytest.raises(
            UnsupportedError, match=r"compute_logs: its class has no open\(\) and no read\(\).*ComputeLogStore"
        ),
    ):
        _ = instance.logs


def test_classes_that_are_not_there(plugin: str) -> None:
    with pytest.raises(NotFoundError, match="mean 'Typed'"):
        build(plugin, "Typd", "{}")
    with pytest.raises(NotFoundError, match=r"dagster.yaml: compute_logs: no module 'nowhere_at_all'"):
        build("nowhere_at_all", "Typed", "{}")


def test_one_of_dagsters_that_is_not_built_yet_is_refused_by_name() -> None:
    text = "scheduler: {module: dagster.core.scheduler, class: DagsterDaemonScheduler}"

    with pytest.raises(UnsupportedError, match=r"DagsterDaemonScheduler is known"):
        find_class(from_yaml(text, Path("/h"), {}).parts["scheduler"])


def test_the_forms_of_a_config_type() -> None:
    assert to_schema(None, where="w").expected() == "a mapping"
    with pytest.raises(RunplaneError):
        to_schema([str, int], where="w")


# ------------------------------------------------------------------------------- launchers of Dagster's kind


class Minimal(DagstersRunLauncher):
    def __init__(self) -> None:
        self.launched: list[LaunchRunContext] = []
        self.known = {"r1"}
        self.closed = False

    def launch_run(self, context: LaunchRunContext) -> None:
        self.launched.append(context)

    def terminate(self, run_id: str) -> bool:
        if run_id == "boom":
            raise OSError("no answer")
        return run_id in self.known

    def dispose(self) -> None:
        self.closed = True


class Able(Minimal):
    supports_resume_run = True  # type: ignore[assignment]
    supports_check_run_worker_health = True  # type: ignore[assignment]
    answer: Any = CheckRunHealthResult(WorkerStatus.RUNNING)

    def resume_run(self, context: ResumeRunContext) -> None:
        self.launched.append(context)

    def check_run_worker_health(self, run: Any) -> CheckRunHealthResult:
        assert run.run_id == "r1"
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


def wrap(launcher: Any) -> Any:
    return as_run_launcher(launcher, lambda run_id: RUN, where="dagster.yaml: run_launcher")


def test_a_launcher_of_dagsters_kind_launches() -> None:
    theirs = Minimal()
    launcher = wrap(theirs)

    handle = launcher.launch(LaunchRequest(RUN, "{document}", env={"A": "1"}))

    (context,) = theirs.launched
    assert isinstance(launcher, RunLauncher)
    assert handle.kind.endswith(":Minimal")
    assert (context.dagster_run.run_id, context.dagster_run.job_name, context.workspace) == ("r1", "job", None)
    assert context.job_code_origin is RUN.origin
    assert context.command == ["dagster", "api", "execute_run", "{document}"]


@pytest.mark.parametrize(
    ("run_id", "result"),
    [("r1", TerminateResult.DELIVERED), ("other", TerminateResult.NOT_FOUND), ("boom", TerminateResult.UNKNOWN)],
)
def test_terminate_has_three_answers(run_id: str, result: TerminateResult) -> None:
    assert wrap(Minimal()).terminate(run_id, HANDLE) is result


def test_abilities_follow_the_flags() -> None:
    minimal, able = wrap(Minimal()), wrap(Able())

    assert (isinstance(minimal, ChecksHealth), isinstance(minimal, Resumes)) == (False, False)
    assert (isinstance(able, ChecksHealth), isinstance(able, Resumes)) == (True, True)


def test_resume_counts_from_one() -> None:
    theirs = Able()

    wrap(theirs).resume(LaunchRequest(RUN, "d", resume_attempt=2))

    (context,) = theirs.launched
    assert isinstance(context, ResumeRunContext)
    assert (context.resume_attempt_number, context.command[2]) == (2, "resume_run")


@pytest.mark.parametrize(
    ("answer", "state", "evidence"),
    [
        (CheckRunHealthResult(WorkerStatus.RUNNING), HealthState.ALIVE, "says RUNNING"),
        (CheckRunHealthResult(WorkerStatus.FAILED, "K8s job failed"), HealthState.GONE, "says FAILED: K8s job failed"),
        (CheckRunHealthResult(WorkerStatus.NOT_FOUND), HealthState.GONE, "says NOT_FOUND"),
        (CheckRunHealthResult(WorkerStatus.SUCCESS), HealthState.GONE, "says SUCCESS"),
        (CheckRunHealthResult(WorkerStatus.UNKNOWN), HealthState.UNKNOWN, "says UNKNOWN"),
        (CheckRunHealthResult(WorkerStatus.FAILED, "503", transient=True), HealthState.UNKNOWN, "says FAILED: 503"),
        (ConnectionError("503"), HealthState.UNKNOWN, "could not say: ConnectionError: 503"),
    ],
)
def test_health_has_three_values(answer: Any, state: HealthState, evidence: str) -> None:
    theirs = Able()
    theirs.answer = answer

    health = wrap(theirs).check("r1", HANDLE)

    assert health.state is state
    assert health.evidence.endswith(evidence)


class SomeInstance:
    pass


def test_the_instance_is_registered_and_not_kept_alive() -> None:
    theirs, instance = Minimal(), SomeInstance()
    launcher = wrap(theirs)
    assert isinstance(launcher, DagsterShapedLauncher)

    launcher.bind(instance)
    seen = theirs._instance
    launcher.close()

    assert seen is instance
    assert theirs.closed
    del instance, seen
    gc.collect()
    with pytest.raises(RuntimeError, match="Minimal has no instance"):
        _ = theirs._instance


class OfOurs:
    def launch(self, request: LaunchRequest) -> WorkerHandle:
        return HANDLE

    def terminate(self, run_id: str, handle: WorkerHandle) -> TerminateResult:
        return TerminateResult.DELIVERED


def test_a_launcher_of_our_kind_is_left_alone() -> None:
    ours = OfOurs()

    assert wrap(ours) is ours


def test_something_else_is_no_launcher() -> None:
    with pytest.raises(RunplaneError, match=r"'SomeInstance' is not a run launcher .*no launch_run and no terminate"):
        wrap(SomeInstance())
