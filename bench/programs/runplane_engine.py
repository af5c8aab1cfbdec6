"""``python runplane_engine.py wide|chain OPS...``: time per op of the engine alone, events in and commands out, everything succeeds.

Plans of several sizes take turns, each so often that all have as many ops: what the machine does meanwhile meets all of them.
"""

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

TURNS = 5
shape, sizes = sys.argv[1], [int(ops) for ops in sys.argv[2:]]
plans = {ops: compile_plan(getattr(jobs, f"{shape}_of")(ops)) for ops in sizes}


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


def drive(plan):
    """A whole run of it; the processor time that it took."""
    began = time.process_time()
    engine = Engine(plan)
    commands = deque(engine.start())
    finished = None
    while commands:
        command = commands.popleft()
        if isinstance(command, FinishRun):
            finished = command.kind
        for answer in answers(command):
            commands += engine.handle(answer)
    assert finished == EventKind.RUN_SUCCESS, finished
    return time.process_time() - began


gc.collect()
gc.freeze()  # how often Python looks through what was there before is not the engine's doing
took = {ops: [] for ops in sizes}
for _ in range(TURNS):
    for ops in sizes:
        took[ops] += [drive(plans[ops]) for _ in range(max(sizes) // ops)]
per_op_ms = {ops: 1000 * sum(took[ops]) / len(took[ops]) / ops for ops in sizes}
print(json.dumps({f"per_op_ms_of_{ops}": found for ops, found in per_op_ms.items()}))
