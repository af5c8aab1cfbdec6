"""From a job's origin to what runs one attempt of one of its steps."""

from __future__ import annotations

import os
from typing import Any

from ...definitions.code_loading import load_job
from ...definitions.job import JobDefinition
from ...definitions.run_config import ResolvedRunConfig
from ...errors import ConfigErrors
from ...events.run import Run
from ...plan.compile import config_of_run
from ..perform import perform_step
from ..step_request import StepRequest
from .asked_values import AskedValues
from .job_argument import JobArgument
from .step_process import Ask, Emit, Perform
from .wire import Task


def load(argument: Any) -> Perform:
    """Import the job's code.

    Raises:
        NotFoundError: no such file, module or job.
        CodeLoadError: the code fails when it is imported.
    """
    told: JobArgument = argument
    origin = told.run.origin
    if origin is None:
        raise ValueError(f"run {told.run.run_id} has no origin: its code can not be found by another process")
    job = load_job(origin.repository_origin.code_pointer, origin.job_name).for_run(told.run)
    config = _config_of_all(job, told.run)

    def perform(task: Task, emit: Emit, ask: Ask) -> None:
        request = StepRequest(
            job=job,
            run=told.run,
            step=task.step,
            step_key=task.ref.step,
            n=task.ref.n,
            home=told.home,
            retry_number=task.retry_number,
            retries_enabled=task.retries_enabled,
            inputs=task.inputs,
            config=config,
            values=AskedValues(ask),
            log_settings=told.log_settings,
        )
        perform_step(request, emit)

    return perform


def _config_of_all(job: JobDefinition, run: Run) -> ResolvedRunConfig | None:
    """The run's config, read before processes are forked: it speaks of all ops, and a step's cost is not to grow with their number.

    None when it can not be read: then each step reads it, and tells why it can not.
    """
    try:
        return config_of_run(job, run, os.environ)
    except ConfigErrors:
        return None
