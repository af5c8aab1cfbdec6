"""``python runplane_plan.py OPS``: time to compile the plan of a job in layers."""

import json
import sys
import time

import jobs

from runplane.plan.compile import compile_plan

job = jobs.layered_of(int(sys.argv[1]))
compile_plan(jobs.layered_of(100))
began = time.perf_counter()
plan = compile_plan(job)
print(json.dumps({"plan_s": time.perf_counter() - began, "steps": len(plan.steps)}))
