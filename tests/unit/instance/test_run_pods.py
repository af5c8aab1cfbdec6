"""What is known of the pods of an instance's runs: each launcher makes them its own way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runplane.events.origin import JobOrigin, ModuleCodePointer, RepositoryOrigin
from runplane.events.run import Run
from runplane.instance.load import from_document
from runplane.instance.run_pods import RunPods

HOME = Path("/opt/dagster/dagster_home")
MOUNTED = {
    "volumes": [{"name": "outputs", "persistentVolumeClaim": {"claimName": "outputs"}}],
    "volume_mounts": [{"name": "outputs", "mountPath": str(HOME / "storage")}],
}
LAUNCHERS = {
    "K8sRunLauncher": {"module": "dagster_k8s", "class": "K8sRunLauncher"},
    "CeleryK8sRunLauncher": {"module": "dagster_celery_k8s", "class": "CeleryK8sRunLauncher"},
}


def shares(
    launcher: str,
    config: dict[str, Any] | None = None,
    *,
    location: dict[str, Any] | None = None,
    run_config: dict[str, Any] | None = None,
) -> bool | None:
    part = {**LAUNCHERS[launcher], "config": {"job_image": "user:1", **(config or {})}}
    instance = from_document({"run_launcher": part}, HOME, {}, where="dagster.yaml")
    repository = RepositoryOrigin("python", ModuleCodePointer("jobs", "job"), "user:1", (), location)
    run = Run("2b5a9f0e-63c5-4f6e-8f3e-7f4f2f1d9a11", "job", JobOrigin("job", repository), run_config or {})
    return RunPods(instance, {}).shares(run, HOME / "storage")


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_volume_of_the_launcher_is_shared(launcher: str) -> None:
    assert shares(launcher, MOUNTED) is True
    assert shares(launcher) is False


@pytest.mark.parametrize(("launcher", "is_shared"), [("K8sRunLauncher", True), ("CeleryK8sRunLauncher", False)])
def test_a_volume_of_the_code_location_is_there_where_the_launcher_mounts_it(launcher: str, is_shared: bool) -> None:
    assert shares(launcher, location={"k8s": MOUNTED}) is is_shared


@pytest.mark.parametrize(("launcher", "is_shared"), [("K8sRunLauncher", False), ("CeleryK8sRunLauncher", True)])
def test_a_volume_of_the_executor_is_there_where_the_launcher_mounts_it(launcher: str, is_shared: bool) -> None:
    assert shares(launcher, run_config={"execution": {"config": MOUNTED}}) is is_shared


def test_runs_that_are_no_pods_have_no_answer() -> None:
    instance = from_document({}, HOME, {}, where="dagster.yaml")

    assert RunPods(instance, {}).shares(Run("2b5a9f0e-63c5-4f6e-8f3e-7f4f2f1d9a11", "job"), HOME / "storage") is None
