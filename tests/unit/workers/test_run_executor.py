"""The executor of a run is made once, also where its steps' pods decide where outputs go; runs say from the start where that is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from runplane.engine.snapshot import DATABASE, FILES, OUTPUTS_TAG, PlanSnapshot, StepPlan
from runplane.errors import ConfigErrors
from runplane.executors.settings import DriverSettings, ExecutorContext
from runplane.instance.instance import Instance, RunRequest
from runplane.storage.compute_logs import NoOpComputeLogStore
from runplane.workers.run_executor import made_executor

MODULE = "executors_of_a_test"


class Plain:
    """An executor that keeps with what it was made."""

    settings = DriverSettings()
    made: list[Plain] = []

    def __init__(self, config: Mapping[str, Any], context: ExecutorContext) -> None:
        self.config, self.context = config, context
        self.made.append(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], context: ExecutorContext) -> Plain:
        return cls(config, context)


class InPods(Plain):
    """Its steps are pods."""

    def pods_share_storage(self) -> bool:
        return bool(self.config["shared"])


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ModuleType(MODULE)
    vars(found).update(Plain=Plain, InPods=InPods)
    monkeypatch.setitem(sys.modules, MODULE, found)
    Plain.made.clear()


@pytest.fixture
def instance() -> Iterator[Instance]:
    with Instance.ephemeral() as made:
        yield made


def context_of(
    instance: Instance, tmp_path: Path, executor: type[Plain], tags: Mapping[str, str] | None = None, **config: Any
) -> ExecutorContext:
    spec = {"name": "a", "module": MODULE, "class": executor.__name__, "config": config}
    plan = PlanSnapshot("job", (StepPlan("a", "a", "a"),), spec)
    run = instance.create(RunRequest("job", None, plan, tags=tags or {}))
    return ExecutorContext(run, plan, tmp_path, NoOpComputeLogStore(), lambda: None, instance, owns_process=True)


def test_an_executor_of_pods_is_made_once_and_asked_for_the_place(instance: Instance, tmp_path: Path) -> None:
    context = context_of(instance, tmp_path, InPods, shared=False)

    run, executor = made_executor(instance, context)

    assert Plain.made == [executor]
    assert run.tags[OUTPUTS_TAG] == instance.runs.get(run.run_id).tags[OUTPUTS_TAG] == DATABASE


@pytest.mark.parametrize("given", [DATABASE, FILES])
def test_a_place_that_was_chosen_stands(instance: Instance, tmp_path: Path, given: str) -> None:
    context = context_of(instance, tmp_path, InPods, {OUTPUTS_TAG: given}, shared=False)

    run, executor = made_executor(instance, context)

    assert Plain.made == [executor]
    assert run.tags[OUTPUTS_TAG] == given


def test_pods_that_share_a_folder_keep_files(instance: Instance, tmp_path: Path) -> None:
    context = context_of(instance, tmp_path, InPods, shared=True)

    run, _ = made_executor(instance, context)

    assert OUTPUTS_TAG not in run.tags


def test_an_executor_in_the_runs_own_pod_sees_the_place(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Instance, "runs_pod_shares", lambda self, run: False)
    context = context_of(instance, tmp_path, Plain)

    run, _ = made_executor(instance, context)

    assert [made.context.run for made in Plain.made] == [run]
    assert run.tags[OUTPUTS_TAG] == DATABASE


def test_a_process_that_is_no_worker_of_its_own_asks_no_pod(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Instance, "runs_pod_shares", lambda self, run: False)
    context = replace(context_of(instance, tmp_path, Plain), owns_process=False)

    run, _ = made_executor(instance, context)

    assert OUTPUTS_TAG not in run.tags


def test_a_place_that_there_is_not_is_refused(instance: Instance, tmp_path: Path) -> None:
    context = context_of(instance, tmp_path, InPods, {OUTPUTS_TAG: "nowhere"}, shared=False)

    with pytest.raises(ConfigErrors, match="nowhere"):
        made_executor(instance, context)
