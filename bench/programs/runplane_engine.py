"""``python runplane_engine.py wide|chain OPS``: time per op of the engine alone, events in and commands out, everything succeeds."""

import gc
import json
import sys
import time
from collections import deque

import jobs

from runplane.engine.commands import FinishRun, Happened, IssueStep, LaunchStep, Record
from runplane.engine.engine import Engine
from runplane.events.kinds import EventKind
from runplane.plan.compile import compile_plan

shape, ops = sys.argv[1], int(sys.argv[2])
plan = compile_plan(getattr(jobs, f"{shape}_of")(ops))


def answers(command):
    """What happens after a command."""
    if isinstance(command, IssueStep):
        yield Happened(EventKind.STEP_ISSUED, command.step, command.n, {}, 0.0)
        yield Happened(EventKind.STEP_WORKER_STARTED, command.step, command.n, {}, 0.0)
    elif isinstance(command, LaunchStep):
        output = {"output": "result", "mapping_key": None}
        yield Happened(EventKind.STEP_OUTPUT, command.step, command.n, output, 0.0)
        yield Happened(EventKind.STEP_SUCCESS, command.step, command.n, {}, 0.0)
    elif isinstance(command, Record):
        yield Happened(command.kind, command.step, command.n, command.body, 0.0)


gc.collect()
gc.freeze()  # how often Python looks through what was there before is not the engine's doing
began, cpu_began = time.perf_counter(), time.process_time()
engine = Engine(plan)
commands = deque(engine.start())
finished = None
while commands:
    command = commands.popleft()
    if isinstance(command, FinishRun):
        finished = command.kind
    for answer in answers(command):
        commands += engine.handle(answer)
took, cpu = time.perf_counter() - began, time.process_time() - cpu_began
assert finished == EventKind.RUN_SUCCESS, finished
print(json.dumps({"total_s": took, "cpu_s": cpu, "per_op_ms": 1000 * took / ops}))
