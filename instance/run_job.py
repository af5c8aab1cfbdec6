"""The Job of a run's worker, as the instance's launcher makes it: without the launcher, and without the client of Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config.schema import resolve
from ..kube.celery_jobs import celery_run_job, run_executor_settings
from ..kube.job_facts import RenderedJob, RunFacts, Surroundings
from ..kube.job_manifest import run_job
from ..kube.settings import LauncherSettings, launcher_settings, resolved_launcher_config
from .config import InstanceConfig
from .known_classes import LAUNCHER_WITH_QUEUES, MAKES_JOBS


def job_settings(config: InstanceConfig, env: Mapping[str, str]) -> LauncherSettings:
    """What the launcher says of Jobs; all defaults for a launcher that makes none. Raises ConfigErrors."""
    part = config.run_launcher
    if part.class_name not in MAKES_JOBS or part.known is None:
        return launcher_settings(resolved_launcher_config({}, env, where=config.where), env, where=config.where)
    resolved = resolve(part.known.schema, part.config, env, where=config.where, path=part.path)
    return launcher_settings(resolved, env, where=config.where)


def job_of_run(
    config: InstanceConfig,
    settings: LauncherSettings,
    run: RunFacts,
    run_config: Mapping[str, Any],
    document: str,
    around: Surroundings,
    *,
    resume_attempt: int = 0,
    resumes: bool = False,
) -> RenderedJob:
    """The Job that the launcher of `config` makes.

    Args:
        config: of the instance; its launcher is one of ``MAKES_JOBS``.
        settings: what that launcher says of Jobs.
        run, document, around, resume_attempt, resumes: as of ``kube.job_manifest.run_job``.
        run_config: of the run. A CeleryK8sRunLauncher reads there what the executor says.

    Raises:
        ConfigErrors: it can not be made.
    """
    if config.run_launcher.class_name != LAUNCHER_WITH_QUEUES:
        return run_job(settings, run, document, around, resume_attempt=resume_attempt, resumes=resumes)
    own = run_executor_settings(run_config, around.env)
    return celery_run_job(settings, own, run, document, around, resume_attempt=resume_attempt, resumes=resumes)
