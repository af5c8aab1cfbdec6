"""``python runplane_runs.py wide COUNT STEP CONFIG``: store runs of a job and print one request document for each.

STEP is a step key for documents of ``api execute_step``, or empty for those of ``api execute_run``.
"""

import json
import sys
import time

import jobs

from runplane import reconstructable
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.requests import ExecuteRunArgs, ExecuteStepArgs
from runplane.events.wire import to_text
from runplane.instance.instance import Instance, RunRequest
from runplane.plan.compile import compile_plan
from runplane.storage.liveness import this_process

shape, count, step, config = sys.argv[1], int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
code = reconstructable(getattr(jobs, shape))
origin, job = code.get_python_origin(), code.get_definition()
plan = compile_plan(job, config)
with Instance.get() as instance:
    for _ in range(count):
        run = instance.create(RunRequest(job.name, origin, plan, run_config=config))
        if step:
            start = NewEvent(EventKind.RUN_START, None, None, {"message": "Started."}, time.time())
            instance.journal.claim_run(run.run_id, this_process(), [], start)
            print(to_text(ExecuteStepArgs(instance.ref, origin, run.run_id, (step,))))
        else:
            print(to_text(ExecuteRunArgs(instance.ref, origin, run.run_id)))
