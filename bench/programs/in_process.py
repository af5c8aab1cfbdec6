"""``python in_process.py wide|chain OPS ephemeral|home``: time per op of ``execute_in_process``. One file for both sides."""

import json
import sys
import time

import jobs

shape, ops, where = sys.argv[1], int(sys.argv[2]), sys.argv[3]
make = getattr(jobs, f"{shape}_of")
job = make(ops)
instance = jobs.flow.DagsterInstance.ephemeral() if where == "ephemeral" else jobs.flow.DagsterInstance.get()
with instance:
    make(2).execute_in_process(instance=instance)  # what is made at the first run only
    began, cpu_began = time.perf_counter(), time.process_time()
    result = job.execute_in_process(instance=instance)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu_began
assert result.success
print(json.dumps({"total_s": took, "cpu_s": cpu, "per_op_ms": 1000 * took / ops}))
