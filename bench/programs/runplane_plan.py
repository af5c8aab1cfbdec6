"""``python runplane_plan.py OPS``: time to compile the plan of a job in layers."""

import json
import sys
import time

import jobs

from runplane.plan.compile import compile_plan

job = jobs.layered_of(int(sys.argv[1]))
compile_plan(jobs.layered_of(100))
began, cpu = time.perf_counter(), time.process_time()
plan = compile_plan(job)
took = {"plan_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
print(json.dumps({**took, "steps": len(plan.steps)}))
