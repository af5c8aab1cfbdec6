"""As ``runplane_runs.py``, by Dagster."""

import json
import sys

import jobs
from dagster import DagsterInstance, reconstructable
from dagster._core.execution.api import create_execution_plan
from dagster._core.execution.plan.state import KnownExecutionState
from dagster._grpc.types import ExecuteRunArgs, ExecuteStepArgs
from dagster._serdes import serialize_value

shape, count, step, config = sys.argv[1], int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
code = reconstructable(getattr(jobs, shape))
origin, job = code.get_python_origin(), code.get_definition()
plan = create_execution_plan(code, config)
with DagsterInstance.get() as instance:
    for _ in range(count):
        run = instance.create_run_for_job(job, execution_plan=plan, run_config=config, job_code_origin=origin)
        if step:
            known = KnownExecutionState()
            args = ExecuteStepArgs(origin, run.run_id, [step], instance.get_ref(), known_state=known)
            print(serialize_value(args))
        else:
            print(serialize_value(ExecuteRunArgs(origin, run.run_id, instance.get_ref())))
