"""A Job from one file that says all that it depends on: what `k8s render --case` reads, and what the other verbs of `render` make."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config.schema import Anything, Field, FreeMap, Int, MapOf, OneOrMany, Shape, Text, validate
from ..errors import ConfigErrors, Problem, RunplaneError
from ..events.origin import JobOrigin, ModuleCodePointer, RepositoryOrigin
from ..events.requests import ExecuteRunArgs, ExecuteStepArgs, IssuedAttempt, ResumeRunArgs, RetryMode
from ..events.wire import to_compressed, to_text
from ..instance.check import literal_secrets
from ..instance.config import InstanceConfig
from ..instance.known_classes import LAUNCHER, LAUNCHER_WITH_QUEUES, MAKES_JOBS
from ..instance.load import from_document
from ..instance.ref import to_ref
from ..instance.run_job import job_of_run, job_settings
from ..instance.yaml_text import parse_yaml
from ..kube.celery_jobs import celery_step_job
from ..kube.container_context import CONFIG_TAG
from ..kube.job_facts import RenderedJob, RunFacts, StepFacts, Surroundings
from ..kube.job_manifest import step_job
from ..kube.settings import executor_settings
from ..kube.shapes import CELERY_EXECUTOR, EXECUTOR
from ..kube.user_config import Who

EXECUTORS = ("k8s", "k8s_job_executor")
CELERY_EXECUTORS = ("celery-k8s", "celery_k8s_job_executor")
_KINDS = ("k8s_run", "k8s_run_resume", "k8s_step", "celery_run", "celery_step")
_STEPS = ("k8s_step", "celery_step")
_NAME = Text(empty=False)
_MAPPING_OR_TEXT = OneOrMany(Text(), FreeMap())
_TAGS = MapOf(Anything())
_COUNT = Int(minimum=0)
_CASE = Shape(
    {
        "kind": Field(Text(choices=_KINDS), required=True),
        "instance_yaml": _MAPPING_OR_TEXT,
        "process_env": MapOf(Text()),
        "location_name": Text(),
        "container_image": Text(),
        "container_context": _MAPPING_OR_TEXT,
        "job_name": Field(_NAME, required=True),
        "job_tags": _TAGS,
        "op_name": Text(),
        "op_tags": _TAGS,
        "run_id": Field(_NAME, required=True),
        "run_tags": _TAGS,
        "executor": Shape({"name": Text(nullable=True), "config": FreeMap(nullable=True)}),
        "step_key": Text(),
        "attempt": _COUNT,
        "resume_attempt": _COUNT,
    }
)
_MINIMAL = {"run_launcher": {"module": "dagster_k8s", "class": LAUNCHER}}
_MINIMAL_CELERY = {"run_launcher": {"module": "dagster_celery_k8s", "class": LAUNCHER_WITH_QUEUES}}
_WHERE = "case"
_HOME = Path("/opt/dagster/dagster_home")


def render_case(case: Any) -> RenderedJob:
    """The Job of a case.

    Raises:
        ConfigErrors: the case, or what it holds, is wrong; all problems that can be told at once.
    """
    if isinstance(case, Mapping):
        case = {key: value for key, value in case.items() if value is not None}  # null: left out
    validate(_CASE, case, where=_WHERE)
    env = case.get("process_env") or {}
    with_queues = case["kind"].startswith("celery")
    config = _instance(case.get("instance_yaml"), env, _MINIMAL_CELERY if with_queues else _MINIMAL)
    job_tags, run_tags = case.get("job_tags") or {}, case.get("run_tags") or {}
    run = RunFacts(
        case["run_id"],
        case["job_name"],
        {**job_tags, **run_tags},
        Who.RUN_TAG if CONFIG_TAG in run_tags else Who.JOB_TAG,
        case.get("container_image"),
        _mapping(case.get("container_context"), "container_context"),
        None,
        case.get("location_name"),
    )
    code = ModuleCodePointer(run.location_name or run.job_name, run.job_name)
    origin = JobOrigin(run.job_name, RepositoryOrigin("python", code, run.image, ("runplane",), run.container_context))
    executor = case.get("executor") or {}
    known = CELERY_EXECUTORS if with_queues else EXECUTORS
    if executor.get("name") and executor["name"] not in known:
        raise _wrong("executor.name", "makes no Jobs", got=repr(executor["name"]), expected=" or ".join(known))
    if case["kind"] not in _STEPS:
        return _render_run_case(case, config, env, run, origin, executor.get("config") or {})
    step_key = case.get("step_key")
    if not step_key:
        raise _wrong("step_key", "missing", expected="text")
    step = StepFacts(
        step_key,
        case.get("op_name") or step_key,
        document="",
        op_tags=case.get("op_tags") or {},
        attempt=(case.get("attempt") or 0) + 1,
    )
    return render_step(
        config, env, run, origin, step, executor.get("config") or {}, path="executor.config", with_queues=with_queues
    )


def _render_run_case(
    case: Mapping[str, Any],
    config: InstanceConfig,
    env: Mapping[str, str],
    run: RunFacts,
    origin: JobOrigin,
    executor: Mapping[str, Any],
) -> RenderedJob:
    resume = case.get("resume_attempt") or 0
    if case["kind"] == "k8s_run" and resume:
        raise _wrong("resume_attempt", "a first worker has none", got=str(resume), expected="kind: k8s_run_resume")
    # Here the executor's config is what the run config says to it.
    run_config = {"execution": {"config": executor}} if case["kind"] == "celery_run" else {}
    resumes = resume > 0 or case["kind"] == "k8s_run_resume"
    return render_run(config, env, run, origin, run_config, resume_attempt=resume, resumes=resumes)


def render_run(
    config: InstanceConfig,
    env: Mapping[str, str],
    run: RunFacts,
    origin: JobOrigin,
    run_config: Mapping[str, Any],
    *,
    resume_attempt: int = 0,
    resumes: bool = False,
) -> RenderedJob:
    """The Job of a run's worker, under an instance's launcher. `run_config`: a CeleryK8sRunLauncher reads the executor's config there.

    Raises:
        ConfigErrors: it can not be made. RunplaneError: the launcher makes no Jobs.
    """
    part = config.run_launcher
    if part.class_name not in MAKES_JOBS or part.known is None:
        raise RunplaneError(
            "this launcher makes no Jobs",
            where=f"{config.where}: run_launcher",
            got=str(part.pointer),
            expected=" or ".join(MAKES_JOBS),
        )
    settings = job_settings(config, env)
    make = ResumeRunArgs if resumes else ExecuteRunArgs
    ref = None if settings.mounts_instance else to_ref(config)
    document = to_text(make(ref, origin, run.run_id, settings.fail_pod_on_run_failure))
    around = _around(config, env)
    return job_of_run(
        config, settings, run, run_config, document, around, resume_attempt=resume_attempt, resumes=resumes
    )


def render_step(
    config: InstanceConfig,
    env: Mapping[str, str],
    run: RunFacts,
    origin: JobOrigin,
    step: StepFacts,
    executor: Mapping[str, Any],
    *,
    path: str = "execution.config",
    with_queues: bool = False,
) -> RenderedJob:
    """The Job of a step, under any launcher; `with_queues`: of ``celery_k8s_job_executor``. Raises ConfigErrors."""
    settings = job_settings(config, env)
    ref = None if settings.mounts_instance else to_ref(config)
    args = ExecuteStepArgs(
        ref,
        origin,
        run.run_id,
        (step.step_key,),
        retry_mode=RetryMode.DEFERRED,
        should_verify_step=True,
        issued=IssuedAttempt(step.attempt, 1),
    )
    own = executor_settings(executor, env, path=path, where=_WHERE, shape=CELERY_EXECUTOR if with_queues else EXECUTOR)
    make_job = celery_step_job if with_queues else step_job
    return make_job(settings, own, run, replace(step, document=to_compressed(args)), _around(config, env))


def as_error(error: RunplaneError) -> dict[str, Any]:
    """`{"error": {...}}`: the first problem for programs, with its path in the case or in the document that the case holds."""
    problem = Problem(error.where or "", error.message, error.got, error.expected, error.nearest)
    if isinstance(error, ConfigErrors) and error.problems:
        problem = error.problems[0]
        within = (error.where or "").replace(" ", "_")
        if within in ("container_context", "run_tags", "job_tags", "op_tags"):
            problem = replace(problem, path=f"{within}.{problem.path}")
    return {
        "error": {
            "path": problem.path,
            "message": problem.message,
            "got": problem.got,
            "expected": problem.expected,
            "suggestion": problem.suggestion,
        }
    }


def _instance(given: Any, env: Mapping[str, str], minimal: Mapping[str, Any]) -> InstanceConfig:
    document = parse_yaml(given, where="instance_yaml") if isinstance(given, str) else given
    return from_document(document if given is not None else minimal, _HOME, env, where="instance_yaml")


def _around(config: InstanceConfig, env: Mapping[str, str]) -> Surroundings:
    return Surroundings(env, literal_secrets=literal_secrets(config))


def _mapping(value: Any, path: str) -> Mapping[str, Any] | None:
    if not isinstance(value, str):
        found: Mapping[str, Any] | None = value
        return found
    try:
        read = json.loads(value) if value else None
    except ValueError as error:
        raise _wrong(path, f"not JSON: {error}", got="text", expected="a mapping") from error
    if read is not None and not isinstance(read, dict):
        raise _wrong(path, "wrong type", got=type(read).__name__, expected="a mapping")
    return read


def _wrong(path: str, message: str, *, got: str | None = None, expected: str | None = None) -> ConfigErrors:
    return ConfigErrors([Problem(path, message, got, expected)], where=_WHERE)
