"""As ``runplane_plan.py``, by Dagster."""

import json
import sys
import time

import jobs
from dagster._core.execution.api import create_execution_plan

job = jobs.layered_of(int(sys.argv[1]))
create_execution_plan(jobs.layered_of(100))
began = time.perf_counter()
plan = create_execution_plan(job)
print(json.dumps({"plan_s": time.perf_counter() - began, "steps": len(plan.step_dict)}))
